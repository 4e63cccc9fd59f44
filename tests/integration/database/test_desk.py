"""What attorneys do with leads, and who may do what."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from tests.practice import OPERATOR, Practice
from tests.records import FIRST_FIRM, NOW, lead

from leadintake.application.desk import Change
from leadintake.application.ports.database import LeadQuery, Position, Transaction
from leadintake.application.views import EventView, ReachedOutBy
from leadintake.domain.delivery import Purpose, Status
from leadintake.domain.errors import (
    DeliveryFailed,
    FileUnavailable,
    IllegalTransition,
    Invalid,
    NotAllowed,
    NotFound,
    NotRetryable,
    Stale,
)
from leadintake.domain.events import SYSTEM, EventKind
from leadintake.domain.lead import State, notes_seen
from leadintake.domain.people import Role, User

UNKNOWN = UUID(int=404)
REACH_OUT = Change(state=State.REACHED_OUT)


async def timeline(practice: Practice, user: User, lead_id: UUID) -> list[EventKind]:
    """What happened to a lead."""
    return [event.kind for event in await practice.desk.events(user, lead_id)]


async def test_reaching_out(practice: Practice) -> None:
    """Moving a lead says who did it and when, in the lead and in its timeline."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    moved = await practice.desk.change(user, receipt.id, REACH_OUT)
    event = (await practice.desk.events(user, receipt.id))[-1]

    assert (moved.state, moved.version, moved.reached_out_at) == (State.REACHED_OUT, 2, NOW)
    assert moved.reached_out_by == ReachedOutBy(user.id, user.full_name)
    assert moved == await practice.desk.view(user, receipt.id)
    assert (event.kind, event.at, event.actor) == (EventKind.REACHED_OUT, NOW, user.actor)


async def test_a_refused_change_changes_nothing(practice: Practice) -> None:
    """Where the move is not allowed, or the notes cannot be kept, nothing of the change is done."""
    user, other = await practice.user(), await practice.user(name="joan")
    receipt, _ = await practice.submit()
    with pytest.raises(Invalid):
        await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT, "\0"))
    untouched = await practice.desk.view(user, receipt.id)
    moved = await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT, "called"))
    with pytest.raises(IllegalTransition) as refused:
        await practice.desk.change(other, receipt.id, Change(State.REACHED_OUT, "me too"))

    assert (untouched.state, untouched.version) == (State.PENDING, 1)
    assert (refused.value.by, refused.value.at) == (user.full_name, NOW)
    assert (moved.notes, moved.version) == ("called", 3)
    assert await practice.desk.view(user, receipt.id) == moved
    assert await timeline(practice, user, receipt.id) == [
        EventKind.SUBMITTED,
        EventKind.REACHED_OUT,
        EventKind.NOTES_CHANGED,
    ]


@pytest.mark.parametrize("versions", [frozenset(), frozenset({0, 3, 2**70})])
async def test_a_stale_change(practice: Practice, versions: frozenset[int]) -> None:
    """A change made for another version is refused; one made for this version, among others, is done."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    with pytest.raises(Stale):
        await practice.desk.change(user, receipt.id, Change(notes="x", versions=versions))
    changed = await practice.desk.change(user, receipt.id, Change(notes="y", versions=versions | {1}))

    assert (changed.notes, changed.version) == ("y", 2)


async def test_the_last_notes_win(practice: Practice) -> None:
    """Without a version, the last to write notes wins; writing the same again changes nothing."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    for notes in ("one", "two", "two"):
        await practice.desk.change(user, receipt.id, Change(notes=notes))
    changed = await practice.desk.view(user, receipt.id)

    assert (changed.notes, changed.version) == ("two", 3)
    assert (await timeline(practice, user, receipt.id)).count(EventKind.NOTES_CHANGED) == 2


async def test_notes_that_somebody_else_changed(practice: Practice) -> None:
    """Who saw other notes is refused, and nothing of the change is applied; who saw these, or repeats them, is not."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    blank, mine = notes_seen(""), notes_seen("mine")
    await practice.desk.change(user, receipt.id, Change(notes="mine", seen_notes=blank))
    for state in (None, State.REACHED_OUT):
        with pytest.raises(Stale):
            await practice.desk.change(user, receipt.id, Change(state, "theirs", seen_notes=blank))
    refused = await practice.desk.view(user, receipt.id)
    repeated = await practice.desk.change(user, receipt.id, Change(notes="mine", seen_notes=blank))
    await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT))
    changed = await practice.desk.change(user, receipt.id, Change(notes="both", seen_notes=mine))

    assert (refused.state, refused.notes, refused.version) == (State.PENDING, "mine", 2)
    assert repeated == refused
    assert (changed.notes, changed.version) == ("both", 4)
    assert (await timeline(practice, user, receipt.id)).count(EventKind.NOTES_CHANGED) == 2


async def test_notes_seen_for_no_notes(practice: Practice) -> None:
    """A change that leaves the notes still holds only while they are what was seen."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    await practice.desk.change(user, receipt.id, Change(notes="mine"))
    for seen in (notes_seen(""), "", "mine"):
        with pytest.raises(Stale):
            await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT, seen_notes=seen))
    moved = await practice.desk.change(user, receipt.id, Change(State.REACHED_OUT, seen_notes=notes_seen("mine")))

    assert (moved.state, moved.notes) == (State.REACHED_OUT, "mine")


