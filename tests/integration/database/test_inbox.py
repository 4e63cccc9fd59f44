"""What attorneys see of all leads, and of one among its neighbours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.practice import Practice
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, delivery, lead, user

from leadintake.application.desk import Change
from leadintake.application.inbox import COUNT_MAX, LATE_AFTER, OTHERS_MAX, Trouble
from leadintake.application.ports.database import LeadQuery, Position, Transaction
from leadintake.application.record import record
from leadintake.application.staff import Update
from leadintake.application.views import MailStatus
from leadintake.domain.delivery import GIVE_UP_AFTER, LEASE, Purpose, Status
from leadintake.domain.errors import ChannelDown, DeliveryFailed, NotFound
from leadintake.domain.lead import State
from leadintake.domain.people import Role
from leadintake.domain.suspicion import Reason

MOMENT = timedelta(microseconds=1)
TOKEN = UUID(int=901)
GRACE = user()
OLDEST_FIRST = LeadQuery(oldest_first=True)
DONE = LeadQuery(state=State.REACHED_OUT)
FINE = Trouble(failed=0, late_since=None)

BECOMES: dict[Status, Callable[[Transaction, UUID], object]] = {
    Status.SENT: lambda tx, mail: tx.outbox.mark_sent([mail], TOKEN, NOW),
    Status.PENDING: lambda tx, mail: tx.outbox.postpone(mail, TOKEN, NOW + LEASE, "not now"),
    Status.FAILED: lambda tx, mail: tx.outbox.fail(mail, TOKEN, "never"),
    Status.SENDING: lambda _1, _2: None,
}
"""What is done to a claimed delivery, by the status that comes of it."""


async def store(practice: Practice, *numbers: int, firm: UUID = FIRST_FIRM, **changes: Any) -> None:
    """Store leads, each a moment newer than the one before unless said otherwise."""

    def work(tx: Transaction) -> None:
        for number in numbers:
            tx.leads.add(lead(number, **{"created_at": NOW + number * MOMENT, **changes}))

    await practice.database.write(firm, work)


async def owe(practice: Practice, number: int, *statuses: Status, firm: UUID = FIRST_FIRM, **changes: Any) -> None:
    """Store a lead with deliveries in these statuses, with some facts changed."""
    owed = [
        delivery(
            100 * number + index,
            lead_id=lead(number).id,
            status=Status.HELD if status is Status.HELD else Status.PENDING,
            **changes,
        )
        for index, status in enumerate(statuses)
    ]

    def work(tx: Transaction) -> None:
        tx.leads.add(lead(number))
        record(tx, lead(number).submitted(), owed=owed)
        tx.outbox.claim(NOW, 100, TOKEN)
        for each, status in zip(owed, statuses, strict=True):
            if status is not Status.HELD:
                BECOMES[status](tx, each.id)

    await practice.database.write(firm, work)


async def neighbours(practice: Practice, number: int, query: LeadQuery) -> tuple[int | None, int | None]:
    """The numbers of the leads before and after one in the list of a query."""
    page = await practice.inbox.lead(GRACE, lead(number).id, query)
    return (page.previous.int if page.previous else None), (page.next.int if page.next else None)


async def test_nothing_ever_arrived(practice: Practice) -> None:
    """An empty inbox is empty in every respect."""
    page = await practice.inbox.page(GRACE, LeadQuery())

    assert (page.items, page.has_more, page.mails, page.newest, page.trouble) == ([], False, {}, None, FINE)
    assert page.counts == {State.PENDING: 0, State.REACHED_OUT: 0}
    assert await practice.inbox.arrived_since(GRACE, None) == 0
    assert await practice.inbox.unsettled(GRACE) == []


async def test_a_page(practice: Practice) -> None:
    """A page says whether there are more, and what it says of all leads does not depend on which are shown."""
    await store(practice, 1, 2, 3, 4)
    await store(practice, 5, state=State.REACHED_OUT)
    await store(practice, 6, firm=SECOND_FIRM)
    oldest = await practice.inbox.page(GRACE, replace(OLDEST_FIRST, state=State.PENDING, limit=2))
    rest = await practice.inbox.page(
        GRACE, replace(OLDEST_FIRST, state=State.PENDING, limit=2, after=Position(NOW + 2 * MOMENT, lead(2).id))
    )
    none = await practice.inbox.page(GRACE, LeadQuery(words=["nobody"]))

    assert [[view.id.int for view in page.items] for page in (oldest, rest, none)] == [[1, 2], [3, 4], []]
    assert [page.has_more for page in (oldest, rest, none)] == [True, False, False]
    for page in (oldest, rest, none):
        assert page.counts == {State.PENDING: 4, State.REACHED_OUT: 1}
        assert page.newest == Position(NOW + 5 * MOMENT, lead(5).id)
        assert page.mails == {view.id: MailStatus.NONE for view in page.items}


@pytest.mark.long
async def test_counting_ends(practice: Practice) -> None:
    """Counts are exact up to a thousand, which means a thousand or more."""
    await store(practice, *range(1, COUNT_MAX), state=State.PENDING)
    await store(practice, *range(2_001, 2_003 + COUNT_MAX), state=State.REACHED_OUT)
    before = (await practice.inbox.page(GRACE, LeadQuery())).counts
    await store(practice, COUNT_MAX, state=State.PENDING)
    after = (await practice.inbox.page(GRACE, LeadQuery())).counts

    assert COUNT_MAX == 1_000
    assert before == {State.PENDING: 999, State.REACHED_OUT: 1_000}
    assert after == {State.PENDING: 1_000, State.REACHED_OUT: 1_000}


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [
        ([], MailStatus.NONE),
        ([Status.SENT], MailStatus.SENT),
        ([Status.SENT, Status.SENT], MailStatus.SENT),
        ([Status.PENDING], MailStatus.PENDING),
        ([Status.SENDING], MailStatus.PENDING),
        ([Status.SENT, Status.SENDING], MailStatus.PENDING),
        ([Status.HELD], MailStatus.HELD),
        ([Status.HELD, Status.SENT, Status.PENDING], MailStatus.HELD),
        ([Status.FAILED], MailStatus.FAILED),
        ([Status.SENT, Status.HELD, Status.FAILED, Status.PENDING], MailStatus.FAILED),
    ],
)
async def test_how_the_mails_are(practice: Practice, statuses: list[Status], shown: MailStatus) -> None:
    """Of the mails of a lead the worst is shown, and it is nobody else's."""
    await owe(practice, 1, *statuses)
    await store(practice, 2)
    page = await practice.inbox.page(GRACE, LeadQuery())

    assert page.mails == {lead(1).id: shown, lead(2).id: MailStatus.NONE}


