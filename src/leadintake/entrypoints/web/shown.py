"""What was shown to a prospect, as the page itself proves it later: the ticket of a form, the address of a receipt.

The first key signs; what was signed with any of them is taken.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from leadintake.domain.lead import Notice

SIGNATURE_BYTES = 16
"""128 bits of an HMAC cannot be guessed, and keep a ticket short enough to be an Idempotency-Key."""

TIME_BYTES = 8
RANDOM_BYTES = 16
"""No two forms have the same ticket, and nobody can guess one."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ticket(notice: Notice, random: bytes, keys: Sequence[bytes]) -> str:
    """The ticket of a form that is shown with a notice, to the second; `random` are RANDOM_BYTES."""
    return _ticket(notice, random, keys[0])


def noticed(sent: str, text: str, keys: Sequence[bytes]) -> Notice | None:
    """The notice that a ticket was shown with; None unless the ticket is exactly what `ticket` made of this text."""
    text = text.replace("\r\n", "\n")  # A browser ends the lines of what it sends like this.
    try:
        plain = urlsafe_b64decode(sent + "==")[SIGNATURE_BYTES:]
        notice = Notice(text, EPOCH + timedelta(seconds=int.from_bytes(plain[:TIME_BYTES])))
        is_ours = any(hmac.compare_digest(_ticket(notice, plain[TIME_BYTES:], key), sent) for key in keys)
    except (ValueError, OverflowError):
        return None
    return notice if is_ours else None


def proof(reference: str, keys: Sequence[bytes]) -> str:
    """What the address of a receipt ends with, so that nobody else can make a page of ours that confirms an enquiry."""
    return _proof(reference, keys[0])


def is_proof(sent: str, reference: str, keys: Sequence[bytes]) -> bool:
    """Whether this is what `proof` made of the reference."""
    return any(hmac.compare_digest(_proof(reference, key).encode(), sent.encode()) for key in keys)


def _ticket(notice: Notice, random: bytes, key: bytes) -> str:
    seconds = (notice.shown_at - EPOCH) // timedelta(seconds=1)
    plain = seconds.to_bytes(TIME_BYTES) + random
    return _text(_signature(b"ticket" + plain + notice.text.encode(), key) + plain)


def _proof(reference: str, key: bytes) -> str:
    return _text(_signature(b"received" + reference.encode(), key))


def _signature(content: bytes, key: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)[:SIGNATURE_BYTES]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