@pytest.mark.asvs("V15.4.2")
async def test_fifty_notes_at_once(practice: Practice) -> None:
    """Of fifty who saw the same notes and write others at once one wins, and all others learn of it."""
    user = await practice.user()
    receipt, _ = await practice.submit()
    seen = notes_seen("")
    answers = await asyncio.gather(
        *(practice.desk.change(user, receipt.id, Change(notes=f"note {n}", seen_notes=seen)) for n in range(50)),
        return_exceptions=True,
    )
    stored = await practice.desk.view(user, receipt.id)

    assert [type(answer) for answer in answers].count(Stale) == 49
    assert [answer for answer in answers if not isinstance(answer, Stale)] == [stored]
    assert (await timeline(practice, user, receipt.id)).count(EventKind.NOTES_CHANGED) == 1


@pytest.mark.long
@pytest.mark.asvs("V2.3.4")
@pytest.mark.attack(141)
@pytest.mark.parametrize(("versions", "refusal"), [(None, IllegalTransition), (frozenset({1}), Stale)])
async def test_fifty_at_once(practice: Practice, versions: frozenset[int] | None, refusal: type[Exception]) -> None:
    """Of fifty moves at once one wins; the others are told that they are late, and the timeline has one (P19)."""
    users = [await practice.user(name=f"user{number}") for number in range(3)]
    receipt, _ = await practice.submit()
    moves = [
        practice.desk.change(users[number % 3], receipt.id, Change(State.REACHED_OUT, versions=versions))
        for number in range(50)
    ]
    answers = await asyncio.gather(*moves, return_exceptions=True)
    stored = await practice.desk.view(users[0], receipt.id)

    assert [type(answer) for answer in answers].count(refusal) == 49
    assert [answer for answer in answers if not isinstance(answer, refusal)] == [stored]
    assert stored.version == 2
    assert (await timeline(practice, users[0], receipt.id)).count(EventKind.REACHED_OUT) == 1
    if refusal is IllegalTransition:
        assert stored.reached_out_by
        assert {answer.by for answer in answers if isinstance(answer, IllegalTransition)} == {
            stored.reached_out_by.full_name
        }


async def test_pages(practice: Practice) -> None:
    """A page says where the next one starts, and the last says that there is none."""
    user = await practice.user()

    def work(tx: Transaction) -> None:
        for number in range(1, 6):
            tx.leads.add(lead(number))

    await practice.database.write(FIRST_FIRM, work)
    first = await practice.page(user, LeadQuery(limit=2))
    whole = await practice.page(user, LeadQuery(limit=5))
    last = await practice.page(user, LeadQuery(limit=2, after=Position(NOW, UUID(int=3))))

    assert ([view.id.int for view in first.items], first.next) == ([5, 4], Position(NOW, UUID(int=4)))
    assert ([view.id.int for view in whole.items], whole.next) == ([5, 4, 3, 2, 1], None)
    assert ([view.id.int for view in last.items], last.next) == ([2, 1], None)


async def test_opening_a_resume(practice: Practice) -> None:
    """The bytes come back as they were sent, and the timeline says who opened them, even if they are lost."""
    user = await practice.user()
    receipt, _ = await practice.submit(b"the bytes")
    resume, content = await practice.desk.open_resume(user, receipt.id)
    assert not isinstance(content, str)
    sent = b"".join([chunk async for chunk in content])
    practice.files.kept.clear()
    with pytest.raises(FileUnavailable):
        await practice.desk.open_resume(user, receipt.id)

    assert (resume.name, resume.size, sent) == ("cv.pdf", 9, b"the bytes")
    assert await timeline(practice, user, receipt.id) == [EventKind.SUBMITTED] + [EventKind.RESUME_OPENED] * 2
    assert (await practice.desk.view(user, receipt.id)).version == 1


async def test_linking_to_a_resume(practice: Practice) -> None:
    """A store that makes links hands the file out itself where asked to, once the timeline says who opened it."""
    user = await practice.user()
    receipt, _ = await practice.submit(b"the bytes")
    _, of_another_store = await practice.desk.open_resume(user, receipt.id, by_link=True)
    practice.files.address = "https://store.example"
    _, link = await practice.desk.open_resume(user, receipt.id, by_link=True)
    _, unasked = await practice.desk.open_resume(user, receipt.id)
    [path] = practice.files.kept

    for content in (of_another_store, unasked):
        assert not isinstance(content, str)
        assert b"".join([chunk async for chunk in content]) == b"the bytes"
    assert link == f"https://store.example/{path}"
    assert await timeline(practice, user, receipt.id) == [EventKind.SUBMITTED] + [EventKind.RESUME_OPENED] * 3


