"""A letter to change at will, for the tests of mail."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import Purpose

LETTER = Letter(
    delivery_id=UUID("0b5e2f8c-5a0f-4c1e-9a53-0a6d6f6f3d11"),
    token=UUID(int=1),
    purpose=Purpose.NOTIFICATION,
    recipient="attorney@firm.example",
    attempt=1,
    message_id="<0b5e2f8c-5a0f-4c1e-9a53-0a6d6f6f3d11@firm.example>",
    created_at=datetime(2025, 11, 24, 3, 46, 12, tzinfo=UTC),
    give_up_at=datetime(2025, 11, 29, 3, 46, 12, tzinfo=UTC),
    event_id="42",
    lead_id=UUID("7d8a3c52-0f3a-4b52-8a3f-3f0f8a1b2c3d"),
    reference="LD-7F3K9QX2",
    first_name="Ada",
    last_name="Lovelace",
    email="ada@client.example",
    resume_name="cv.pdf",
)


def letter(**changes: Any) -> Letter:
    """The letter above with some facts changed."""
    return replace(LETTER, **changes)
