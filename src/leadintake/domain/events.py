"""Events: facts about a lead, kept for ever as its audit trail and shown as its timeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventKind(StrEnum):
    """Every kind there is or ever was. A name is never reused for something else."""

    SUBMITTED = "lead.submitted"
    RELEASED = "lead.released"
    DISCARDED = "lead.discarded"
    REACHED_OUT = "lead.reached_out"
    NOTES_CHANGED = "lead.notes_changed"
    ERASED = "lead.erased"
    RESUME_OPENED = "resume.opened"
    DELIVERY_FAILED = "delivery.failed"
    DELIVERY_RETRIED = "delivery.retried"


class ActorKind(StrEnum):
    """Who can make something happen."""

    PROSPECT = "prospect"
    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made an event happen; `id` and `full_name` are known for users only."""

    kind: ActorKind
    id: UUID | None = None
    full_name: str | None = None


PROSPECT = Actor(ActorKind.PROSPECT)
SYSTEM = Actor(ActorKind.SYSTEM)


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `data` never repeats what the prospect typed, so that it may outlive an erasure."""

    lead_id: UUID
    kind: EventKind
    at: datetime
    actor: Actor
    data: Mapping[str, str | int] = field(default_factory=dict)