async def failed_delivery(practice: Practice) -> tuple[UUID, UUID]:
    """A lead and its confirmation, which was refused for good."""
    receipt, _ = await practice.submit()
    practice.mailer.failure = DeliveryFailed("no such mailbox", permanent=True)
    await practice.send_due()
    practice.mailer.failure = None
    [confirmation] = [each for each in await practice.deliveries(receipt.id) if each.purpose is Purpose.CONFIRMATION]
    return receipt.id, confirmation.id


@pytest.mark.parametrize("by_operator", [True, False])
async def test_sending_again(practice: Practice, by_operator: bool) -> None:  # noqa: FBT001 - a parameter
    """A failed delivery is sent again by whoever asks for it, at once, and the timeline says so."""
    user = await practice.user()
    lead_id, delivery_id = await failed_delivery(practice)
    asked = await practice.desk.retry(OPERATOR if by_operator else user, delivery_id)
    await practice.send_due()
    event = (await practice.desk.events(user, lead_id))[-1]
    [sent] = [each for each in await practice.desk.deliveries(user, lead_id) if each.id == delivery_id]

    assert (sent.status, sent.attempts) == (Status.SENT, 2)
    assert (asked.status, asked.next_attempt_at, asked.last_error) == (Status.PENDING, NOW, None)
    assert practice.wakes == 2
    assert [letter.attempt for letter in practice.mailer.sent] == [2]
    assert (event.kind, event.data) == (EventKind.DELIVERY_RETRIED, {"delivery_id": str(delivery_id)})
    assert event.actor == (SYSTEM if by_operator else user.actor)


async def test_what_cannot_be_sent_again(practice: Practice) -> None:
    """What is pending, being sent, or sent is not sent again, and of many who ask at once one is heard."""
    user = await practice.user()
    _, delivery_id = await failed_delivery(practice)
    answers = await asyncio.gather(*(practice.desk.retry(user, delivery_id) for _ in range(10)), return_exceptions=True)
    await practice.dispatch.claim(1)
    with pytest.raises(NotRetryable):
        await practice.desk.retry(user, delivery_id)

    assert [type(answer) for answer in answers].count(NotRetryable) == 9


async def test_erasing(practice: Practice) -> None:
    """Of an erased lead nothing stays but its timeline, and nobody in it but those who worked on it."""
    admin = await practice.user(Role.ADMIN)
    receipt, _ = await practice.submit(first_name="Wilhelmina", file_name="Wilhelmina.pdf")
    await practice.desk.change(admin, receipt.id, Change(notes="Wilhelmina called"))
    await practice.desk.erase(admin, receipt.id)
    events: list[EventView] = await practice.desk.events(admin, receipt.id)

    assert practice.files.kept == {}
    assert await practice.send_due() == []
    assert (events[-1].kind, events[-1].actor) == (EventKind.ERASED, admin.actor)
    assert events[-1].data == {"reference": receipt.reference}
    assert "Wilhelmina" not in repr(events)
    for gone in (
        practice.desk.view(admin, receipt.id),
        practice.desk.deliveries(admin, receipt.id),
        practice.desk.open_resume(admin, receipt.id),
        practice.desk.change(admin, receipt.id, REACH_OUT),
        practice.desk.erase(admin, receipt.id),
    ):
        with pytest.raises(NotFound):
            await gone


VERBS: dict[str, Callable[[Practice, User], Awaitable[object]]] = {
    "view": lambda practice, user: practice.desk.view(user, UNKNOWN),
    "change": lambda practice, user: practice.desk.change(user, UNKNOWN, REACH_OUT),
    "open_resume": lambda practice, user: practice.desk.open_resume(user, UNKNOWN),
    "events": lambda practice, user: practice.desk.events(user, UNKNOWN),
    "deliveries": lambda practice, user: practice.desk.deliveries(user, UNKNOWN),
    "retry": lambda practice, user: practice.desk.retry(user, UNKNOWN),
    "erase": lambda practice, user: practice.desk.erase(user, UNKNOWN),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_unknown_ids(practice: Practice, verb: str) -> None:
    """There is nothing under an id that nobody gave."""
    with pytest.raises(NotFound):
        await VERBS[verb](practice, await practice.user(Role.ADMIN))


async def test_attorneys_erase_nothing(practice: Practice) -> None:
    """Only an admin may erase, and an attorney is not even told what there is."""
    attorney = await practice.user()
    receipt, _ = await practice.submit()
    for lead_id in (receipt.id, UNKNOWN):
        with pytest.raises(NotAllowed):
            await practice.desk.erase(attorney, lead_id)

    assert len(await practice.leads()) == 1