async def test_mails_of_many(practice: Practice) -> None:
    """Each lead of a page has its own, and what is not shown is not looked up."""
    for number, status in enumerate((Status.SENT, Status.HELD, Status.FAILED), 1):
        await owe(practice, number, status)
    page = await practice.inbox.page(GRACE, replace(OLDEST_FIRST, limit=2))

    assert page.mails == {lead(1).id: MailStatus.SENT, lead(2).id: MailStatus.HELD}


async def test_what_arrived(practice: Practice) -> None:
    """New is what came after a position, be it in the same moment; counted up to a number."""
    await store(practice, 1, 2, 3)
    await store(practice, 5, 6, created_at=NOW + 3 * MOMENT)
    await store(practice, 7, firm=SECOND_FIRM)

    async def since(number: int, at_most: int = 100) -> int:
        position = Position(NOW + number * MOMENT, lead(number).id)
        return await practice.inbox.arrived_since(GRACE, position, at_most)

    newest = (await practice.inbox.page(GRACE, LeadQuery())).newest
    assert newest == Position(NOW + 3 * MOMENT, lead(6).id)
    assert await practice.inbox.arrived_since(GRACE, newest) == 0
    assert [await since(number) for number in (1, 2, 3, 4)] == [4, 3, 2, 0]
    assert await since(1, at_most=3) == 3
    assert await practice.inbox.arrived_since(GRACE, None) == 5
    assert await practice.inbox.arrived_since(GRACE, None, 2) == 2


@pytest.mark.parametrize("oldest_first", [True, False])
async def test_neighbours(practice: Practice, oldest_first: bool) -> None:  # noqa: FBT001 - a parameter
    """From one to the next a whole list is passed in its order, and back; before the first and after the last is none.

    Leads of the same moment are in the order of their ids.
    """
    await store(practice, 1, 2)
    await store(practice, 8, 6, 7, created_at=NOW + 3 * MOMENT)
    await store(practice, 4, 9, state=State.REACHED_OUT, created_at=NOW + 3 * MOMENT)
    await store(practice, 3, created_at=NOW + 5 * MOMENT)
    await store(practice, 5, firm=SECOND_FIRM)
    query = LeadQuery(state=State.PENDING, oldest_first=oldest_first)
    order = [view.id.int for view in (await practice.inbox.page(GRACE, query)).items]
    found = [await neighbours(practice, number, query) for number in order]

    assert order == ([1, 2, 6, 7, 8, 3] if oldest_first else [3, 8, 7, 6, 2, 1])
    assert found == list(zip([None, *order[:-1]], [*order[1:], None], strict=True))


