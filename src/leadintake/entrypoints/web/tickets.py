"""What a page carries to prove later what it was: the ticket of a form with its notice, the address of a receipt."""

from collections.abc import Sequence
from datetime import UTC, datetime

from leadintake.domain.lead import Notice
from leadintake.entrypoints.http.sealed import seal, unseal

TICKET, RECEIPT = b"ticket", b"received"
TIME_BYTES = 8
RANDOM_BYTES = 16
"""No two forms have the same ticket, and nobody can guess one."""


def make_ticket(notice: Notice, random: bytes, keys: Sequence[bytes]) -> str:
    """The ticket of a form that is shown with a notice, to the second; `random` are RANDOM_BYTES.

    Short enough to be an Idempotency-Key.
    """
    seconds = int(notice.shown_at.timestamp())
    return seal(TICKET, seconds.to_bytes(TIME_BYTES) + random, notice.text, keys)


def notice_of(ticket: str, text: str, keys: Sequence[bytes]) -> Notice | None:
    """The notice that a ticket was shown with; None unless the ticket is what `make_ticket` made of this text."""
    text = text.replace("\r\n", "\n")  # A browser ends the lines of what it sends like this.
    try:
        plain = unseal(TICKET, ticket, TIME_BYTES + RANDOM_BYTES, text, keys)
    except ValueError:
        return None
    return Notice(text, datetime.fromtimestamp(int.from_bytes(plain[:TIME_BYTES]), UTC))


def make_proof(reference: str, keys: Sequence[bytes]) -> str:
    """What the address of a receipt ends with, so that nobody else can make a page of ours that confirms an enquiry."""
    return seal(RECEIPT, b"", reference, keys)


def is_proof(sent: str, reference: str, keys: Sequence[bytes]) -> bool:
    """Whether this is what `make_proof` made of the reference."""
    try:
        unseal(RECEIPT, sent, 0, reference, keys)
    except ValueError:
        return False
    return True
