"""The lead: one enquiry, and all that may happen to it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from leadintake.domain.errors import FieldError, IllegalTransition, Invalid, NotQuarantined, Stale
from leadintake.domain.events import PROSPECT, SYSTEM, Actor, Event, EventKind
from leadintake.domain.people import User
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.suspicion import Reason

NOTES_MAX_CHARACTERS = 10_000


class State(StrEnum):
    """Where a lead stands."""

    PENDING = "PENDING"
    REACHED_OUT = "REACHED_OUT"


MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.REACHED_OUT}),
    State.REACHED_OUT: frozenset(),
}
"""The one table of allowed moves."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The uploaded file: where it lies in the store and what is known about it. `size` is in bytes, `sha256` in hex."""

    path: str
    name: str
    kind: Kind
    size: int
    sha256: str
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True, slots=True)
class Notice:
    """What a prospect was told before sending the form, and when."""

    text: str
    shown_at: datetime


@dataclass(frozen=True, slots=True)
class Handled:
    """Who reached out, and when."""

    by: UUID
    full_name: str
    at: datetime


@dataclass(slots=True)
class Lead:
    """One enquiry. Each verb changes it and returns the event that says so; `version` counts the changes.

    With reasons in `quarantine` it is kept apart: it owes no mail, and only notes can be taken until it is released.
    """

    id: UUID
    reference: str
    first_name: str
    last_name: str
    email: str
    resume: Resume
    created_at: datetime
    updated_at: datetime
    state: State = State.PENDING
    notes: str = ""
    reached_out: Handled | None = None
    version: int = 1
    quarantine: tuple[Reason, ...] = ()

    def submitted(self, notice: Notice | None = None) -> Event:
        """The event of the lead's arrival. It keeps the notice, because what the firm tells prospects changes."""
        data: dict[str, str | int] = {"resume_kind": self.resume.kind.value, "resume_size": self.resume.size}
        if notice:
            data |= {"notice": notice.text, "notice_shown_at": notice.shown_at.isoformat().replace("+00:00", "Z")}
        if self.quarantine:
            data |= {"quarantine": " ".join(self.quarantine)}
        return Event(self.id, EventKind.SUBMITTED, self.created_at, PROSPECT, data)

    def move(self, to: State, *, by: User, at: datetime) -> Event:
        """Move to another state; raises IllegalTransition, saying who was first, where MOVES does not allow it."""
        if self.quarantine:
            raise IllegalTransition("The lead is in quarantine. Release it first.", by=None, at=None)
        if to not in MOVES[self.state]:
            first = self.reached_out
            raise IllegalTransition(
                f"The lead is {self.state} already."
                if to == self.state
                else f"A lead cannot go from {self.state} to {to}.",
                by=first.full_name if first else None,
                at=first.at if first else None,
            )
        self.state = to
        self.reached_out = Handled(by.id, by.full_name, at)
        self._changed(at)
        return Event(self.id, EventKind.REACHED_OUT, at, by.actor)

    def release(self, *, by: User, at: datetime) -> Event:
        """Take it out of quarantine; raises NotQuarantined."""
        if not self.quarantine:
            raise NotQuarantined
        self.quarantine = ()
        self._changed(at)
        return Event(self.id, EventKind.RELEASED, at, by.actor)

    def annotate(self, notes: str, *, by: Actor, at: datetime) -> Event | None:
        """Replace the notes; None when they say the same already. Raises Invalid when they cannot be kept."""
        if len(notes) > NOTES_MAX_CHARACTERS:
            raise Invalid(FieldError("notes", f"Use at most {NOTES_MAX_CHARACTERS:,} characters."))
        if "\0" in notes or any("\ud800" <= c <= "\udfff" for c in notes):
            raise Invalid(FieldError("notes", "Remove the characters that are not text."))
        if notes == self.notes:
            return None
        self.notes = notes
        self._changed(at)
        return Event(self.id, EventKind.NOTES_CHANGED, at, by, {"characters": len(notes)})

    def opened(self, *, by: Actor, at: datetime) -> Event:
        """The event of somebody opening the resume."""
        return Event(self.id, EventKind.RESUME_OPENED, at, by)

    def erased(self, *, by: Actor, at: datetime) -> Event:
        """The event that stays when everything else of the lead is gone."""
        return Event(self.id, EventKind.ERASED, at, by, {"reference": self.reference})

    def discarded(self, *, by: Actor, at: datetime) -> Event:
        """The event that stays of a lead that is thrown away from quarantine; raises NotQuarantined."""
        if not self.quarantine:
            raise NotQuarantined
        data = {"reference": self.reference, "quarantine": " ".join(self.quarantine)}
        return Event(self.id, EventKind.DISCARDED, at, by, data)

    def expired(self, *, unchanged_since: datetime, at: datetime) -> Event:
        """The event that stays of a lead that was kept long enough.

        Raises Stale where somebody has changed it since then, and for a lead that still waits for an answer: that is
        never too old.
        """
        if self.updated_at >= unchanged_since or (self.state is State.PENDING and not self.quarantine):
            raise Stale
        return self.discarded(by=SYSTEM, at=at) if self.quarantine else self.erased(by=SYSTEM, at=at)

    def _changed(self, at: datetime) -> None:
        self.updated_at = at
        self.version += 1


def notes_seen(notes: str) -> str:
    """The fingerprint of notes that somebody saw, SHA-256 in hex."""
    return hashlib.sha256(notes.encode()).hexdigest()