async def test_neighbours_in_a_search(practice: Practice) -> None:
    """All filters of the list hold for the neighbours; how far one had paged does not matter."""
    await store(practice, 1, 3, 5, 7, first_name="Zoë")
    await store(practice, 2, 4, 6)
    zoes = LeadQuery(words=["zoe"])
    paged = replace(zoes, limit=1, after=Position(NOW, lead(1).id))
    some = replace(zoes, created_from=NOW + 3 * MOMENT, created_to=NOW + 7 * MOMENT)

    assert await neighbours(practice, 5, LeadQuery()) == (6, 4)
    assert await neighbours(practice, 5, zoes) == await neighbours(practice, 5, paged) == (7, 3)
    assert await neighbours(practice, 5, some) == (None, 3)
    assert await neighbours(practice, 3, replace(some, oldest_first=True)) == (None, 5)
    assert await neighbours(practice, 4, zoes) == (5, 3)
    assert await neighbours(practice, 5, replace(zoes, state=State.REACHED_OUT)) == (None, None)


async def test_neighbours_of_a_lead_that_left(practice: Practice) -> None:
    """Who reaches out to a lead in the list of those that wait goes on where it was."""
    attorney = await practice.user()
    await store(practice, 1, 2, 3)
    waiting = replace(OLDEST_FIRST, state=State.PENDING)
    before = await neighbours(practice, 2, waiting)
    await practice.desk.change(attorney, lead(2).id, Change(state=State.REACHED_OUT))

    assert before == await neighbours(practice, 2, waiting) == (1, 3)
    assert await neighbours(practice, 1, waiting) == (None, 3)
    assert await neighbours(practice, 2, DONE) == (None, None)
    assert await neighbours(practice, 1, DONE) == (2, None)


async def test_a_lead_with_all_that_belongs_to_it(practice: Practice) -> None:
    """It is what each of the other questions would say; of another firm, or erased, there is none."""
    attorney = await practice.user()
    receipt, _ = await practice.submit()
    await practice.desk.open_resume(attorney, receipt.id)
    await store(practice, 77, firm=SECOND_FIRM)
    page = await practice.inbox.lead(attorney, receipt.id, LeadQuery())

    assert page.lead == await practice.desk.view(attorney, receipt.id)
    assert page.events == await practice.desk.events(attorney, receipt.id)
    assert page.deliveries == await practice.desk.deliveries(attorney, receipt.id)
    assert (len(page.events), len(page.deliveries)) == (2, 2)
    assert (page.previous, page.next, page.trouble) == (None, None, FINE)
    for unknown in (lead(77).id, UUID(int=404)):
        with pytest.raises(NotFound):
            await practice.inbox.lead(attorney, unknown, LeadQuery())


async def test_others_of_the_same_mailbox(practice: Practice) -> None:
    """Whoever wrote twice is seen to have, however the address was spelled: the newest first, and a few of many."""
    for number in range(1, OTHERS_MAX + 3):
        await owe(practice, number, Status.SENT, created_at=NOW + number * MOMENT)
    await owe(practice, 50, Status.SENT, recipient="eve@client.example")
    await store(practice, 60, email="Ada+again@client.example")
    await store(practice, 70, email="zoe@client.example")

    async def others(number: int) -> list[int]:
        page = await practice.inbox.lead(GRACE, lead(number).id, LeadQuery())
        return [other.id.int for other in page.others]

    assert await others(60) == [*range(OTHERS_MAX + 2, 2, -1)]
    assert await others(5) == [number for number in range(OTHERS_MAX + 2, 1, -1) if number != 5]
    assert await others(70) == []


