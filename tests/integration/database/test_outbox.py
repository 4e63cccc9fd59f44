"""What every Database promises of deliveries: claimed by one at a time, fenced, counted, never lost."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import numbered_ids
from tests.records import FIRST_FIRM, NOW, delivery, lead

from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.deliveries import Letter
from leadintake.application.record import record
from leadintake.application.views import DeliveryView
from leadintake.domain.delivery import FURTHEST, GIVE_UP_AFTER, LEASE, Channel, Delivery, Purpose, Status
from leadintake.domain.errors import NotFound

MOMENT = timedelta(microseconds=1)
ONE, TWO = UUID(int=901), UUID(int=902)
new_token = numbered_ids(1000)


class TakenBack(Exception):
    """What ends a transaction of a test, so that the next begins with the same rows."""


async def owe(database: Database, *owed: Delivery) -> None:
    """Store one lead whose event owes all of these."""

    def work(tx: Transaction) -> None:
        tx.leads.add(lead())
        record(tx, lead().submitted(), owed=owed)

    await database.write(FIRST_FIRM, work)


async def owe_more(database: Database, *owed: Delivery) -> None:
    """Owe deliveries for that lead because of another event."""
    await database.write(FIRST_FIRM, lambda tx: record(tx, lead().submitted(), owed=owed))


def owed(number: int, **changes: Any) -> Delivery:
    """A delivery of that one lead."""
    return delivery(number, **{"lead_id": lead().id, **changes})


async def claim(database: Database, token: UUID | None = None, now: datetime = NOW, limit: int = 100) -> list[Letter]:
    """Claim what is due, with a token of its own unless one is given."""
    claimer = token or new_token()
    return await database.write(FIRST_FIRM, lambda tx: tx.outbox.claim(now, limit, claimer))


async def view(database: Database, number: int = 1) -> DeliveryView:
    """A delivery as shown."""
    return (await database.read(FIRST_FIRM, lambda tx: tx.deliveries.find(delivery(number).id)))[0]


def settlements(token: UUID, number: int = 1) -> dict[str, Callable[[Transaction], bool]]:
    """The three ways to settle a claim, by what they make of the delivery."""
    found = delivery(number).id
    return {
        Status.SENT: lambda tx: bool(tx.outbox.mark_sent([found], token, NOW)),
        Status.PENDING: lambda tx: tx.outbox.postpone(found, token, NOW + LEASE, "not now"),
        Status.FAILED: lambda tx: tx.outbox.fail(found, token, "never"),
    }


def endings(token: UUID, number: int = 1) -> dict[str, Callable[[Transaction], bool]]:
    """All that can become of a claim."""
    found = delivery(number).id
    return {**settlements(token, number), "given back": lambda tx: tx.outbox.give_back(found, token, NOW, None)}


WAITS = {Status.PENDING: LEASE, "given back": timedelta(0)}
"""After which endings a delivery is due again, and how long after NOW."""


async def test_a_claim_tells_all_that_a_letter_needs(database: Database) -> None:
    """A claimed delivery comes with its lead's facts and the event it is owed for."""
    await owe(database, owed(1, purpose=Purpose.NOTIFICATION, recipient="attorney@firm.example"))
    [event] = await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead().id))

    [letter] = await claim(database, ONE)

    assert letter == Letter(
        delivery_id=delivery(1).id,
        token=ONE,
        purpose=Purpose.NOTIFICATION,
        recipient="attorney@firm.example",
        attempt=1,
        message_id="<1@firm.example>",
        created_at=NOW,
        give_up_at=NOW + GIVE_UP_AFTER,
        event_id=str(event.id),
        lead_id=lead().id,
        reference=lead().reference,
        first_name="Ada",
        last_name="Lovelace",
        email="ada@client.example",
        resume_name="cv.pdf",
    )
    assert (await view(database)).status is Status.SENDING
    assert (await view(database)).next_attempt_at is None


async def test_a_delivery_begins_its_life(database: Database) -> None:
    """A pending delivery is due at once; a held one never, until it is asked for."""
    await owe(database, owed(1), owed(2, status=Status.HELD))

    assert await view(database, 1) == DeliveryView(
        delivery(1).id, Channel.EMAIL, Purpose.CONFIRMATION, "ada@client.example", Status.PENDING, 0, NOW, None, None
    )
    assert await view(database, 2) == DeliveryView(
        delivery(2).id, Channel.EMAIL, Purpose.CONFIRMATION, "ada@client.example", Status.HELD, 0, None, None, None
    )
    assert [letter.delivery_id for letter in await claim(database, now=NOW + GIVE_UP_AFTER)] == [delivery(1).id]


