"""Cursors: where a page of leads ended, signed, so that a client can neither make one nor take one to another list.

The first key signs; what was signed with any of them is taken.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from leadintake.application.database import LeadQuery, Position
from leadintake.domain.errors import Malformed

SIGNATURE_BYTES = 16
"""128 bits of an HMAC cannot be guessed, and keep the cursor short."""

TIME_BYTES = 8
CURSOR_CHARACTERS = 54
"""Base64 of signature, time and id."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def seal(position: Position, query: LeadQuery, user_id: UUID, keys: Sequence[bytes]) -> str:
    """Return the cursor of a position in the list that a user sees through a query; the size of a page may change."""
    return _sealed(position, query, user_id, keys[0])


def _sealed(position: Position, query: LeadQuery, user_id: UUID, key: bytes) -> str:
    microseconds = (position.created_at - EPOCH) // MICROSECOND
    plain = microseconds.to_bytes(TIME_BYTES, signed=True) + position.id.bytes
    of_list = repr((user_id, replace(query, limit=0, after=None)))
    signature = hmac.digest(key, b"cursor" + plain + of_list.encode(), hashlib.sha256)[:SIGNATURE_BYTES]
    return urlsafe_b64encode(signature + plain).decode().rstrip("=")


def unseal(cursor: str, query: LeadQuery, user_id: UUID, keys: Sequence[bytes]) -> Position:
    """Return the position in a cursor; raise Malformed unless it is exactly what `seal` made of it."""
    refused = Malformed("The cursor is not from this list. Start again without one.")
    try:
        plain = urlsafe_b64decode(cursor + "==")[SIGNATURE_BYTES:]
        microseconds = int.from_bytes(plain[:TIME_BYTES], signed=True)
        position = Position(EPOCH + microseconds * MICROSECOND, UUID(bytes=plain[TIME_BYTES:]))
    except (ValueError, OverflowError):
        raise refused from None
    if not any(hmac.compare_digest(_sealed(position, query, user_id, key), cursor) for key in keys):
        raise refused
    return position
