"""Migrations: there and back, the same schema as the tables in code, and repeatable when interrupted."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.records import FIRST_FIRM

from leadintake.adapters.sql import migrate, tables
from leadintake.adapters.sql.sqlite_connections import engine

TIME = re.compile(r"\b\d{16}\b")


class Interrupted(Exception):
    """What happens in the middle of a migration."""


@contextmanager
def connected(path: Path) -> Iterator[sa.Connection]:
    """A connection as migrations get it."""
    with engine(path, "BEGIN").connect() as connection:
        yield connection


def dump(path: Path) -> list[str]:
    """Everything in a database but when it was made."""
    with closing(sqlite3.connect(path)) as connection:
        return [TIME.sub("then", line) for line in connection.iterdump()]


def migrated(path: Path, to: str = "head") -> list[str]:
    """What is in a database after migrating it."""
    with connected(path) as connection:
        migrate.upgrade(connection, to)
    return dump(path)


def test_head() -> None:
    """The schema that the code works with is the newest there is, and there is one line of history."""
    scripts = ScriptDirectory(str(migrate.folder()))

    assert scripts.get_heads() == [migrate.HEAD]


def test_tables_as_in_code(template: Path) -> None:
    """The migrations make what the code says: tables, columns, types, indexes and constraints."""
    with connected(template) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, tables.metadata) == []


def test_indexes_as_in_code(tmp_path: Path) -> None:
    """Conditions of indexes and primary keys, which such a comparison overlooks, are the same too."""
    made, described = tmp_path / "made.db", tmp_path / "described.db"
    migrated(made)
    with connected(described) as connection, connection.begin():
        tables.metadata.create_all(connection)

    def schema(path: Path) -> set[str]:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
            )
            return {" ".join(sorted(re.split(r",?\s+", sql))) for (sql,) in rows}

    assert schema(made) == schema(described)


def test_up_down_up(tmp_path: Path) -> None:
    """All the way up, down to nothing, and up again to the same."""
    path = tmp_path / "leadintake.db"
    first = migrated(path)
    emptied = migrated(path, "base")

    assert not [line for line in emptied if line.startswith("CREATE TABLE") and "alembic_version" not in line]
    assert migrated(path) == first


def test_migrating_twice(tmp_path: Path) -> None:
    """What is there already stays as it is."""
    path = tmp_path / "leadintake.db"
    first = migrated(path)

    assert migrated(path) == first


def test_revision(tmp_path: Path) -> None:
    """An empty database has no schema, a migrated one has the newest, also when it was asked on the same connection."""
    path = tmp_path / "leadintake.db"
    with connected(path) as connection:
        before = migrate.revision(connection)
        migrate.upgrade(connection)
        after = migrate.revision(connection)

    assert (before, after) == (None, migrate.HEAD)
    with connected(path) as connection:
        assert migrate.revision(connection) == migrate.HEAD


def test_passwords_of_before(tmp_path: Path) -> None:
    """Who was a user before first passwords ran out has a password that does not."""
    path = tmp_path / "leadintake.db"
    migrated(path, "0002")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO users (id, firm_id, email, email_key, full_name, role, password_hash, is_active, created_at) "
            "SELECT x'01', id, 'a@b.c', 'a@b.c', 'A', 'admin', 'hash', 1, 0 FROM firms"
        )
    migrated(path)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT email, password_hash, password_expires_at FROM users").fetchall()

    assert found == [("a@b.c", "hash", None)]


def test_first_firm(template: Path) -> None:
    """The first migration makes the practice that the service works for."""
    with connected(template) as connection:
        ids = set(connection.scalars(sa.select(tables.firms.c.id)))

    assert FIRST_FIRM in ids
    assert tables.FIRST_FIRM == FIRST_FIRM


def is_interrupted(path: Path, event: str, at: int) -> bool:
    """Migrate, and break off at so many statements or commits; False when there were not so many."""
    passed = count(1)

    def interrupt(*_: object) -> None:
        if next(passed) == at:
            raise Interrupted

    sa.event.listen(sa.Engine, event, interrupt)
    try:
        migrated(path)
    except Interrupted:
        return True
    finally:
        sa.event.remove(sa.Engine, event, interrupt)
    return False


@pytest.mark.long
@pytest.mark.parametrize(("event", "fewest"), [("before_cursor_execute", 15), ("commit", 1)])
def test_interrupted(tmp_path: Path, event: str, fewest: int) -> None:
    """A migration that broke off at whatever statement, or before a commit, is repeated as if nothing had been."""
    expected = migrated(tmp_path / "expected.db")
    interruptions = 0
    while is_interrupted(path := tmp_path / f"{interruptions}.db", event, interruptions + 1):
        interruptions += 1
        assert migrated(path) == expected

    assert interruptions >= fewest