@pytest.mark.parametrize(
    ("which", "elsewhere", "hidden"),
    [
        (LeadQuery(state=State.PENDING), 1, 1),
        (LeadQuery(state=State.REACHED_OUT), 2, 1),
        (LeadQuery(), 0, 1),
        (LeadQuery(quarantined=True), 3, 0),
    ],
    ids=["waiting", "reached out", "all", "quarantine"],
)
async def test_where_else_a_search_finds(practice: Practice, which: LeadQuery, elsewhere: int, hidden: int) -> None:
    """With a caller on the line, who is in another list must not seem not to be there; a list that goes on says so."""
    await store(practice, 1, 2, first_name="Zoë")
    await store(practice, 3, first_name="Zoë", state=State.REACHED_OUT)
    await store(practice, 4, first_name="Zoë", quarantine=(Reason.TRAP,))
    await store(practice, 5)
    zoes = replace(which, words=["zoe"])
    page = await practice.inbox.page(GRACE, zoes)
    shortened = await practice.inbox.page(GRACE, replace(zoes, limit=1))
    first = shortened.items[0]
    rest = await practice.inbox.page(GRACE, replace(zoes, after=Position(first.created_at, first.id)))
    everybody = await practice.inbox.page(GRACE, replace(zoes, words=[]))

    assert (page.elsewhere, page.hidden) == (elsewhere, hidden)
    assert (rest.elsewhere, rest.hidden) == (everybody.elsewhere, everybody.hidden) == (0, 0)
    if shortened.has_more:
        assert (shortened.elsewhere, shortened.hidden) == (0, 0)


async def test_what_has_not_gone_out(practice: Practice) -> None:
    """What waits for a person comes first, failed before held, then the rest as it is due; with whose lead it is."""
    await owe(practice, 1, Status.PENDING, Status.HELD, Status.SENT)
    await owe(practice, 2, Status.FAILED, Status.SENDING, Status.HELD, Status.FAILED)
    await owe(practice, 3, Status.FAILED, firm=SECOND_FIRM)
    owed = await practice.inbox.unsettled(GRACE)

    assert [mail.delivery.id.int for mail in owed] == [200, 203, 101, 202, 100, 201]
    for mail in owed:
        assert mail.delivery in await practice.deliveries(mail.lead_id)
        assert (mail.reference, mail.name) == (lead(mail.lead_id.int).reference, "Ada Lovelace")
    for limit in range(8):
        assert await practice.inbox.unsettled(GRACE, limit) == owed[:limit]


async def trouble(practice: Practice) -> Trouble:
    """The trouble there is, which every page tells alike."""
    found = await practice.inbox.trouble(GRACE)
    assert (await practice.inbox.page(GRACE, LeadQuery())).trouble == found
    return found


async def test_failed_mail_is_trouble(practice: Practice) -> None:
    """What failed is counted, and nothing else, until somebody sends it again or the lead is erased."""
    attorney = await practice.user()
    await owe(practice, 1, Status.FAILED, Status.HELD, Status.SENT, Status.FAILED)
    await owe(practice, 2, Status.FAILED, firm=SECOND_FIRM)
    before = await trouble(practice)
    await practice.desk.retry(attorney, UUID(int=100))
    after = await trouble(practice)
    lead_page = await practice.inbox.lead(attorney, lead(1).id, LeadQuery())

    assert (before, after) == (Trouble(failed=2, late_since=None), Trouble(failed=1, late_since=None))
    assert lead_page.trouble == after


async def test_mail_that_failed_is_no_trouble_for_ever(practice: Practice) -> None:
    """It is counted until somebody has reached out, and is in the list even then."""
    attorney = await practice.user()
    await owe(practice, 1, Status.FAILED)
    await owe(practice, 2, Status.FAILED, purpose=Purpose.NOTIFICATION)
    before = await trouble(practice)
    for number in (1, 2):
        await practice.desk.change(attorney, lead(number).id, Change(state=State.REACHED_OUT))
    after = await trouble(practice)

    assert (before.failed, after.failed) == (2, 0)
    assert len(await practice.inbox.unsettled(GRACE)) == 2


async def test_who_was_deactivated_misses_no_mail(practice: Practice) -> None:
    """What could not be sent to somebody who left is no trouble; what could not be sent to a prospect there is."""
    admin, leaver = await practice.user(Role.ADMIN, "ada"), await practice.user(name="leaver")
    await owe(practice, 1, Status.FAILED, purpose=Purpose.NOTIFICATION, recipient=leaver.email)
    await owe(practice, 2, Status.FAILED, recipient=leaver.email)
    before = await trouble(practice)
    await practice.staff.update(admin, leaver.id, Update(is_active=False))
    after = await trouble(practice)

    assert (before.failed, after.failed) == (2, 1)


