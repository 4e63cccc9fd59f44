"""What callers are shown. Leads, users and deliveries themselves are never serialised; these are."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from leadintake.domain.delivery import Channel, Purpose, Status
from leadintake.domain.events import Actor, EventKind
from leadintake.domain.lead import State
from leadintake.domain.people import Role
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.suspicion import Reason


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that a prospect is told about a stored submission."""

    id: UUID
    reference: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReachedOutBy:
    """The user who reached out."""

    id: UUID
    full_name: str


@dataclass(frozen=True, slots=True)
class LeadView:
    """A lead as attorneys see it."""

    id: UUID
    reference: str
    first_name: str
    last_name: str
    email: str
    state: State
    notes: str
    resume_path: str
    resume_name: str
    resume_kind: Kind
    resume_size: int
    resume_sha256: str
    resume_flags: list[Flag]
    created_at: datetime
    updated_at: datetime
    reached_out_at: datetime | None
    reached_out_by: ReachedOutBy | None
    version: int
    quarantine: list[Reason]


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of a lead's timeline."""

    id: int
    kind: EventKind
    at: datetime
    actor: Actor
    data: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One notification and how far it got."""

    id: UUID
    channel: Channel
    purpose: Purpose
    recipient: str
    status: Status
    attempts: int
    next_attempt_at: datetime | None
    sent_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class OwedMail:
    """A notification that has not gone out, with whose enquiry it is about."""

    delivery: DeliveryView
    lead_id: UUID
    reference: str
    name: str


class MailStatus(StrEnum):
    """The worst status that any mail of a lead has; members are listed worst first. `none` is a lead without mails."""

    FAILED = "failed"
    HELD = "held"
    PENDING = "pending"
    SENT = "sent"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as shown to admins and to the user.

    `password_expires_at` is when a password that somebody else set runs out, or did; null once the user has changed it.
    """

    id: UUID
    email: str
    full_name: str
    role: Role
    is_active: bool
    created_at: datetime
    password_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """One signed-in device, and what it calls itself; `current` marks the one that asks."""

    id: UUID
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    device: str | None
    current: bool
