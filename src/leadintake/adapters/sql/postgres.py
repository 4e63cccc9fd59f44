"""PostgreSQL: each transaction has a connection to itself, out of a pool, and waits for the server on the event loop.

The work of a transaction is a plain function here as on SQLite. SQLAlchemy runs it in a greenlet, which steps aside
whenever a statement is under way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from leadintake.adapters.sql.batcher import Batcher
from leadintake.adapters.sql.transaction import SqlTransaction
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Transaction, by_itself
from leadintake.domain.errors import Unavailable

BatchKey = tuple[UUID, Callable[[Transaction, Sequence[Any]], Sequence[Any]]]
"""A firm, and the work that does tasks."""

A = TypeVar("A")
T = TypeVar("T")

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
"""How long the server may take to answer one statement."""

CONNECTIONS = 10
"""A process uses so many at most, and one for the bell. A server as it comes (max_connections = 100, of which three are
kept back) has room for eight processes.
"""

TRIES = 5

SESSION = {
    "application_name": "leadintake",
    "synchronous_commit": "on",  # Where a role or a database has it off, a commit is answered before it is durable.
    "idle_in_transaction_session_timeout": "60s",  # What a machine that vanished had locked is free again after that.
    "tcp_keepalives_idle": "60",  # No firewall on the way forgets a connection that is seldom used.
}

IS_DURABLE = sa.text(
    "SELECT current_setting('transaction_read_only') = 'off' AND current_setting('synchronous_commit') <> 'off'"
)

PASSING = ("40", "08", "57P01", "0A000")
"""What another try cures, by the beginning of SQLSTATE: transactions that collided (serialisation failure, deadlock), a
connection that was lost or ended by an administrator, and a statement prepared before a migration.
"""

BAD_DATA = "22"
"""The class of SQLSTATE for a value that no database should have been given. That is our mistake, and no outage."""

LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, sa.exc.TimeoutError)
"""What comes of a connection that cannot be made or does not answer."""

FAILURES = (DBAPIError, *LOST)

MIGRATION_LOCK = 0x6C656164
"""Of all advisory locks of the database the one that means: it is being made or migrated."""

log = structlog.get_logger()


class PostgresDatabase:
    """Implements the Database port on a server. `url` is as libpq takes it, and `now` is this machine's clock."""

    def __init__(
        self, url: str, *, statement_seconds: float = STATEMENT_SECONDS, now: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._engine = engine(
            url,
            statement_seconds=statement_seconds,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
        )
        self._batcher = Batcher(self._write_shared)
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def read(self, firm_id: UUID, work: Callable[[SqlTransaction], T]) -> T:
        """Run work on one consistent snapshot."""
        return await self._run(self._snapshots, lambda connection: work(SqlTransaction(connection, firm_id)))

    async def glance(self, firm_id: UUID, work: Callable[[SqlTransaction], T]) -> T:
        """Run work on one consistent snapshot."""
        return await self.read(firm_id, work)

    async def write(self, firm_id: UUID, work: Callable[[SqlTransaction], T]) -> T:
        """Run work and return once its changes are durable. What it loads to change is locked until then."""

        def run(connection: sa.Connection) -> T:
            return work(SqlTransaction(connection, firm_id, locks=True, clock=self._now))

        return await self._run(self._engine, run)

    async def write_together(
        self, firm_id: UUID, work: Callable[[Transaction, Sequence[A]], Sequence[T | Exception]], task: A
    ) -> T:
        """Like `write`, and in one transaction with the tasks of the same work that come while others are under way."""
        written: T = await self._batcher.do((firm_id, work), task)
        return written

    async def ping(self) -> None:
        """Raise Unavailable unless the server answers, takes changes, and makes them durable."""
        if not await self._run(self._engine, lambda connection: connection.scalar(IS_DURABLE)):
            raise Unavailable from RuntimeError("it is read-only, or synchronous_commit is off")

    async def aclose(self) -> None:
        """Finish what was asked for, then close all connections."""
        await self._batcher.finish()
        await self._engine.dispose()

    async def _write_shared(self, key: BatchKey, tasks: Sequence[Any]) -> Sequence[Any]:
        """What comes of each task, all in one transaction. Where that raises, each has one of its own."""
        firm_id, work = key
        try:
            return await self.write(firm_id, lambda tx: work(tx, tasks))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            if len(tasks) == 1:
                return [error]
        each = (by_itself(self, firm_id, work, task) for task in tasks)
        return await asyncio.gather(*each, return_exceptions=True)

    async def _run(self, on: AsyncEngine, work: Callable[[sa.Connection], T]) -> T:
        """Run work in a transaction, again where that may cure what went wrong; raises Unavailable.

        A commit that fails is not tried again, because it may have succeeded.
        """
        failure: Exception | None = None
        for _ in range(TRIES):
            is_committing = False
            try:
                async with on.connect() as connection:
                    transaction = await connection.begin()
                    try:
                        result = await connection.run_sync(work)
                        is_committing = True
                        await transaction.commit()
                    except TimeoutError:
                        await connection.invalidate()  # Else it would be waited for once more, to take it all back.
                        raise
                    return result
            except IntegrityError:
                raise
            except FAILURES as error:
                state = _state(error)
                if state.startswith(BAD_DATA):
                    raise
                failure = error
                if is_committing or not state.startswith(PASSING):
                    break
        log.error("database_failed", reason=reason(failure))
        raise Unavailable from failure


def engine(url: str, *, statement_seconds: float | None = STATEMENT_SECONDS, **pool: Any) -> AsyncEngine:
    """An engine whose connections commit durably, and are replaced when they turn out to be closed."""
    made = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(connect, url, statement_seconds),
        hide_parameters=True,  # An error that is logged must not carry names and addresses.
        **pool,
    )

    @sa.event.listens_for(made.sync_engine, "checkout")
    def replace_closed(connection: Any, *_: object) -> None:
        if connection.driver_connection.is_closed():  # Known without asking the server.
            raise sa.exc.DisconnectionError

    return made


async def connect(url: str, statement_seconds: float | None = STATEMENT_SECONDS) -> Any:
    """A connection of asyncpg; raises one of LOST."""
    return await asyncpg.connect(
        url, timeout=CONNECT_SECONDS, command_timeout=statement_seconds, server_settings=SESSION
    )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncConnection]:
    """One connection for work on the database as a whole, which may take long; raises one of FAILURES."""
    made = engine(url, statement_seconds=None, poolclass=sa.NullPool)
    async with made.connect() as connection:
        yield connection


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Hold MIGRATION_LOCK, once whoever has it is done; raises one of LOST."""
    connection = await connect(url, statement_seconds=None)
    try:
        await connection.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
        yield
    finally:
        await connection.close()


def reason(error: Exception | None) -> str:
    """What an error says, without the values that PostgreSQL repeats in its details."""
    return str(getattr(error, "orig", error)).partition("\n")[0] or type(error).__name__


def _state(error: Exception) -> str:
    """The SQLSTATE of an error; of a connection that is gone, the class of those that never reached the server."""
    found = getattr(getattr(error, "orig", error), "sqlstate", None)
    if found is None and isinstance(error, DBAPIError):
        return "08"
    return str(found or "")