async def test_what_is_due_first_is_claimed_first(database: Database) -> None:
    """What is due is taken in that order, as many as asked for, and not a moment too early."""
    await owe(database, *(owed(number, created_at=NOW - number * MOMENT) for number in (1, 2, 3)), owed(4))

    assert await claim(database, now=NOW - 4 * MOMENT) == []
    assert [letter.delivery_id for letter in await claim(database, now=NOW - 3 * MOMENT)] == [delivery(3).id]
    assert [letter.delivery_id for letter in await claim(database, limit=1)] == [delivery(2).id]
    assert {letter.delivery_id for letter in await claim(database)} == {delivery(1).id, delivery(4).id}
    assert await claim(database) == []


@pytest.mark.attack(172)
async def test_a_clock_that_was_set_back(database: Database) -> None:
    """What is due further ahead than anything can be has waited longest, and goes first; what may be due then waits."""
    await owe(
        database,
        owed(1),
        owed(2, created_at=NOW + FURTHEST),
        owed(3, created_at=NOW + FURTHEST + MOMENT),
    )
    claims = [{letter.delivery_id.int for letter in await claim(database, limit=limit)} for limit in (1, 2, 2)]

    assert claims == [{3}, {1}, set()]


async def test_a_claim_made_before_the_clock_was_set_back(database: Database) -> None:
    """It holds: its letter may be on the way just now."""
    await owe(database, owed(1))
    await claim(database)

    assert await claim(database, now=NOW - timedelta(days=1)) == []


@pytest.mark.attack(172)
async def test_a_claim_of_a_process_that_ended_before_the_clock_was_set_back(database: Database) -> None:
    """A worker that has nothing under way takes it with SQLite, where no other can have it, as it does what ran out.

    On PostgreSQL, whose clock times the claims, another machine may.
    """
    await owe(database, *(owed(number) for number in (1, 2)))
    await claim(database, limit=1)
    set_back = NOW - timedelta(days=1)

    async def claim_idly(now: datetime) -> list[bool]:
        claimer = new_token()
        letters = await database.write(FIRST_FIRM, lambda tx: tx.outbox.claim(now, 10, claimer, is_idle=True))
        return [letter.is_rescued for letter in letters]

    assert await claim_idly(NOW) == [False]
    if isinstance(database, SqliteDatabase):
        assert [await claim_idly(set_back) for _ in range(3)] == [[True], [True], []]
        assert await claim_idly(set_back + LEASE) == [True]
    else:
        assert await claim_idly(set_back) == []


async def test_claimers_never_share(database: Database) -> None:
    """However many claim at once, each delivery goes to one of them."""
    await owe(database, *(owed(number) for number in range(1, 41)))

    claims = await asyncio.gather(*(claim(database, limit=3) for _ in range(16)))

    assert Counter(letter.delivery_id.int for letters in claims for letter in letters) == Counter(range(1, 41))
    assert all(len(letters) <= 3 for letters in claims)


async def test_a_lease_runs_out(database: Database) -> None:
    """What was claimed and never settled is claimed again when its lease is over, not before, and as another try."""
    await owe(database, owed(1))
    [first] = await claim(database)

    assert await claim(database, TWO, NOW + LEASE - MOMENT) == []
    [second] = await claim(database, TWO, NOW + LEASE)
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.message_id, first.created_at) == (second.message_id, second.created_at)


async def test_what_ended_its_process_ends_no_other(database: Database) -> None:
    """Claims that ran out are taken one at a time, so that the one which is to blame takes nobody along twice."""
    await owe(database, *(owed(number) for number in (1, 2, 3)))
    await claim(database)
    await owe_more(database, owed(4, created_at=NOW + LEASE))
    unasked = await database.write(FIRST_FIRM, lambda tx: tx.outbox.claim(NOW + LEASE, 0, new_token(), rescue=False))
    claims = [sorted(letter.is_rescued for letter in await claim(database, now=NOW + LEASE)) for _ in range(4)]

    assert unasked == []
    assert claims == [[False, True], [True], [True], []]


