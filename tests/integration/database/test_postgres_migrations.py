"""The same migrations on PostgreSQL: there and back, the schema of the code, and repeatable when interrupted."""

import re
from itertools import count

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.postgres import Postgres

from leadintake.adapters.sql import migrate, tables
from leadintake.adapters.sql.postgres import connect, opened

pytestmark = pytest.mark.long

TIME = re.compile(r"\b\d{16}\b")
numbers = count()


class Interrupted(Exception):
    """What happens in the middle of a migration."""


@pytest.fixture
def empty(server: Postgres) -> str:
    """The name of a database without a table."""
    name = f"empty{next(numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    return name


async def migrated(server: Postgres, database: str, to: str = "head") -> list[str]:
    """What is in a database after migrating it, but when it was made."""
    async with opened(server.url(database)) as connection:
        await connection.run_sync(migrate.upgrade, to)
    return [TIME.sub("then", line) for line in server.dump(database)]


async def test_tables_as_in_code(server: Postgres) -> None:
    """The migrations make what the code says."""

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [*compare_metadata(context, tables.metadata)]

    async with opened(server.url("practice")) as connection:
        assert await connection.run_sync(differences) == []


async def test_words_are_compared_by_code_point(server: Postgres, empty: str) -> None:
    """Whatever language the database is set to, or a prefix would not be a range of the index."""
    await migrated(server, empty)
    connection = await connect(server.url(empty))
    collation = await connection.fetchval(
        "SELECT collation_name FROM information_schema.columns WHERE table_name = 'lead_words' AND column_name = 'word'"
    )
    await connection.close()

    assert collation == "C"


async def test_up_down_up(server: Postgres, empty: str) -> None:
    """All the way up, again, down to nothing, and up to the same."""
    first = await migrated(server, empty)
    again = await migrated(server, empty)
    emptied = await migrated(server, empty, "base")
    last = await migrated(server, empty)

    assert first == again == last
    assert [line for line in emptied if line.startswith("CREATE TABLE")] == ["CREATE TABLE public.alembic_version ("]


async def is_interrupted(server: Postgres, database: str, to: str, at: int) -> bool:
    """Migrate, and break off at so many statements; False when there were not so many."""
    passed = count(1)

    def interrupt(*_: object) -> None:
        if next(passed) == at:
            raise Interrupted

    sa.event.listen(sa.Engine, "before_cursor_execute", interrupt)
    try:
        await migrated(server, database, to)
    except Interrupted:
        return True
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", interrupt)
    return False


@pytest.mark.parametrize(
    ("before", "to", "fewest"),
    [("base", "0001", 15), ("0001", "0002", 6), ("0002", "0003", 2), ("0003", "0004", 2), ("0004", "0005", 2)],
)
async def test_interrupted(server: Postgres, empty: str, before: str, to: str, fewest: int) -> None:
    """A migration that broke off at whatever statement leaves nothing, and is repeated as if nothing had been."""
    start = await migrated(server, empty, before)
    interruptions = 0
    while await is_interrupted(server, empty, to, interruptions + 1):
        interruptions += 1
        assert [TIME.sub("then", line) for line in server.dump(empty)] == start

    assert interruptions >= fewest
    assert await migrated(server, empty, to) == [TIME.sub("then", line) for line in server.dump(empty)]