@pytest.mark.long
async def test_counting_failures_ends(practice: Practice) -> None:
    """A thousand failed deliveries are a thousand or more."""
    owed = [delivery(number, lead_id=lead().id) for number in range(1, COUNT_MAX + 3)]

    def work(tx: Transaction) -> None:
        tx.leads.add(lead())
        for some in (owed[:500], owed[500:]):
            record(tx, lead().submitted(), owed=some)
        tx.outbox.claim(NOW, len(owed), TOKEN)
        for each in owed[1:]:
            tx.outbox.fail(each.id, TOKEN, "never")
        tx.outbox.mark_sent([owed[0].id], TOKEN, NOW)

    await practice.database.write(FIRST_FIRM, work)

    assert await trouble(practice) == Trouble(COUNT_MAX, None)


async def test_mail_that_nobody_sends_is_trouble(practice: Practice) -> None:
    """What is due for more than ten minutes is late since it was due, the oldest of all; once sent it is not."""
    await practice.submit()
    practice.clock.advance(MOMENT)
    await practice.submit()
    practice.clock.at = NOW + LATE_AFTER
    in_time = await trouble(practice)
    practice.clock.advance(MOMENT)
    late = await trouble(practice)
    await practice.send_due()

    assert timedelta(minutes=10) == LATE_AFTER > LEASE
    assert (in_time, late) == (FINE, Trouble(0, NOW))
    assert await trouble(practice) == FINE


async def test_a_claim_that_ran_out_is_trouble(practice: Practice) -> None:
    """What was taken to be sent, tried before, and never settled is late when its claim is over for ten minutes."""
    await practice.submit()
    await practice.dispatch.claim(1)
    practice.clock.advance(LEASE)
    await practice.dispatch.claim(1)
    practice.clock.advance(LEASE + LATE_AFTER)
    in_time = await trouble(practice)
    practice.clock.advance(MOMENT)

    assert in_time == FINE
    assert await trouble(practice) == Trouble(0, NOW + 2 * LEASE)


async def test_what_waits_for_its_next_try_is_no_trouble(practice: Practice) -> None:
    """A mailbox that is full for a while delays one mail; it is late only if the next try does not come."""
    await practice.submit()
    practice.mailer.failure = DeliveryFailed("452 full", permanent=False)
    while (due := await practice.dispatch.next_due()) and due < NOW + timedelta(days=1):
        practice.clock.at = due
        await practice.send_due()
        assert await trouble(practice) == FINE
    assert due
    practice.clock.at = due + LATE_AFTER + MOMENT

    assert await trouble(practice) == Trouble(0, due)


async def test_an_attorney_who_is_not_told_is_trouble(practice: Practice) -> None:
    """While the mail server is away, every mail waits for its next try, and the one to the attorney is late."""
    await practice.user()
    await practice.submit()
    practice.mailer.failure = DeliveryFailed("the mail server does not answer", permanent=False)
    while (due := await practice.dispatch.next_due()) and due < NOW + timedelta(hours=1):
        practice.clock.at = due
        await practice.send_due()
        assert await trouble(practice) == (FINE if due <= NOW + LATE_AFTER else Trouble(0, NOW))
    practice.clock.advance(timedelta(hours=7))
    practice.mailer.failure = None
    await practice.send_due()

    assert await trouble(practice) == FINE


@pytest.mark.long
async def test_a_channel_that_is_down_is_trouble(practice: Practice) -> None:
    """While every attempt is undone, mail is late since it was owed, also between two attempts and during one."""
    await practice.submit()
    practice.mailer.failure = ChannelDown("535 wrong password")
    found = set[Trouble]()
    for minute in range(30):
        practice.clock.at = NOW + timedelta(minutes=minute)
        if minute == 5:
            await practice.submit()
        for letter in await practice.dispatch.claim(1):
            found |= {await trouble(practice)} if minute > 10 else set()
            with pytest.raises(ChannelDown):
                await practice.dispatch.deliver(letter)
        found |= {await trouble(practice)} if minute > 10 else set()
    practice.mailer.failure = None
    await practice.send_due()

    assert found == {Trouble(0, NOW)}
    assert await trouble(practice) == FINE


async def test_what_is_asked_for_after_days_is_not_late(practice: Practice) -> None:
    """A held mail that somebody sends is due from then on, not since it was owed."""
    attorney = await practice.user()
    await owe(practice, 1, Status.HELD)
    practice.clock.advance(GIVE_UP_AFTER)
    held = await trouble(practice)
    await practice.desk.retry(attorney, UUID(int=100))

    assert held == await trouble(practice) == FINE
    practice.clock.advance(LATE_AFTER + MOMENT)
    assert await trouble(practice) == Trouble(0, NOW + GIVE_UP_AFTER)
