"""How text is folded into words: once, by us, for row and query alike, so that every database agrees to the letter."""

import re
import unicodedata

from leadintake.domain.errors import FieldError, Invalid

QUERY_MAX_CHARACTERS = 200
QUERY_MAX_WORDS = 10
WORD_MAX_CHARACTERS = 64
"""Longer words are cut, in rows and queries alike, so that the index stays small."""

SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""Invisible marks that choose between two ways to draw a character, as in some Japanese names; few can type them."""

STROKES = str.maketrans(dict(zip("łđøıðħŧ", "ldoidht", strict=True)) | {"þ": "th", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not decompose although people type them without the stroke."""

ALL_BUT_WORDS = re.compile("[^0-9a-z]+")
"""For text that is ASCII and in lower case already."""


def words(text: str) -> list[str]:
    """Return a text's folded words, each once: no case, no accents, split at all but letters, marks and numbers."""
    return list(dict.fromkeys(word[:WORD_MAX_CHARACTERS] for word in _folded(text).split()))


def _folded(text: str) -> str:
    if text.isascii():  # The same in a tenth of the time, because no letter of ASCII has an accent.
        return ALL_BUT_WORDS.sub(" ", text.lower())
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.casefold()).casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c) and c not in SELECTORS)
    composed = unicodedata.normalize("NFC", plain).translate(STROKES)
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in composed)


def query_words(query: str) -> list[str]:
    """Return the words a search asks for; raise Invalid when there are none, or more than a search can mean."""
    if len(query) > QUERY_MAX_CHARACTERS:
        raise Invalid(FieldError("q", f"Search for at most {QUERY_MAX_CHARACTERS} characters."))
    found = words(query)
    if not found:
        raise Invalid(FieldError("q", "Search for at least one letter or digit."))
    if len(found) > QUERY_MAX_WORDS:
        raise Invalid(FieldError("q", f"Search for at most {QUERY_MAX_WORDS} words."))
    return found
