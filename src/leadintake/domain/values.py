"""Small values: names, references, keys and mailboxes, which people type or read out, and ids."""

import re
import unicodedata
from uuid import UUID

from leadintake.domain.errors import FieldError, Invalid, Malformed

EMPTY = "Fill in this field."

NAME_MAX_CHARACTERS = 100
DECOMPOSED_MAX = 4
"""Code points that one may decompose into. Longer text is too long in NFC too, and NFC takes quadratic time."""

ADDRESS_MAX_CHARACTERS = 254
"""RFC 5321 section 4.5.3.1.3 allows a path of 256 octets, its angle brackets included."""

JOINERS = frozenset("\u200c\u200d")
"""Zero-width joiner and non-joiner: invisible, but they spell names in Persian and the scripts of India."""

BLANK_LETTERS = frozenset("\u2800\u115f\u1160\u3164\uffa0")
"""Characters that count as symbols or letters and show nothing."""

BLANK = BLANK_LETTERS | JOINERS

NONCHARACTERS = frozenset(
    chr(code)
    for code in [*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF))]
)
"""The 66 code points that never will be characters (Unicode 23.7)."""

GMAIL = "gmail.com"
DOMAINS_OF_GMAIL = frozenset({GMAIL, "googlemail.com"})

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MISHEARD = str.maketrans("OIL", "011")
REFERENCE_BITS = 40
SPELLED = re.compile(f"(?:LD)?([{CROCKFORD}OIL]{{{REFERENCE_BITS // 5}}})")
KEY_MAX_CHARACTERS = 255
UUID7_RANDOM_BITS = 74


def name(raw: str, field: str) -> str:
    """Return a person's name in NFC, trimmed, without invisible format characters; raise Invalid if it cannot be one.

    Lengths count code points. Control and private-use characters are refused: no name contains them. Unassigned ones
    are taken, because a newer Unicode than the interpreter's has more characters for names.
    """
    kept: list[str] = []
    for character in raw:
        category = unicodedata.category(character)
        if category in {"Cc", "Cs", "Co", "Zl", "Zp"} or character in NONCHARACTERS:
            raise Invalid(
                FieldError(field, "Remove the control characters; use letters as in a passport or a signature.")
            )
        if category != "Cf" or character in JOINERS:
            kept.append(character)
    text = "".join(kept).strip()
    if len(text) <= NAME_MAX_CHARACTERS * DECOMPOSED_MAX:
        text = unicodedata.normalize("NFC", text)
    if not any(unicodedata.category(c)[0] not in "ZM" and c not in BLANK for c in text):
        raise Invalid(FieldError(field, EMPTY))
    if len(text) > NAME_MAX_CHARACTERS:
        raise Invalid(FieldError(field, f"Use at most {NAME_MAX_CHARACTERS} characters."))
    return text


def filled(raw: str, field: str) -> str:
    """Return a text as it is, or raise Invalid when there is nothing in it."""
    if not raw.strip():
        raise Invalid(FieldError(field, EMPTY))
    return raw


def mailbox(address: str) -> str:
    """Return the mailbox that an address most likely ends in: case and plus-tag folded, and at Gmail dots and domain.

    Used to count mail to one person, never to send it.
    """
    local, _, domain = address.casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in DOMAINS_OF_GMAIL:
        return f"{local.replace('.', '') or local}@{GMAIL}"
    return f"{local}@{domain}"


def reference(number: int) -> str:
    """Spell the lowest 40 bits of a random number as a reference, such as LD-7F3K9QX2 (Crockford base 32)."""
    return "LD-" + "".join(CROCKFORD[number >> shift & 31] for shift in range(REFERENCE_BITS - 5, -1, -5))


def meant_reference(text: str) -> str | None:
    """The reference that is meant by whoever writes it down by ear, or None where it cannot be one.

    Crockford base 32 has no O, I and L, which are taken for 0 and 1. Case, dashes and spaces do not count.
    """
    spelled = SPELLED.fullmatch("".join(c for c in text.upper() if c.isalnum()))
    return f"LD-{spelled[1].translate(MISHEARD)}" if spelled else None


def uuid7(milliseconds: int, random_bits: int) -> UUID:
    """Return the UUID of a moment, in milliseconds since 1970, and UUID7_RANDOM_BITS (RFC 9562 section 5.7).

    Rows made one after the other then lie side by side in an index, which halves the pages that a submission writes.
    """
    high, low = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def idempotency_key(raw: str) -> str:
    """Return an Idempotency-Key as it is, or raise Malformed unless it is 1 to 255 visible ASCII characters."""
    if not 1 <= len(raw) <= KEY_MAX_CHARACTERS or not all("!" <= c <= "~" for c in raw):
        raise Malformed("The Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces.")
    return raw
