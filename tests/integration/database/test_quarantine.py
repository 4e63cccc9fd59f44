"""What looks as if a robot had sent it: kept apart, released once, or discarded; on either database."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.practice import FASTEST_PERSON, Practice
from tests.records import NOW

from leadintake.application.desk import Change
from leadintake.application.owing import Limit
from leadintake.application.ports.database import LeadQuery, Position
from leadintake.application.views import Receipt
from leadintake.domain.delivery import Purpose, Status
from leadintake.domain.errors import IllegalTransition, NotFound, NotQuarantined
from leadintake.domain.events import EventKind
from leadintake.domain.lead import Notice, State
from leadintake.domain.people import User
from leadintake.domain.suspicion import Reason

APART = LeadQuery(quarantined=True)
HASTY = Notice("No relationship.", NOW)


async def suspicious(practice: Practice, key: str | None = None, **form: Any) -> Receipt:
    """What a robot sent that fills in every field."""
    return (await practice.submit(key=key, trap="https://evil.example", **form))[0]


async def ids(practice: Practice, user: User, query: LeadQuery) -> list[UUID]:
    """The leads of a list."""
    return [view.id for view in (await practice.page(user, query)).items]


async def test_nothing_goes_out(practice: Practice) -> None:
    """It is stored and answered as any other, and owes nothing; the operator hears of it without what was typed."""
    user = await practice.user()
    receipt = await suspicious(practice)
    view = await practice.desk.view(user, receipt.id)
    [event] = await practice.desk.events(user, receipt.id)

    assert (view.reference, view.state, view.quarantine) == (
        receipt.reference,
        State.PENDING,
        [Reason.TRAP, Reason.NO_TICKET],
    )
    assert event.data["quarantine"] == "trap no-ticket"
    assert await practice.deliveries(receipt.id) == []
    assert await practice.send_due() == []
    assert practice.wakes == 0
    assert practice.told == [(receipt.id, (Reason.TRAP, Reason.NO_TICKET))]


@pytest.mark.parametrize(
    ("waited", "reasons"), [(timedelta(), [Reason.TOO_FAST]), (FASTEST_PERSON, []), (timedelta(days=3), [])]
)
async def test_haste(practice: Practice, waited: timedelta, reasons: list[Reason]) -> None:
    """Whoever takes the time that people take is no robot."""
    practice.clock.advance(waited)
    receipt, _ = await practice.submit(notice=HASTY, trap="")
    lead = await practice.desk.view(await practice.user(), receipt.id)

    assert lead.quarantine == reasons
    assert practice.told == ([(receipt.id, tuple(reasons))] if reasons else [])


async def test_only_what_is_asked_for_has_it(practice: Practice) -> None:
    """No list, count, search, neighbour or notice of new leads knows of it, but those of the quarantine."""
    user = await practice.user()
    one = (await practice.submit(last_name="Byron"))[0]
    practice.clock.advance(timedelta(minutes=1))
    apart = await suspicious(practice, last_name="Byron")
    practice.clock.advance(timedelta(minutes=1))
    two = (await practice.submit(last_name="Byron"))[0]
    byron, pending = LeadQuery(words=["byr"]), LeadQuery(state=State.PENDING)
    page = await practice.inbox.page(user, LeadQuery())
    middle = await practice.inbox.lead(user, apart.id, LeadQuery())
    alone = await practice.inbox.lead(user, apart.id, APART)

    for query in (LeadQuery(), byron, pending, replace(byron, state=State.PENDING)):
        assert await ids(practice, user, query) == [two.id, one.id]
        assert await ids(practice, user, replace(query, quarantined=True)) == [apart.id]
    assert await ids(practice, user, LeadQuery(words=["lovelace"], quarantined=True)) == []
    assert (page.counts[State.PENDING], page.quarantined) == (2, 1)
    assert page.newest == Position(two.created_at, two.id)
    assert (middle.previous, middle.next, alone.previous, alone.next) == (two.id, one.id, None, None)
    assert await practice.inbox.arrived_since(user, Position(one.created_at, one.id)) == 1


async def test_a_repeat_gets_the_same_receipt(practice: Practice) -> None:
    """Who sends the form again learns nothing, and makes nothing, released or not."""
    user = await practice.user()
    receipt = await suspicious(practice, key="key")
    again = await practice.submit(key="key", trap="")
    await practice.desk.release(user, receipt.id)
    late = await practice.submit(key="key", trap="something")

    assert again == late == (receipt, True)
    assert len(practice.told) == 1
    assert len(await practice.deliveries(receipt.id)) == 2


async def test_release(practice: Practice) -> None:
    """From then on it is a lead like any other, found by its words, and its mails go out once."""
    user = await practice.user()
    receipt = await suspicious(practice, last_name="Byron")
    practice.clock.advance(timedelta(days=30))
    view = await practice.desk.release(user, receipt.id)
    sent = await practice.send_due()
    event = (await practice.desk.events(user, receipt.id))[-1]

    assert (view.quarantine, view.version, view.created_at) == ([], 2, receipt.created_at)
    assert (event.kind, event.actor, event.at) == (EventKind.RELEASED, user.actor, practice.clock())
    assert await ids(practice, user, LeadQuery(words=["byron"])) == [receipt.id]
    assert await ids(practice, user, APART) == []
    assert practice.wakes == 1
    assert len(sent) == 2
    assert {letter.purpose for letter in practice.mailer.sent} == set(Purpose)
    assert await practice.send_due() == []
    with pytest.raises(NotQuarantined):
        await practice.desk.release(user, receipt.id)


async def test_twenty_releases_at_once(practice: Practice) -> None:
    """One wins, the others learn of it, and each mail is owed once."""
    user = await practice.user()
    receipt = await suspicious(practice)
    answers = await asyncio.gather(
        *(practice.desk.release(user, receipt.id) for _ in range(20)), return_exceptions=True
    )
    events = await practice.desk.events(user, receipt.id)

    assert [type(answer) for answer in answers].count(NotQuarantined) == 19
    assert [event.kind for event in events] == [EventKind.SUBMITTED, EventKind.RELEASED]
    assert len(await practice.deliveries(receipt.id)) == 2


async def test_releasing_and_discarding_at_once(practice: Practice) -> None:
    """Whichever comes first holds, and the other is refused."""
    user = await practice.user()
    for _ in range(10):
        receipt = await suspicious(practice)
        answers = await asyncio.gather(
            practice.desk.release(user, receipt.id), practice.desk.discard(user, receipt.id), return_exceptions=True
        )
        last = (await practice.desk.events(user, receipt.id))[-1].kind

        assert [isinstance(answer, NotQuarantined | NotFound) for answer in answers].count(True) == 1
        assert last == (EventKind.DISCARDED if isinstance(answers[0], Exception) else EventKind.RELEASED)


async def test_a_release_keeps_to_the_caps(practice: Practice) -> None:
    """Whoever releases a flood fills no stranger's mailbox; and what is in quarantine takes nobody's share."""
    practice.rules = replace(practice.rules, confirmations_per_mailbox=Limit(1, timedelta(days=1)))
    user = await practice.user()
    flood = [await suspicious(practice) for _ in range(3)]
    first, _ = await practice.submit()
    await practice.desk.release(user, flood[0].id)

    assert [(await practice.deliveries(receipt.id))[0].status for receipt in (first, flood[0])] == [
        Status.PENDING,
        Status.HELD,
    ]


async def test_discard(practice: Practice) -> None:
    """Nothing stays but the timeline, with who did it and why it was there, and nothing that was typed."""
    user = await practice.user()
    receipt = await suspicious(practice, key="key", first_name="Wilhelmina", file_name="Wilhelmina.pdf")
    await practice.desk.discard(user, receipt.id)
    events = await practice.desk.events(user, receipt.id)

    assert practice.files.kept == {}
    assert (events[-1].kind, events[-1].actor) == (EventKind.DISCARDED, user.actor)
    assert events[-1].data == {"reference": receipt.reference, "quarantine": "trap no-ticket"}
    assert "Wilhelmina" not in repr(events)
    for gone in (practice.desk.view, practice.desk.release, practice.desk.discard):
        with pytest.raises(NotFound):
            await gone(user, receipt.id)


async def test_nobody_but_an_admin_deletes_a_lead(practice: Practice) -> None:
    """An attorney can discard what is in quarantine, and nothing else; nothing is lost by trying."""
    user = await practice.user()
    plain, _ = await practice.submit()
    released = await suspicious(practice)
    await practice.desk.release(user, released.id)
    for receipt in (plain, released):
        with pytest.raises(NotQuarantined):
            await practice.desk.discard(user, receipt.id)

    assert len(await practice.leads()) == len(practice.files.kept) == 2


async def test_what_can_be_done_in_quarantine(practice: Practice) -> None:
    """Notes are taken and the resume opened; nobody reaches out before it is released."""
    user = await practice.user()
    receipt = await suspicious(practice)
    await practice.desk.change(user, receipt.id, Change(notes="Is she real?"))
    await practice.desk.open_resume(user, receipt.id)
    with pytest.raises(IllegalTransition, match="Release it first"):
        await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT))
    await practice.desk.release(user, receipt.id)
    moved = await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT))

    assert (moved.state, moved.notes, moved.version) == (State.REACHED_OUT, "Is she real?", 4)