@pytest.mark.parametrize("settled", [Status.SENT, Status.PENDING, Status.FAILED])
async def test_who_lost_a_claim_settles_nothing(database: Database, settled: Status) -> None:
    """A sender that comes back after its lease changes nothing, be the delivery claimed by another or settled by it."""
    await owe(database, owed(1))
    await claim(database, ONE)
    await claim(database, TWO, NOW + LEASE)
    claimed = await view(database)

    assert not await database.write(FIRST_FIRM, settlements(ONE)[settled])
    assert await view(database) == claimed
    assert await database.write(FIRST_FIRM, settlements(TWO)[settled])
    after = await view(database)
    assert (after.status, after.attempts) == (settled, 2)
    for late in (*settlements(ONE).values(), *settlements(TWO).values()):
        assert not await database.write(FIRST_FIRM, late)
    assert await view(database) == after


@given(lost=st.sets(st.integers(1, 9)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_many_are_settled_as_sent(database: Database, lost: set[int]) -> None:
    """Of those that were claimed together, however many, all are settled whose claim was not lost."""
    ids = [delivery(number).id for number in range(1, 10)]

    def work(tx: Transaction) -> None:
        tx.leads.add(lead())
        record(tx, lead().submitted(), owed=[owed(number) for number in range(1, 10)])
        tx.outbox.claim(NOW, 100, ONE)
        for number in lost:
            assert tx.outbox.postpone(delivery(number).id, ONE, NOW, "not now")

        assert tx.outbox.mark_sent(ids, TWO, NOW) == 0
        assert tx.outbox.mark_sent(ids, ONE, NOW) == 9 - len(lost)
        assert {each.delivery_id.int for each in tx.outbox.claim(NOW, 100, TWO)} == lost
        raise TakenBack

    with pytest.raises(TakenBack):
        await database.write(FIRST_FIRM, work)


@pytest.mark.parametrize(("error", "shown"), [("535 wrong password", "535 wrong password"), (None, "not now")])
async def test_giving_back(database: Database, error: str | None, shown: str) -> None:
    """A claim that is undone leaves no try behind and the delivery due, with the reason there is, or was before."""
    await owe(database, owed(1))
    await claim(database, ONE)
    await database.write(FIRST_FIRM, settlements(ONE)[Status.PENDING])
    [before] = await claim(database, TWO, NOW + LEASE)
    later = NOW + LEASE + MOMENT

    assert await database.write(FIRST_FIRM, lambda tx: tx.outbox.give_back(delivery(1).id, TWO, later, error))
    found = await view(database)
    assert (found.status, found.attempts, found.next_attempt_at) == (Status.PENDING, 1, later)
    assert found.last_error == shown
    assert await claim(database, now=later - MOMENT) == []
    assert await claim(database, TWO, later) == [before]


async def test_who_lost_a_claim_gives_nothing_back(database: Database) -> None:
    """A claim that ran out cannot be undone, and one that was undone cannot be settled."""
    await owe(database, owed(1))
    await claim(database, ONE)
    await claim(database, TWO, NOW + LEASE)
    claimed = await view(database)

    assert not await database.write(FIRST_FIRM, lambda tx: tx.outbox.give_back(delivery(1).id, ONE, NOW, "late"))
    assert await view(database) == claimed
    assert await database.write(FIRST_FIRM, lambda tx: tx.outbox.give_back(delivery(1).id, TWO, NOW, None))
    for late in settlements(TWO).values():
        assert not await database.write(FIRST_FIRM, late)
    assert (await view(database)).attempts == 1


async def test_what_a_settled_delivery_shows(database: Database) -> None:
    """When it was sent, or when it will be tried again and what went wrong."""
    await owe(database, owed(1), owed(2), owed(3))
    await claim(database, ONE)
    for number, status in enumerate(settlements(ONE), 1):
        assert await database.write(FIRST_FIRM, settlements(ONE, number)[status])

    [sent, postponed, failed] = [await view(database, number) for number in (1, 2, 3)]

    assert (sent.status, sent.sent_at, sent.next_attempt_at, sent.last_error) == (Status.SENT, NOW, None, None)
    assert (postponed.status, postponed.next_attempt_at) == (Status.PENDING, NOW + LEASE)
    assert (failed.status, failed.next_attempt_at) == (Status.FAILED, None)
    assert (postponed.last_error, failed.last_error) == ("not now", "never")
    assert [letter.delivery_id for letter in await claim(database, now=NOW + LEASE)] == [delivery(2).id]


async def test_asking_again(database: Database) -> None:
    """A delivery that is asked for again is due at once, for another five days, under the same Message-ID."""
    await owe(database, owed(1))
    [before] = await claim(database, ONE)
    await database.write(FIRST_FIRM, settlements(ONE)[Status.FAILED])
    later = NOW + timedelta(days=30)

    await database.write(FIRST_FIRM, lambda tx: tx.outbox.retry(delivery(1).id, later))

    again = await view(database)
    assert (again.status, again.next_attempt_at, again.attempts, again.last_error) == (Status.PENDING, later, 1, None)
    [letter] = await claim(database, TWO, later)
    assert (letter.attempt, letter.message_id, letter.created_at) == (2, before.message_id, before.created_at)
    assert letter.give_up_at == later + GIVE_UP_AFTER


async def test_what_is_to_do(database: Database) -> None:
    """The next thing to do is what is due first, or the claim that runs out first; what is settled waits for nobody."""
    await owe(database, owed(1), owed(2, created_at=NOW + MOMENT), owed(3, status=Status.HELD))

    async def next_due() -> datetime | None:
        return await database.read(FIRST_FIRM, lambda tx: tx.outbox.next_due())

    assert await next_due() == NOW
    await claim(database, ONE)
    assert await next_due() == NOW + MOMENT
    await claim(database, TWO, NOW + MOMENT)
    assert await next_due() == NOW + LEASE
    await database.write(FIRST_FIRM, settlements(ONE, 1)[Status.SENT])
    assert await next_due() == NOW + LEASE + MOMENT
    await database.write(FIRST_FIRM, settlements(TWO, 2)[Status.FAILED])
    assert await next_due() is None


async def test_what_is_unsettled(database: Database) -> None:
    """What was not sent is counted and listed, first what waits for a person."""
    await owe(database, *(owed(number) for number in range(1, 5)), owed(5, status=Status.HELD))
    await claim(database, ONE, limit=4)
    for number, status in enumerate(settlements(ONE), 1):
        await database.write(FIRST_FIRM, settlements(ONE, number)[status])

    counts = await database.read(FIRST_FIRM, lambda tx: tx.deliveries.count_unsettled())
    found = await database.read(FIRST_FIRM, lambda tx: tx.deliveries.unsettled(100))

    assert counts == {Status.PENDING: 1, Status.SENDING: 1, Status.FAILED: 1, Status.HELD: 1}
    assert [mail.delivery.status for mail in found[:2]] == [Status.FAILED, Status.HELD]
    assert {mail.delivery.status for mail in found[2:]} == {Status.PENDING, Status.SENDING}
    assert len(await database.read(FIRST_FIRM, lambda tx: tx.deliveries.unsettled(3))) == 3
    for status in counts:  # None takes the place of another, however few are asked for.
        (only,) = await database.read(FIRST_FIRM, lambda tx, status=status: tx.deliveries.unsettled(1, status))  # type: ignore[misc]
        assert only.delivery.status is status


async def test_what_became_of_the_mails(database: Database) -> None:
    """Failures are counted up to a number, and a lead has the statuses of its own deliveries."""
    await owe(database, *(owed(number) for number in range(1, 4)))
    await claim(database, ONE)
    for number in (1, 2):
        await database.write(FIRST_FIRM, settlements(ONE, number)[Status.FAILED])

    failed = await database.read(FIRST_FIRM, lambda tx: [tx.deliveries.count_failed(most) for most in (0, 1, 2, 9)])
    statuses = await database.read(FIRST_FIRM, lambda tx: tx.deliveries.statuses([lead(1).id, lead(2).id]))
    none = await database.read(FIRST_FIRM, lambda tx: tx.deliveries.statuses([]))

    assert failed == [0, 1, 2, 2]
    assert (statuses, none) == ({lead(1).id: {Status.FAILED, Status.SENDING}}, {})


async def test_since_when_something_waits(database: Database) -> None:
    """It is what is due first; where it was claimed and never tried, since it was owed or asked for."""
    first, later = NOW - 2 * LEASE, NOW + LEASE

    async def since() -> datetime | None:
        return await database.read(FIRST_FIRM, lambda tx: tx.deliveries.waiting_since())

    nothing = await since()
    await owe(database, owed(1, created_at=first), owed(2, status=Status.HELD, created_at=first))
    assert (nothing, await since()) == (None, first)
    await claim(database, ONE)
    assert await since() == first
    await database.write(FIRST_FIRM, lambda tx: tx.outbox.give_back(delivery(1).id, ONE, NOW, "down"))
    assert await since() == first
    await claim(database, ONE)
    await database.write(FIRST_FIRM, settlements(ONE)[Status.PENDING])
    assert await since() == NOW + LEASE
    await claim(database, TWO, later)
    assert await since() == later + LEASE
    await database.write(FIRST_FIRM, settlements(TWO)[Status.SENT])
    assert await since() is None
    await database.write(FIRST_FIRM, lambda tx: tx.outbox.retry(delivery(2).id, later))
    assert await since() == later


async def test_confirmations_are_counted(database: Database) -> None:
    """Confirmations since a moment, to a mailbox or to all, up to a number; not what is held, nor notifications."""
    await owe(
        database,
        owed(1),
        owed(2, recipient="ADA+x@client.example", created_at=NOW - MOMENT),
        owed(3, status=Status.HELD),
        owed(4, purpose=Purpose.NOTIFICATION),
        owed(5, recipient="bob@client.example"),
    )
    await claim(database, limit=1)

    async def count(since: datetime, mailbox: str | None, at_most: int = 9) -> int:
        return await database.read(FIRST_FIRM, lambda tx: tx.outbox.count_confirmations(since, mailbox, at_most))

    assert await count(NOW - MOMENT, "ada@client.example") == 2
    assert await count(NOW, "ada@client.example") == 1
    assert await count(NOW - MOMENT, "ada@client.example", at_most=1) == 1
    assert await count(NOW + MOMENT, "ada@client.example") == 0
    assert await count(NOW - MOMENT, None) == 3
    assert await count(NOW - MOMENT, None, at_most=2) == 2
    assert await count(NOW + MOMENT, None) == 0


async def test_deliveries_of_a_lead(database: Database) -> None:
    """The confirmation comes first, then whom else is told."""
    others = [
        owed(number, purpose=Purpose.NOTIFICATION, recipient=f"{name}@firm.example")
        for number, name in [(1, "b"), (2, "a")]
    ]
    await owe(database, *others, owed(3))
    found = await database.read(FIRST_FIRM, lambda tx: tx.deliveries.of_lead(lead().id))

    assert [view.id.int for view in found] == [3, 2, 1]


async def test_unknown_delivery(database: Database) -> None:
    """There is nothing under an id that nobody gave."""
    with pytest.raises(NotFound):
        await database.read(FIRST_FIRM, lambda tx: tx.deliveries.find(delivery(1).id))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(1, 2)),
        st.tuples(st.sampled_from([Status.SENT, Status.PENDING, Status.FAILED]), st.integers(1, 3)),
        st.tuples(st.sampled_from(["late", "given back"]), st.integers(1, 3)),
    ),
    max_size=25,
)


