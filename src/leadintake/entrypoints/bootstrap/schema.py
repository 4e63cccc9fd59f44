"""The database as a whole: whether it is what this version works with, and how it becomes so."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from leadintake.adapters.sql import checkup
from leadintake.adapters.sql import migrate as migrations
from leadintake.adapters.sql.sqlite_connections import LOCK_TIMEOUT_MS, WAL, engine
from leadintake.adapters.sql.turn import Turns
from leadintake.domain.errors import Refused
from leadintake.entrypoints.settings import Settings

T = TypeVar("T")

HEAD = migrations.HEAD
"""The schema that this version works with."""


class Schema(Enum):
    """How the schema of the database compares with the one that this version needs."""

    NONE = "There is no database yet. Run `leadintake migrate`, with PostgreSQL as the owner of its tables."
    OLDER = "The database is of an older version. Stop the service and run `leadintake migrate`."
    CURRENT = "The database is up to date."
    NEWER = "The database was made by a newer version of leadintake. Install that one."


class NotReady(Refused):
    """The database cannot be worked with as it is."""


def make_data_dir(settings: Settings) -> None:
    """Make the data folder where one is needed and there is none, so that only this user can read it."""
    if settings.needs_data_dir:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def prepare(settings: Settings) -> None:
    """Make the data folder and an empty SQLite database where there are none, so that only this user can read them."""
    if not settings.postgres_url:
        make_data_dir(settings)
        check_no_orphaned_log(settings)
        with suppress(FileExistsError):
            os.close(os.open(settings.database_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def check_no_orphaned_log(settings: Settings) -> None:
    """Raise NotReady where a SQLite database is gone and its log is not: SQLite would write that to the next one."""
    database = settings.database_path.absolute()
    for log in (Path(f"{database}-wal"), Path(f"{database}-journal")):
        if log.exists() and not database.exists():
            raise NotReady(f"There is no {database}, but {log.name} is there, with the last leads. Move it elsewhere.")


async def compare(settings: Settings) -> Schema:
    """Compare the database with this version, without making one; raises NotReady."""
    if not settings.postgres_url and not settings.database_path.exists():
        return Schema.NONE
    revision = await _run(settings, migrations.revision)
    if revision is None:
        return Schema.NONE
    if revision == migrations.HEAD:
        return Schema.CURRENT
    return Schema.OLDER if revision < migrations.HEAD else Schema.NEWER


async def migrate(settings: Settings) -> None:
    """Bring the database to the schema of this version, and make it where there is none; raises NotReady."""
    prepare(settings)
    if settings.postgres_url:
        await _run(settings, migrations.upgrade)
        return
    turns = Turns(settings.database_path, LOCK_TIMEOUT_MS / 1000)
    try:
        with turns.one():
            await _run(settings, migrations.upgrade, in_wal=True)
    except TimeoutError as error:
        raise _not_ready(settings, str(error)) from error
    finally:
        turns.close()


async def enable_wal(settings: Settings) -> None:
    """Put a SQLite database in WAL mode, which a copy of one is not in; raises NotReady."""
    if not settings.postgres_url:
        await _run(settings, lambda _: None, in_wal=True)


async def examine(settings: Settings) -> tuple[str, list[str]]:
    """The version of the database's software, and what is wrong inside, a line each; raises NotReady."""
    return await _run(settings, lambda connection: (checkup.version(connection), checkup.problems(connection)))


async def clock(settings: Settings) -> datetime:
    """The time by the clock of the database's machine; raises NotReady."""
    return await _run(settings, checkup.clock)


@asynccontextmanager
async def migration_lock(settings: Settings) -> AsyncIterator[None]:
    """Let no other process make or migrate the database meanwhile; others wait. Raises NotReady.

    With SQLite the lock of the data folder sees to that (leadintake.entrypoints.lock).
    """
    if not settings.postgres_url:
        yield
        return
    from leadintake.adapters.sql import postgres  # noqa: PLC0415 - SQLite does not need what takes long to import

    with failures_as_not_ready(settings):
        async with postgres.locked(settings.postgres_url):
            yield


@contextmanager
def failures_as_not_ready(settings: Settings) -> Iterator[None]:
    """Turn what goes wrong between here and PostgreSQL, if that is the database, into NotReady."""
    if not settings.postgres_url:
        yield
        return
    from leadintake.adapters.sql import postgres  # noqa: PLC0415 - as above

    try:
        yield
    except postgres.FAILURES as error:
        raise _not_ready(settings, postgres.reason(error)) from error


async def _run(settings: Settings, work: Callable[[sa.Connection], T], *, in_wal: bool = False) -> T:
    """Do something with the database as a whole, perhaps make its log WAL; raises NotReady when it cannot be used."""

    def checked(connection: sa.Connection) -> T:
        if (in_wal or settings.postgres_url) and (obstacle := checkup.obstacle(connection)):
            raise _not_ready(settings, obstacle)
        return work(connection)

    if settings.postgres_url:
        from leadintake.adapters.sql import postgres  # noqa: PLC0415 - as above

        with failures_as_not_ready(settings):
            async with postgres.opened(settings.postgres_url) as opened:
                return await opened.run_sync(checked)
    try:
        with engine(settings.database_path, "BEGIN", *([WAL] if in_wal else [])).connect() as connection:
            return checked(connection)
    except sa.exc.DBAPIError as error:
        raise _not_ready(settings, str(error.orig)) from error


def _not_ready(settings: Settings, why: str) -> NotReady:
    """The refusal, with where the database is but not with which password."""
    parts = urlsplit(settings.postgres_url or "")
    where = f"{parts.hostname or 'PostgreSQL'}{parts.path}" if settings.postgres_url else settings.database_path
    return NotReady(f"The database {where} cannot be used: {why}.")
