"""What every Database promises of events: kept in order, for ever, and as they were."""

from datetime import timedelta

from tests.records import FIRST_FIRM, NOW, lead, user

from leadintake.application.ports.database import Database, Transaction
from leadintake.domain.events import PROSPECT, SYSTEM, Actor, ActorKind, Event, EventKind


async def test_a_timeline(database: Database) -> None:
    """Events come back in the order they were written, whatever their times, with who made them and all their data."""
    data: dict[str, str | int] = {"text": "Zoë '\" \\ 李 😀", "number": 2**53 - 1, "negative": -1, "empty": ""}
    written = [
        Event(lead().id, EventKind.SUBMITTED, NOW, PROSPECT, data),
        Event(lead().id, EventKind.NOTES_CHANGED, NOW, user().actor, {"characters": 0}),
        Event(lead().id, EventKind.DELIVERY_FAILED, NOW - timedelta(days=1), SYSTEM),
    ]

    def work(tx: Transaction) -> list[int]:
        tx.people.add(user(), "hash")
        tx.events.add(Event(lead(2).id, EventKind.SUBMITTED, NOW, PROSPECT))
        return [event_id for event in written for event_id in tx.events.add(event)]

    ids = await database.write(FIRST_FIRM, work)
    found = await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead().id))

    assert [(Event(lead().id, view.kind, view.at, view.actor, view.data), view.id) for view in found] == [
        *zip(written, ids, strict=True)
    ]
    assert ids == sorted(set(ids))


async def test_parts_of_a_timeline(database: Database) -> None:
    """A long one is read in parts, from its beginning or its end, and none is skipped or comes twice."""

    def work(tx: Transaction) -> list[int]:
        tx.events.add(Event(lead(2).id, EventKind.SUBMITTED, NOW, PROSPECT))
        return tx.events.add(*[Event(lead().id, EventKind.NOTES_CHANGED, NOW, SYSTEM)] * 5)

    ids = await database.write(FIRST_FIRM, work)

    async def part(after: int) -> list[int]:
        found = await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead().id, after=after, limit=2))
        return [view.id for view in found]

    async def last(before: int | None) -> list[int]:
        found = await database.read(FIRST_FIRM, lambda tx: tx.events.latest(lead().id, 2, before=before))
        return [view.id for view in found]

    assert [await part(after) for after in (0, ids[1], ids[3], ids[4])] == [ids[:2], ids[2:4], ids[4:], []]
    assert [await last(before) for before in (None, ids[3], ids[1], ids[0])] == [ids[3:], ids[1:3], ids[:1], []]


async def test_actors_by_their_names_of_today(database: Database) -> None:
    """Who is renamed has the new name in the timeline too."""

    def work(tx: Transaction) -> None:
        tx.people.add(user(), "hash")
        tx.events.add(Event(lead().id, EventKind.RESUME_OPENED, NOW, user().actor))
        tx.people.save(user(full_name="Joan Clarke"))

    await database.write(FIRST_FIRM, work)
    [event] = await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead().id))

    assert event.actor == Actor(ActorKind.USER, user().id, "Joan Clarke")


async def test_every_kind(database: Database) -> None:
    """Every kind of event there is or ever was can be kept."""

    def work(tx: Transaction) -> None:
        for kind in EventKind:
            tx.events.add(Event(lead().id, kind, NOW, SYSTEM))

    await database.write(FIRST_FIRM, work)
    found = await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead().id))

    assert [event.kind for event in found] == list(EventKind)
    assert await database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead(2).id)) == []
