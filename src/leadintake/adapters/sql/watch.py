"""How a process learns that another one has stored something in its SQLite file: it looks whether the file has changed.

Nothing depends on it. What was not noticed is found when the worker next looks.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import structlog

LOOK_EVERY = 0.05
"""Seconds. A look takes some 20 µs: it reads a counter in shared memory."""

PAUSE_SECONDS = 2.0
"""Before the file is opened again."""

log = structlog.get_logger()


@asynccontextmanager
async def watched(database: Path, wake: Callable[[], None]) -> AsyncIterator[None]:
    """Call `wake` soon after anybody has committed, until the context ends."""
    watching = asyncio.create_task(_watch(database, wake), name="watch")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(database: Path, wake: Callable[[], None]) -> None:
    while True:
        try:
            with closing(sqlite3.connect(database, isolation_level=None)) as connection:
                await _look(connection, wake)
        except sqlite3.Error as error:
            log.warning("watch_failed", reason=str(error))
        await asyncio.sleep(PAUSE_SECONDS)


async def _look(connection: sqlite3.Connection, wake: Callable[[], None]) -> None:
    connection.execute("PRAGMA query_only=ON")
    seen = None
    while True:
        version = connection.execute("PRAGMA data_version").fetchone()
        if version != seen:
            seen = version
            wake()
        await asyncio.sleep(LOOK_EVERY)
