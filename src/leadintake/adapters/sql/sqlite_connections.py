"""Connections to a SQLite file: how each is set up, and those that only read."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from leadintake.adapters.sql.hot import run_text
from leadintake.adapters.sql.transaction import SqlTransaction
from leadintake.domain.errors import Unavailable

T = TypeVar("T")

LOCK_TIMEOUT_MS = 5_000
"""How long to wait for another process (the command line) before giving up with Unavailable."""

WAL = "journal_mode=WAL"
"""For whoever makes or serves a database. A copy does not have it; a backup that is looked at must not change."""

logger = logging.getLogger(__name__)


class Reading:
    """Connections that cannot change anything, as many as there are threads that read at once."""

    def __init__(self, path: Path, begin: str | None) -> None:
        self._engine = engine(path, begin, "query_only=ON", "wal_autocheckpoint=0")
        self._begins = begin is not None
        self._idle: SimpleQueue[sa.Connection] = SimpleQueue()

    def run(self, firm_id: UUID, work: Callable[[SqlTransaction], T]) -> T:
        """Run work in a transaction, or, where there is no statement to begin one, each of its statements by itself.

        Raises Unavailable.
        """
        try:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._engine.connect()
            try:
                with connection.begin() if self._begins else nullcontext():
                    return work(SqlTransaction(connection, firm_id))
            finally:
                self._idle.put(connection)
        except DBAPIError as error:
            logger.exception("database_read_failed")
            raise Unavailable from error

    def close(self) -> None:
        """Let go of the file, once nobody reads."""
        while not self._idle.empty():
            self._idle.get().close()


def engine(path: Path, begin: str | None, *pragmas: str) -> sa.Engine:
    """An engine whose connections are durable (synchronous FULL), strict (foreign keys), and begin as told, or not.

    They overwrite what they delete, so that those who were erased are not left in it. Not every SQLite does by itself.
    """
    url = sa.URL.create("sqlite", database=str(path))
    made = sa.create_engine(
        url,
        poolclass=sa.NullPool,
        hide_parameters=True,  # An error that is logged must not carry names and addresses.
        connect_args={"isolation_level": None, "check_same_thread": False},
    )
    settings = (f"busy_timeout={LOCK_TIMEOUT_MS}", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", *pragmas)

    @sa.event.listens_for(made, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")

    if begin:
        sa.event.listen(made, "begin", partial(run_text, text=begin))
    return made
