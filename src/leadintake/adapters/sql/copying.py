"""A SQLite database copied to PostgreSQL: every row of every table, in one transaction or not at all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from leadintake.adapters.sql.postgres import opened
from leadintake.adapters.sql.sqlite_connections import engine
from leadintake.adapters.sql.tables import Id, UtcDateTime, events, firms, metadata
from leadintake.domain.errors import Refused, Unavailable

TABLES = metadata.sorted_tables
"""Each after those that it refers to."""

BATCH = 10_000
"""Rows that are on their way together: one COPY. They take about 25 MB."""

GO_ON = sa.text(f"SELECT setval(pg_get_serial_sequence('{events}', 'id'), (SELECT max(id) FROM {events}))")  # noqa: S608 - our name
PLAN_BY = sa.text(f"ANALYZE {', '.join(table.name for table in TABLES)}")
"""Without it the first searches would be planned as if there were no rows."""


async def check_empty(url: str) -> None:
    """Raise Refused where anything is in the database that the migrations did not make; raises one of FAILURES."""
    async with opened(url) as destination:
        await _check_empty(destination)


def count(source: Path) -> dict[str, int]:
    """How many rows each table has; raises Unavailable."""
    with _reading(source) as origin:
        return _count(origin)


async def copy(source: Path, url: str, report: Callable[[int, int], None]) -> int:
    """Copy a database to an empty one of the same schema; returns how many rows it has.

    `report` is called now and then with how many rows were copied, and of how many. Raises Refused, Unavailable when
    the source cannot be read, or one of FAILURES, and then nothing was copied.
    """
    done = 0
    async with opened(url) as destination:
        with _reading(source) as origin:
            counts = _count(origin)
            await _check_empty(destination)
            await destination.execute(sa.delete(firms))  # Those that the migrations made come from the source, too.
            driver = (await destination.get_raw_connection()).driver_connection
            assert driver is not None  # noqa: S101 - it is open: a transaction has begun
            for table in TABLES:
                for rows in _batches(origin, table):
                    await driver.copy_records_to_table(table.name, records=rows, columns=table.c.keys())
                    done += len(rows)
                    report(done, sum(counts.values()))
                arrived = await destination.scalar(sa.select(sa.func.count()).select_from(table))
                if arrived != counts[table.name]:
                    raise Refused(f"Of {counts[table.name]:,} rows of {table}, {arrived:,} arrived. None was kept.")
        await destination.execute(GO_ON)
        await destination.execute(PLAN_BY)
        await destination.commit()
    return done


async def _check_empty(destination: AsyncConnection) -> None:
    used = [
        table.name
        for table in TABLES
        if table is not firms and await destination.scalar(sa.select(sa.exists().select_from(table)))
    ]
    if used:
        raise Refused(f"The database to copy to is in use: something is in {', '.join(used)}. Name an empty one.")


def _reading(source: Path) -> sa.Connection:
    """The source, as it is at the first statement. Only the server would write its log back."""
    return engine(source, "BEGIN", "query_only=ON", "wal_autocheckpoint=0").connect()


def _count(origin: sa.Connection) -> dict[str, int]:
    try:
        return {table.name: origin.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in TABLES}
    except DBAPIError as error:
        raise Unavailable from error


def _batches(origin: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    """All rows of a table, as asyncpg takes them."""
    every = sa.select(*map(_plain, table.c))
    try:
        yield from origin.execution_options(yield_per=BATCH).execute(every).partitions()
    except DBAPIError as error:
        raise Unavailable from error


def _plain(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column as both sides store it, so that hardly any value is converted here: that took half of the time."""
    if isinstance(column.type, Id):
        return sa.func.nullif(sa.func.hex(column), "")
    if isinstance(column.type, UtcDateTime):
        return sa.type_coerce(column, sa.BigInteger)
    if isinstance(column.type, sa.JSON):
        return sa.type_coerce(column, sa.Text)
    return column
