"""What every Database promises of transactions: all or nothing, on one snapshot, and no failure but one's own."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, delivery, lead, session, user

from leadintake.application.ports.database import Database, LeadQuery, Submission, Transaction
from leadintake.application.record import record
from leadintake.application.views import Receipt


class Broken(Exception):
    """What goes wrong in the middle of a transaction."""


class Refusal(Exception):
    """What one task of several is told."""


def store_all(tx: Transaction) -> None:
    """Store one of everything."""
    tx.people.add(user(), "hash")
    tx.people.open_session(session())
    tx.submissions.claim(Submission("key", "fingerprint", Receipt(lead().id, lead().reference, NOW)), NOW)
    tx.leads.add(lead())
    record(tx, lead().submitted(), owed=[delivery()])


def add_lead(tx: Transaction, number: int) -> None:
    """Store a lead."""
    tx.leads.add(lead(number))


def count_all(tx: Transaction) -> list[int]:
    """How many there are of everything."""
    return [
        len(tx.people.everybody()),
        len(tx.people.sessions_of(user().id)),
        len(tx.leads.page(LeadQuery())),
        len(tx.leads.page(LeadQuery(words=["ada"]))),
        len(tx.events.of_lead(lead().id)),
        len(tx.deliveries.unsettled(100)),
    ]


async def test_what_is_written_can_be_read(database: Database) -> None:
    """Whatever a transaction stored is there for the next one, and for the transaction itself at once."""

    def work(tx: Transaction) -> list[int]:
        store_all(tx)
        return count_all(tx)

    assert await database.read(FIRST_FIRM, count_all) == [0] * 6
    assert await database.write(FIRST_FIRM, work) == [1] * 6
    assert await database.read(FIRST_FIRM, count_all) == [1] * 6


async def test_work_that_raises_stores_nothing(database: Database) -> None:
    """Whatever a transaction did before it failed has not happened, and the failure comes through as it is."""

    def work(tx: Transaction) -> None:
        store_all(tx)
        raise Broken("halfway")

    with pytest.raises(Broken, match="halfway"):
        await database.write(FIRST_FIRM, work)

    assert await database.read(FIRST_FIRM, count_all) == [0] * 6
    await database.write(FIRST_FIRM, store_all)
    assert await database.read(FIRST_FIRM, count_all) == [1] * 6


async def test_one_failure_is_nobody_elses(database: Database) -> None:
    """Of many transactions at once some fail, and take nothing back but themselves."""

    def work(number: int) -> Callable[[Transaction], int]:
        def store(tx: Transaction) -> int:
            tx.leads.add(lead(number))
            if number % 3 == 0:
                raise Broken
            return number

        return store

    answers: list[object] = [
        *await asyncio.gather(
            *(database.write(FIRST_FIRM, work(number)) for number in range(1, 101)), return_exceptions=True
        )
    ]
    stored = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(limit=200)))

    succeeded = [number for number in range(1, 101) if number % 3]
    assert [answer for answer in answers if not isinstance(answer, Broken)] == succeeded
    assert sorted(view.id.int for view in stored) == succeeded


async def test_tasks_together(database: Database) -> None:
    """Each task gets what came of it, be it a result, what its work refused, or what its work raised for it alone."""

    def store(tx: Transaction, numbers: Sequence[int]) -> list[int | Refusal]:
        if 7 in numbers:
            raise Broken
        taken = [number for number in numbers if number != 5]
        tx.leads.add(*map(lead, taken))
        return [number if number in taken else Refusal() for number in numbers]

    answers: list[object] = [
        *await asyncio.gather(
            *(database.write_together(FIRST_FIRM, store, number) for number in range(1, 10)), return_exceptions=True
        )
    ]
    stored = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(oldest_first=True)))

    assert isinstance(answers.pop(6), Broken)
    assert isinstance(answers.pop(4), Refusal)
    assert answers == [1, 2, 3, 4, 6, 8, 9]
    assert sorted(view.id.int for view in stored) == answers


@pytest.mark.long
@given(sizes=st.lists(st.integers(0, 150), max_size=3))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_many_at_once_are_all_stored(database: Database, sizes: list[int]) -> None:
    """However many leads and events are added at once: all are there, and ids of events count up in their order."""

    def work(tx: Transaction) -> None:
        known: list[int] = []
        for size in sizes:
            some = [lead(number) for number in range(len(known) + 1, len(known) + size + 1)]
            tx.leads.add(*some)
            ids = tx.events.add(*(each.submitted() for each in some))
            known += ids
            assert [tx.events.of_lead(each.id)[0].id for each in some] == ids
        assert known == sorted(set(known))
        assert (
            sum(sizes) == tx.leads.count(LeadQuery(limit=1000)) == tx.leads.count(LeadQuery(words=["ada"], limit=1000))
        )
        raise Broken

    with pytest.raises(Broken):
        await database.write(FIRST_FIRM, work)


async def test_a_reader_sees_one_moment(database: Database) -> None:
    """What is stored while a transaction reads does not show up in it."""
    has_begun, is_stored = threading.Event(), threading.Event()

    def read(tx: Transaction) -> list[list[int]]:
        seen = [count_all(tx)]
        has_begun.set()
        while not is_stored.is_set():  # Each statement lets others work, be they in another thread or in this one.
            seen.append(count_all(tx))
        return [*seen, count_all(tx)]

    reading = asyncio.ensure_future(database.read(FIRST_FIRM, read))
    await asyncio.to_thread(has_begun.wait, 10)
    await database.write(FIRST_FIRM, store_all)
    is_stored.set()
    seen = await reading

    assert seen == [[0] * 6] * len(seen)
    assert await database.read(FIRST_FIRM, count_all) == [1] * 6


async def test_who_stops_waiting_disturbs_nobody(database: Database) -> None:
    """When a waiting caller is cancelled, the others of the moment get their answers."""
    stores = [
        asyncio.ensure_future(database.write(FIRST_FIRM, partial(add_lead, number=number))) for number in range(1, 6)
    ]
    await asyncio.sleep(0)
    stores[2].cancel()
    answers = await asyncio.gather(*stores, return_exceptions=True)

    assert [type(answer) for answer in answers].count(asyncio.CancelledError) == 1
    assert len(await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery()))) >= 4


async def test_ping(database: Database) -> None:
    """A database that works says so."""
    await database.ping()


async def test_what_two_firms_write_at_once_is_each_ones_own(database: Database) -> None:
    """Transactions that share a commit share nothing else: each sees and changes its own firm."""
    await asyncio.gather(
        database.write(FIRST_FIRM, lambda tx: tx.leads.add(lead(1))),
        database.write(SECOND_FIRM, lambda tx: tx.leads.add(lead(2))),
    )
    found = [await database.read(firm, lambda tx: tx.leads.page(LeadQuery())) for firm in (FIRST_FIRM, SECOND_FIRM)]

    assert [[view.id for view in views] for views in found] == [[lead(1).id], [lead(2).id]]
