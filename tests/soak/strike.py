"""Starts the service with faults to come in its intake: `python strike.py FOLDER serve`.

A file in the folder that is named like the address of a prospect says what happens when that form is stored, once:
`raises 3` (its third statement does), `breaks 3` (so does the database), `kills 3` (the process dies
there), `kills commit` (before the commit), `kills committed` (after it, before the answer), or `counts 0`.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.postgres import PostgresDatabase
from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.application.intake import Enquiry, Intake
from leadintake.application.views import Receipt
from leadintake.entrypoints.cli import main

T = TypeVar("T")

FOLDER = Path(sys.argv.pop(1))
COUNTED = "statements"
COMMIT, COMMITTED = "commit", "committed"


@dataclass
class Strike:
    """What is to happen to one submission, and where."""

    what: str
    where: str
    statements: int = 0

    def statement(self) -> None:
        """Another statement of the transaction is about to be run."""
        self.statements += 1
        self.at(str(self.statements))

    def at(self, place: str) -> None:
        """Do it, if this is where."""
        if place != self.where:
            return
        if self.what == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.what == "breaks":
            raise sa.exc.OperationalError("", None, Exception("disk I/O error"))
        elif self.what == "raises":
            raise RuntimeError


NOTHING = Strike("counts", "")
under_way: ContextVar[Strike] = ContextVar("under_way", default=NOTHING)
before_commit: list[Strike] = []
store = Intake._store  # noqa: SLF001 - what is struck


def plan(email: str) -> Strike:
    """What is to happen when a prospect's form is stored."""
    try:
        (FOLDER / email).rename(taken := FOLDER / f"{email}.taken")
    except FileNotFoundError:
        return Strike("counts", "")
    what, where = taken.read_text().split()
    return Strike(what, where)


async def striking_store(intake: Intake, enquiry: Enquiry) -> Receipt:
    """Store a submission, and see to it that what is planned happens on the way."""
    strike = plan(enquiry.lead.email)
    token = under_way.set(strike)
    try:
        receipt = await store(intake, enquiry)
    finally:
        under_way.reset(token)
    if strike.where == "0":
        (FOLDER / COUNTED).write_text(str(strike.statements))
    strike.at(COMMITTED)
    return receipt


def striking_together(write: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """What writes for many to a database, and strikes them all where one of them is struck."""
    struck: dict[Callable[..., Any], Callable[..., Any]] = {}

    async def written(database: Any, firm_id: UUID, work: Callable[..., Any], task: Any) -> T:
        def run(tx: Any, tasks: Sequence[tuple[Any, Strike, Context, int]]) -> Any:
            _, strike, context, begin = next((one for one in tasks if one[1].where), tasks[0])
            strike.statements = begin  # It may be run again, and fails again then.
            result = context.run(work, tx, [one[0] for one in tasks])
            if strike.where == COMMIT:
                before_commit.append(strike)
            return result

        strike = under_way.get()
        return await write(
            database, firm_id, struck.setdefault(work, run), (task, strike, copy_context(), strike.statements)
        )

    return written


@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(*_: object) -> None:
    """Another statement is about to be run, perhaps for nobody who is struck."""
    under_way.get().statement()


@sa.event.listens_for(sa.Engine, "commit")
def commit(_: sa.Connection) -> None:
    """A commit comes, perhaps of another transaction: then the one that was planned for is not committed either."""
    for strike in before_commit:
        strike.at(COMMIT)


Intake._store = striking_store  # type: ignore[assignment, method-assign] # noqa: SLF001 - the fault that is injected
SqliteDatabase.write_together = striking_together(SqliteDatabase.write_together)  # type: ignore[assignment, method-assign] # as above
PostgresDatabase.write_together = striking_together(PostgresDatabase.write_together)  # type: ignore[assignment, method-assign] # as above
main()
