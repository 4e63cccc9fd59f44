"""A database for each test, copied from one that was migrated once: the same tests on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.postgres import Postgres
from tests.practice import Practice
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM

from leadintake.adapters.sql import migrate
from leadintake.adapters.sql.postgres import PostgresDatabase, connect, opened
from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.adapters.sql.sqlite_connections import WAL, engine
from leadintake.adapters.sql.tables import firms, metadata
from leadintake.application.ports.database import Database

BEGAN = NOW - timedelta(days=3650)


def make(connection: sa.Connection) -> None:
    """Migrate a database, and add a second firm, which was there before."""
    migrate.upgrade(connection)
    connection.execute(sa.insert(firms), {"id": SECOND_FIRM, "created_at": BEGAN})
    connection.commit()
    assert connection.scalar(sa.select(firms.c.id).order_by(firms.c.created_at.desc())) == FIRST_FIRM


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database with a second firm."""
    path = tmp_path_factory.mktemp("template") / "leadintake.db"
    with engine(path, "BEGIN", WAL).connect() as connection:
        make(connection)
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """The file of a SQLite database that is not open."""
    return shutil.copyfile(template, tmp_path / "leadintake.db")


@pytest.fixture(scope="session")
def server(server: Postgres) -> Postgres:
    """The PostgreSQL server, with a migrated database and a second firm, called `practice`."""
    server.execute("CREATE DATABASE practice")

    async def migrated() -> None:
        async with opened(server.url("practice")) as connection:
            await connection.run_sync(make)

    asyncio.run(migrated())
    return server


@pytest.fixture
def url(server: Postgres) -> str:
    """The URL of a PostgreSQL database that is not open."""
    asyncio.run(clear(server.url("practice")))
    return server.url("practice")


async def clear(url: str) -> None:
    """Take everything but the firms away, and count from one again; TRUNCATE would take a hundred times as long."""
    tables = [table.name for table in reversed(metadata.sorted_tables) if table is not firms]
    connection = await connect(url)
    await connection.execute("; ".join(f"DELETE FROM {table}" for table in tables))
    await connection.execute("SELECT setval(pg_get_serial_sequence('events', 'id'), 1, false)")
    await connection.close()


@pytest.fixture(params=["path", pytest.param("url", marks=pytest.mark.long)], ids=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest) -> Path | str:
    """A database of either kind that is not open."""
    found: Path | str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def database(location: Path | str) -> AsyncIterator[Database]:
    """An open database of two firms, without a lead."""
    opened = SqliteDatabase(location) if isinstance(location, Path) else PostgresDatabase(location)
    yield opened
    await opened.aclose()


@pytest.fixture
def practice(database: Database) -> Practice:
    """The use cases over that database."""
    return Practice(database)
