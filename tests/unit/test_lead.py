from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records import NOW, lead, user

from leadintake.domain.errors import IllegalTransition, Invalid, Stale
from leadintake.domain.events import PROSPECT, EventKind
from leadintake.domain.lead import MOVES, NOTES_MAX_CHARACTERS, Handled, Notice, State, notes_seen
from leadintake.domain.resume import Kind
from leadintake.domain.suspicion import Reason

GRACE = user(1, full_name="Grace Hopper")
JOAN = user(2, full_name="Joan Clarke")
LATER = NOW + timedelta(hours=1)
LEGAL = [(State.PENDING, State.REACHED_OUT)]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
steps = st.lists(st.one_of(st.sampled_from(State), texts), max_size=12)


def test_arrival() -> None:
    """A lead arrives pending, by the prospect's hand; its event says what the file is, and nothing that was typed."""
    event = lead().submitted()

    assert (lead().state, lead().version, lead().notes, lead().reached_out) == (State.PENDING, 1, "", None)
    assert (event.kind, event.actor, event.at) == (EventKind.SUBMITTED, PROSPECT, NOW)
    assert event.data == {"resume_kind": Kind.PDF, "resume_size": 1234}


def test_arrival_with_a_notice() -> None:
    """What the prospect was told is kept with the event, and when, in UTC; the settings may change, the record not."""
    event = lead().submitted(Notice("No relationship.\n\nNothing confidential.", NOW))

    assert event.data == {
        "resume_kind": Kind.PDF,
        "resume_size": 1234,
        "notice": "No relationship.\n\nNothing confidential.",
        "notice_shown_at": f"{NOW:%Y-%m-%dT%H:%M:%S}Z",
    }


@pytest.mark.asvs("V2.3.1")
@pytest.mark.attack(138)
@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_moves(before: State, after: State) -> None:
    """The only move is from pending to reached out; any other is refused and changes nothing."""
    moved = lead(state=before)
    untouched = replace(moved)

    if (before, after) in LEGAL:
        event = moved.move(after, by=GRACE, at=LATER)

        assert (moved.state, moved.version, moved.updated_at) == (after, 2, LATER)
        assert moved.reached_out == Handled(GRACE.id, "Grace Hopper", LATER)
        assert (event.kind, event.at, event.actor) == (EventKind.REACHED_OUT, LATER, GRACE.actor)
    else:
        with pytest.raises(IllegalTransition):
            moved.move(after, by=GRACE, at=LATER)

        assert moved == untouched


def test_table_names_every_state() -> None:
    """A state that is added must say where it leads."""
    assert MOVES.keys() == set(State)


@pytest.mark.parametrize("again", State)
def test_who_was_first(again: State) -> None:
    """Whoever comes second is told who was first, and when."""
    moved = lead()
    moved.move(State.REACHED_OUT, by=GRACE, at=NOW)

    with pytest.raises(IllegalTransition) as refused:
        moved.move(again, by=JOAN, at=LATER)

    assert (refused.value.by, refused.value.at) == ("Grace Hopper", NOW)
    assert moved.reached_out == Handled(GRACE.id, "Grace Hopper", NOW)


def test_nobody_was_first() -> None:
    """A pending lead cannot become pending, and nobody is named for it."""
    with pytest.raises(IllegalTransition, match="PENDING already") as refused:
        lead().move(State.PENDING, by=GRACE, at=LATER)

    assert (refused.value.by, refused.value.at) == (None, None)


@given(steps)
def test_version_counts_changes(wanted: list[State | str]) -> None:
    """Whatever is asked in whatever order, the version counts what changed, and a refusal leaves no trace."""
    changed = lead()
    changes = 0
    for minute, step in enumerate(wanted):
        before, at = replace(changed), NOW + timedelta(minutes=minute)
        event = None
        try:
            if isinstance(step, State):
                event = changed.move(step, by=GRACE, at=at)
            else:
                event = changed.annotate(step, by=GRACE.actor, at=at)
        except IllegalTransition:
            assert (before.state, step) not in LEGAL
        if event is None:
            assert changed == before
        else:
            changes += 1
            assert changed.updated_at == event.at == at

    assert changed.version == 1 + changes
    assert (changed.state is State.REACHED_OUT) == (State.REACHED_OUT in wanted) == (changed.reached_out is not None)
    assert changed.notes == next((step for step in reversed(wanted) if not isinstance(step, State)), "")


def test_notes_are_kept_out_of_the_event() -> None:
    """The event says how long the notes are, not what they say."""
    annotated = lead()
    event = annotated.annotate("call after five", by=GRACE.actor, at=LATER)

    assert event is not None
    assert (event.kind, event.actor, event.data) == (EventKind.NOTES_CHANGED, GRACE.actor, {"characters": 15})
    assert annotated.notes == "call after five"


@pytest.mark.parametrize("notes", ["", "x" * NOTES_MAX_CHARACTERS, "😀" * NOTES_MAX_CHARACTERS, "a\r\n\tb\u202e\x1b"])
def test_notes_are_any_text(notes: str) -> None:
    """Notes are kept as they are, up to their length in code points."""
    annotated = lead(notes="before")
    annotated.annotate(notes, by=GRACE.actor, at=LATER)

    assert annotated.notes == notes


@pytest.mark.parametrize("notes", ["x" * (NOTES_MAX_CHARACTERS + 1), "a\0b", "\ud800", "a\udfff"])
def test_notes_that_cannot_be_kept(notes: str) -> None:
    """Too long, or no text: refused with the field's name, and the notes before stay."""
    annotated = lead(notes="before")

    with pytest.raises(Invalid) as refused:
        annotated.annotate(notes, by=GRACE.actor, at=LATER)

    assert [error.field for error in refused.value.errors] == ["notes"]
    assert annotated == lead(notes="before")


@given(texts, texts)
def test_notes_that_were_seen(one: str, other: str) -> None:
    """Notes have one fingerprint, in hexadecimal digits, and other notes have another."""
    first, second = notes_seen(one), notes_seen(other)

    assert len(bytes.fromhex(first)) == 32
    assert (first == second) == (one == other)


AGO = NOW - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("state", "quarantine", "changed", "event"),
    [
        (State.REACHED_OUT, (), AGO, EventKind.ERASED),
        (State.REACHED_OUT, (), NOW, None),
        (State.PENDING, (Reason.TRAP,), AGO, EventKind.DISCARDED),
        (State.PENDING, (Reason.TRAP,), NOW, None),
        (State.PENDING, (), AGO, None),
    ],
)
def test_expiry(state: State, quarantine: tuple[Reason, ...], changed: datetime, event: EventKind | None) -> None:
    """What nobody has changed since a moment goes; nothing that was changed then does, nor who waits for an answer."""
    old = lead(state=state, quarantine=quarantine, updated_at=changed)

    if event:
        assert old.expired(unchanged_since=NOW, at=LATER).kind is event
    else:
        with pytest.raises(Stale):
            old.expired(unchanged_since=NOW, at=LATER)


def test_erasure_leaves_the_reference() -> None:
    """What stays of an erased lead names it, and nobody."""
    event = lead().erased(by=GRACE.actor, at=LATER)

    assert (event.kind, event.data) == (EventKind.ERASED, {"reference": lead().reference})
