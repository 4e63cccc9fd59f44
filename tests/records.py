"""A lead, a user and a session to change at will. Each is known by a number, and two numbers have nothing in common."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from leadintake.domain import values
from leadintake.domain.delivery import Channel, Delivery, Purpose, Status
from leadintake.domain.lead import Lead, Resume
from leadintake.domain.people import Role, Session, User
from leadintake.domain.resume import Kind

FIRST_FIRM = UUID("00000000-0000-4000-8000-000000000001")
SECOND_FIRM = UUID(int=2)
NOW = datetime(2025, 11, 24, 9, tzinfo=UTC)


def lead(number: int = 1, **changes: Any) -> Lead:
    """A new lead with some facts changed."""
    made = Lead(
        id=UUID(int=number),
        reference=values.reference(number),
        first_name="Ada",
        last_name="Lovelace",
        email="ada@client.example",
        resume=Resume(f"{UUID(int=number)}.pdf", "cv.pdf", Kind.PDF, size=1234, sha256="ab" * 32),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes)


def user(number: int = 1, **changes: Any) -> User:
    """An attorney with some facts changed."""
    email = f"attorney{number}@firm.example"
    return replace(User(UUID(int=number), FIRST_FIRM, email, "Grace Hopper", Role.ATTORNEY, True, NOW), **changes)  # noqa: FBT003 - active


def session(number: int = 1, **changes: Any) -> Session:
    """A session of that user with some facts changed."""
    made = Session(UUID(int=number), UUID(int=number), NOW, NOW, refresh_hash=f"hash {number}", device="Safari on iPad")
    return replace(made, **changes)


def delivery(number: int = 1, **changes: Any) -> Delivery:
    """A confirmation owed for that lead with some facts changed."""
    made = Delivery(
        id=UUID(int=number),
        lead_id=UUID(int=number),
        channel=Channel.EMAIL,
        purpose=Purpose.CONFIRMATION,
        recipient="ada@client.example",
        status=Status.PENDING,
        message_id=f"<{number}@firm.example>",
        created_at=NOW,
    )
    return replace(made, **changes)
