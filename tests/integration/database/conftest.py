"""A database for each test, copied from one that was migrated once. Another joins by one more parameter."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.practice import Practice
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM

from leadintake.adapters.sql import migrate
from leadintake.adapters.sql.sqlite import SqliteDatabase, engine
from leadintake.adapters.sql.tables import firms
from leadintake.application.database import Database


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database with a second firm."""
    path = tmp_path_factory.mktemp("template") / "leadintake.db"
    with engine(path, "BEGIN").connect() as connection:
        migrate.upgrade(connection)
        connection.execute(sa.insert(firms), {"id": SECOND_FIRM, "created_at": NOW})
        connection.commit()
        assert connection.scalar(sa.select(firms.c.id).order_by(firms.c.created_at.desc())) == FIRST_FIRM
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """The file of a SQLite database that is not open."""
    return shutil.copyfile(template, tmp_path / "leadintake.db")


@pytest.fixture(params=["sqlite"])
async def database(path: Path) -> AsyncIterator[Database]:
    """An open database of two firms, without a lead."""
    sqlite = SqliteDatabase(path)
    yield sqlite
    await sqlite.close()


@pytest.fixture
def practice(database: Database) -> Practice:
    """The use cases over that database."""
    return Practice(database)
