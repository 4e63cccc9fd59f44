"""Cursors: where a page of leads ended, sealed, so that a client can neither make one nor take one to another list."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from leadintake.application.ports.database import LeadQuery, Position
from leadintake.domain.errors import Malformed
from leadintake.entrypoints.http import sealed

PURPOSE = b"cursor"
TIME_BYTES = 8
ID_BYTES = 16
CURSOR_CHARACTERS = 54
"""Base64 of signature, time and id."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def seal(position: Position, query: LeadQuery, user_id: UUID, keys: Sequence[bytes]) -> str:
    """Return the cursor of a position in the list that a user sees through a query; the size of a page may change."""
    microseconds = (position.created_at - EPOCH) // MICROSECOND
    plain = microseconds.to_bytes(TIME_BYTES, signed=True) + position.id.bytes
    return sealed.seal(PURPOSE, plain, _list(query, user_id), keys)


def unseal(cursor: str, query: LeadQuery, user_id: UUID, keys: Sequence[bytes]) -> Position:
    """Return the position in a cursor; raise Malformed unless it is exactly what `seal` made of it."""
    try:
        plain = sealed.unseal(PURPOSE, cursor, TIME_BYTES + ID_BYTES, _list(query, user_id), keys)
    except ValueError:
        raise Malformed("The cursor is not from this list. Start again without one.") from None
    microseconds = int.from_bytes(plain[:TIME_BYTES], signed=True)
    return Position(EPOCH + microseconds * MICROSECOND, UUID(bytes=plain[TIME_BYTES:]))


def _list(query: LeadQuery, user_id: UUID) -> str:
    return repr((user_id, replace(query, limit=0, after=None)))
