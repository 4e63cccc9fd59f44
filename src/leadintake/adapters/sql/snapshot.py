"""A database of either kind as one SQLite file: as it was at one moment, while others go on writing."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from leadintake.adapters.sql import migrate
from leadintake.adapters.sql.copying import BATCH, TABLES
from leadintake.adapters.sql.sqlite_connections import engine
from leadintake.adapters.sql.tables import Id, UtcDateTime, deliveries, firms, sessions
from leadintake.domain.delivery import Status
from leadintake.domain.errors import Refused

UNDER_WAY = (Status.PENDING, Status.SENDING)


def of_sqlite(source: Path, to: Path) -> None:
    """Copy a SQLite database, without what was deleted in it; raises Refused, and then nothing is there.

    The source is opened to be read only, so that no writer waits and its log is not written back by this process.
    """
    with _appearing(to) as draft, closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as origin:
        origin.execute("VACUUM INTO ?", (str(draft),))


async def of_postgres(url: str, to: Path, report: Callable[[int, int], None]) -> None:
    """Copy a PostgreSQL database of this version.

    `report` is called now and then with how many rows were copied, and of how many. Raises Refused when
    the file cannot be written, or one of postgres.FAILURES, and then nothing is there.
    """
    from leadintake.adapters.sql import postgres  # noqa: PLC0415 - SQLite does not need what takes long to import

    with _appearing(to) as draft:
        with engine(draft, "BEGIN").connect() as connection:
            migrate.upgrade(connection)
        async with postgres.opened(url) as opened:
            origin = await opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            total = sum([await origin.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in TABLES])
            done = 0
            with closing(sqlite3.connect(draft)) as made:
                made.execute("PRAGMA synchronous = OFF")  # A draft that is not complete counts for nothing.
                made.execute(f"DELETE FROM {firms}")  # noqa: S608 - our name; those that the migrations made
                for table in TABLES:
                    every = sa.select(*map(_plain, table.c)).execution_options(yield_per=BATCH)
                    async for rows in (await origin.stream(every)).partitions():
                        with made:
                            made.executemany(_insertion(table), rows)
                        done += len(rows)
                        report(done, total)


def quiesce(path: Path, why: str) -> int:
    """Make of a copy what may be used at any later time: nothing goes out unasked, and nobody is signed in.

    Returns how many deliveries are held because of that. The copy is one durable file afterwards, in which nothing is
    left of what was deleted. Raises Refused.
    """
    hold = sa.update(deliveries).where(deliveries.c.status.in_(UNDER_WAY))
    held = hold.values(status=Status.HELD.value, due_at=None, claim_token=None, last_error=why)
    with _failures_as_refused(path):
        with engine(path, "BEGIN IMMEDIATE").begin() as connection:
            count = connection.execute(held).rowcount
            connection.execute(sa.delete(sessions))
        with closing(sqlite3.connect(path, isolation_level=None)) as alone:
            alone.execute("PRAGMA journal_mode = DELETE")
            alone.execute("VACUUM")
    _sync(path)
    return count


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file to write, for this user only. Complete and durable it gets the name, which nothing may have yet."""
    with _failures_as_refused(path), TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield draft
        _sync(draft)
        draft.rename(path)
        _sync(path.parent)


@contextmanager
def _failures_as_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        if isinstance(error, sa.exc.DBAPIError) and not isinstance(error.orig, sqlite3.Error):
            raise
        raise Refused(f"The database cannot be copied to {path}: {getattr(error, 'orig', error)}.") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _insertion(table: sa.Table) -> str:
    names = table.c.keys()
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our names


def _plain(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column of PostgreSQL as SQLite stores it."""
    if isinstance(column.type, Id):
        return sa.func.uuid_send(column, type_=sa.LargeBinary)
    if isinstance(column.type, UtcDateTime):
        return sa.type_coerce(column, sa.BigInteger)
    if isinstance(column.type, sa.JSON):
        return sa.cast(column, sa.Text)
    return column