@pytest.mark.long
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_claims_and_settlements(database: Database, steps: list[tuple[str, int]]) -> None:
    """Whatever is claimed and settled, and however late: a delivery is whose claimed it last, and is never lost."""

    def work(tx: Transaction) -> None:
        tx.leads.add(lead())
        record(tx, lead().submitted(), owed=[owed(number) for number in (1, 2, 3)])
        now, due, holders = NOW, dict.fromkeys((1, 2, 3), NOW), dict[int, list[UUID]]()
        for tick, (step, number) in enumerate(steps):
            if step == "wait":
                now += LEASE / 2 * number
            elif step == "claim":
                ready = {found for found, at in due.items() if at <= now}
                taken = {letter.delivery_id.int for letter in tx.outbox.claim(now, number, UUID(int=tick + 1))}
                ran_out = ready & holders.keys()
                assert taken <= ready
                assert len(taken & ran_out) == min(1, len(ran_out))
                assert len(taken) == min(number, len(taken & ran_out) + len(ready - ran_out))
                due |= dict.fromkeys(taken, now + LEASE)
                for each in taken:
                    holders.setdefault(each, []).append(UUID(int=tick + 1))
            elif step == "late":
                for token in holders.get(number, [])[:-1]:
                    assert not any(end(tx) for end in endings(token, number).values())
            elif held := holders.pop(number, []):
                assert endings(held[-1], number)[step](tx)
                del due[number]
                if step in WAITS:
                    due[number] = NOW + WAITS[step]
            assert tx.outbox.next_due() == min(due.values(), default=None)
        raise TakenBack

    with pytest.raises(TakenBack):
        await database.write(FIRST_FIRM, work)
