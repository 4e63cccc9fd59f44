"""Claims of machines whose clocks disagree, on one PostgreSQL: its clock decides whose claim is over (P7, P23)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from tests.fakes import FixedClock, numbered_ids
from tests.practice import Practice
from tests.records import FIRST_FIRM, delivery, lead

from leadintake.adapters.sql.postgres import PostgresDatabase, connect
from leadintake.adapters.sql.tables import MICROSECOND
from leadintake.application.ports.database import Transaction
from leadintake.application.record import record
from leadintake.domain.delivery import LEASE, SEND_TIMEOUT

pytestmark = pytest.mark.long

ON_TIME, AHEAD, BEHIND = timedelta(0), timedelta(hours=5, seconds=17), timedelta(hours=-7, seconds=-43)
A_DAY = timedelta(days=1)
TO_THE_MINUTE = timedelta(minutes=1)
"""How exactly a lease is kept, as two machines see it."""


@dataclass
class MachineClock(FixedClock):
    """The clock of a machine, which goes, but not right."""

    ahead: timedelta = ON_TIME

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


Machines = Callable[[timedelta], Practice]


@pytest.fixture
async def machine(url: str) -> AsyncIterator[Machines]:
    """Makes a practice on that database as a machine runs it whose clock is ahead by so much. One mail is owed."""
    tokens = numbered_ids(1000)
    async with AsyncExitStack() as closing:

        def start(ahead: timedelta) -> Practice:
            clock = MachineClock(ahead=ahead)
            database = PostgresDatabase(url, now=clock)
            closing.push_async_callback(database.aclose)
            return Practice(database, clock, new_id=tokens)

        def work(tx: Transaction) -> None:
            tx.leads.add(lead())
            long_due = datetime.now(UTC) - 2 * A_DAY
            record(tx, lead().submitted(), owed=[delivery(1, lead_id=lead().id, created_at=long_due)])

        await start(ON_TIME).database.write(FIRST_FIRM, work)
        yield start


async def age(url: str, by: timedelta) -> None:
    """Make all claims older, as if so much time had passed."""
    connection = await connect(url)
    await connection.execute(f"UPDATE deliveries SET due_at = due_at - {by // MICROSECOND} WHERE status = 'sending'")
    await connection.close()


@pytest.mark.attack(172)
@pytest.mark.parametrize("other", [ON_TIME, AHEAD, BEHIND], ids=["on time", "ahead", "behind"])
@pytest.mark.parametrize("first", [ON_TIME, AHEAD, BEHIND], ids=["on time", "ahead", "behind"])
async def test_a_claim_lasts_as_long_for_every_machine(
    machine: Machines, url: str, first: timedelta, other: timedelta
) -> None:
    """Whatever their clocks say, no machine takes what another may still be sending, and each takes what ran out."""
    claiming, looking = machine(first), machine(other)
    claimed = await claiming.dispatch.claim(10)
    at_once = await looking.dispatch.claim(10)
    await age(url, LEASE - TO_THE_MINUTE)
    shortly_before = await looking.dispatch.claim(10)
    await age(url, 2 * TO_THE_MINUTE)
    [rescued] = await looking.dispatch.claim(10)

    assert LEASE - TO_THE_MINUTE > 2 * SEND_TIMEOUT
    assert (len(claimed), at_once, shortly_before) == (1, [], [])
    assert (rescued.delivery_id, rescued.attempt, rescued.is_rescued) == (delivery(1).id, 2, True)


@pytest.mark.attack(172)
@pytest.mark.parametrize("jump", [A_DAY, -A_DAY], ids=["forth", "back"])
async def test_a_clock_jumps_while_a_mail_is_under_way(machine: Machines, jump: timedelta) -> None:
    """Neither that machine nor another takes the mail a second time, and who sends it settles it."""
    jumping, other = machine(ON_TIME), machine(ON_TIME)
    [letter] = await jumping.dispatch.claim(10)
    cast("MachineClock", jumping.clock).ahead = jump
    again = await jumping.dispatch.claim(10) + await other.dispatch.claim(10)
    await jumping.dispatch.deliver(letter)

    assert again == []
    assert jumping.mailer.sent == [letter]
    assert await other.dispatch.count_unsettled() == {}
