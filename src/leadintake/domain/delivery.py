"""Deliveries: notifications owed to the outside, and when to try again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Channel(StrEnum):
    """By what means a delivery goes out."""

    EMAIL = "email"


class Purpose(StrEnum):
    """Why it is owed."""

    CONFIRMATION = "confirmation"
    NOTIFICATION = "notification"


class Status(StrEnum):
    """`held` waits for a person to ask for it; `failed` was given up and can be asked for again."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"


RETRYABLE = frozenset({Status.FAILED, Status.HELD})

GIVE_UP_AFTER = timedelta(days=5)
"""RFC 5321 section 4.5.4.1: a client gives up after at least 4 to 5 days."""

FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=6)
JITTER = 0.2
FURTHEST = LONGEST_DELAY * (1 + JITTER)
"""Nothing waits longer for its next attempt. What seems to was put off by a clock that has been set back since."""

LEASE = timedelta(minutes=5)
"""How long a claim holds; well above SEND_TIMEOUT, so that a live sender never loses one."""

SEND_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification owed to one recipient. `message_id` is fixed before the first attempt (RFC 5322, 3.6.4)."""

    id: UUID
    lead_id: UUID
    channel: Channel
    purpose: Purpose
    recipient: str
    status: Status
    message_id: str
    created_at: datetime


def message_id(delivery_id: UUID, domain: str) -> str:
    """The Message-ID of a delivery, in the domain that mail is sent from (RFC 5322 section 3.6.4)."""
    return f"<{delivery_id}@{domain}>"


def next_attempt(attempts: int, now: datetime, give_up_at: datetime, jitter: float) -> datetime | None:
    """When to try again after `attempts` tries (1 or more) have failed, or None when it is time to give up.

    The delay doubles from 30 seconds to 6 hours, spread by up to a fifth; `jitter` is a random number from -1 to 1.
    """
    doublings = min(attempts - 1, 20)
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2**doublings) * (1 + JITTER * jitter)
    at = now + delay
    return at if at < give_up_at else None
