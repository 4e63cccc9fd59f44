from typing import cast

from tests.records import NOW, user

from leadintake.application.views import EventView
from leadintake.domain.events import PROSPECT, Actor, EventKind
from leadintake.entrypoints.web.words import happened, timeline

GRACE, JOAN = (user(number, full_name=name).actor for number, name in enumerate(("Grace Hopper", "Joan Clarke"), 1))


def event(number: int, kind: EventKind, actor: Actor) -> EventView:
    """An event of a timeline."""
    return EventView(number, kind, NOW, actor, {})


def test_what_a_timeline_tells() -> None:
    """The newest first; of one person's changes to the notes in a row the last, and everything else."""
    events = [
        event(1, EventKind.SUBMITTED, PROSPECT),
        event(2, EventKind.RESUME_OPENED, GRACE),
        event(3, EventKind.RESUME_OPENED, GRACE),
        event(4, EventKind.NOTES_CHANGED, GRACE),
        event(5, EventKind.NOTES_CHANGED, GRACE),
        event(6, EventKind.NOTES_CHANGED, JOAN),
        event(7, EventKind.NOTES_CHANGED, GRACE),
        event(8, EventKind.REACHED_OUT, GRACE),
        event(9, EventKind.NOTES_CHANGED, GRACE),
    ]

    assert [told.id for told in timeline(events)] == [9, 8, 7, 6, 5, 3, 2, 1]


def test_an_event_of_a_newer_version() -> None:
    """It is told by its name, so that the lead can be read beside it."""
    assert happened(event(1, cast("EventKind", "lead.merged"), GRACE)) == "Grace Hopper: lead.merged"
