"""When a mail may greet a person by the name that was typed into the form.

The confirmation goes to an address that nobody has proved to own, so whatever it repeats can be somebody's bait or
advertisement. It repeats a first name that is plainly one, and nothing else. A wrong "no" costs a "Hello," without a
name; a wrong "yes" is at most a short phrase of letters, with no link, address or number to follow.
"""

import re
import unicodedata

from leadintake.domain.values import BLANK_LETTERS, JOINERS

CHARACTERS_MAX = 40
"""In code points: room for the longest given names in use, and for no sentence that says much."""

CHARACTERS_MAX_UNSPACED = {"CJK": 6, "HANGUL": 6, "THAI": 16, "LAO": 16, "KHMER": 16, "MYANMAR": 16, "TIBETAN": 16}
"""Where words are not spaced, or a character is a syllable or a word, a sentence fits in what is one name elsewhere."""

WORDS_MAX = 3
"""Maria del Carmen has three; given names of four are rare, and "Your Account Is Locked" has four."""

LONGEST_PARTICLE = 3
"""In a name of three words, those in lower case are this short (de, la, van, bin); in a sentence mostly longer."""

MARKS_MAX = 6
"""Burmese and Tibetan put up to about six marks on a letter; more is a scribble over the lines above and below."""

PUNCTUATION = {
    "'": "'\u2018\u2019\u055a\u05f3",  # apostrophes, the Armenian one and the Hebrew geresh
    "-": "-\u2010\u2011\u05be",  # hyphens, and the Hebrew maqaf
    "t": "\u0f0b",  # the tsheg, which ends a syllable in Tibetan
    "·": "\u00b7\u30fb",  # middle dots
    ".": ".",
}

LISU_TONES = "\ua4f8\ua4f9\ua4fa\ua4fb\ua4fc\ua4fd"
"""Letters by category, full stops and commas to the eye, in a script that looks like Latin capitals."""

ADDRESS_WORDS = ("www", "http")
"""No name contains these, and a person who reads them types the rest."""

EAST_ASIAN = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK", "IDEOGRAPHIC": "CJK"}
"""Japanese mixes these in one name, so they count as one script."""

ANY_SCRIPT = frozenset({"MODIFIER", "FEMININE"})
"""First words of the Unicode names of letters that other scripts borrow (the okina of Hawaiian, the ª of Mª)."""

_LETTER = f"[alo]m{{0,{MARKS_MAX}}}"
_RUN = f"(?:{_LETTER})+"
# Full stops only between and after initials (J.R., Klaus-D.) and after abbreviations (St.), so never as in word.tld: no
# top-level domain has a single letter. Middle dots only as in RFC 5892 A.3 and A.7: between two l (Catalan), or letters
# without case (Chinese, Japanese).
_WORD = re.compile(
    rf"(?:{_RUN}-)?{_LETTER}\.(?:-?{_LETTER}\.)*(?:-?{_LETTER})?"
    rf"|(?:{_LETTER}){{2,4}}\."
    rf"|'?{_RUN}(?:(?:['-]'?|t|(?<=l)·(?=l)|(?<=o)·(?=o)){_RUN})*['t]?"
)


def greeting_name(first_name: str, last_name: str) -> str | None:
    """Return the first name to greet with, single spaces between its words, or None where it is not plainly a name.

    The last name is never repeated, but one that is not spelled like a name shows what the first is worth.
    """
    first = first_name.split()
    if _is_spelled_like_a_name(first) and _is_brief(first) and _is_spelled_like_a_name(last_name.split()):
        return " ".join(first)
    return None


def _is_spelled_like_a_name(words: list[str]) -> bool:
    """Letters and marks of one script, with apostrophes, hyphens, middle dots and full stops where names have them."""
    text = "".join(words)
    plain = unicodedata.normalize("NFKC", text).casefold()
    return (
        all(_is_word(word) for word in words)
        and len(_scripts(text)) == 1
        and not any(word in plain for word in ADDRESS_WORDS)
    )


def _is_word(word: str) -> bool:
    """Spelled as words of names are. Most are of plain letters, which need no second look."""
    return (word.isascii() and word.isalpha()) or _WORD.fullmatch("".join(map(_shape, word))) is not None


def _is_brief(words: list[str]) -> bool:
    """Too short to carry a message."""
    text = " ".join(words)
    limits = [CHARACTERS_MAX_UNSPACED.get(script, CHARACTERS_MAX) for script in _scripts(text)]
    is_prose = len(words) == WORDS_MAX and any(word[0].islower() and len(word) > LONGEST_PARTICLE for word in words)
    return len(words) <= WORDS_MAX and len(text) <= min(limits) and not is_prose


def _shape(character: str) -> str:
    """What a character is to the pattern of a word; "!" fits nowhere."""
    if character in BLANK_LETTERS or character in LISU_TONES:
        return "!"
    category = unicodedata.category(character)
    if category[0] == "L":
        return "l" if character in "lL" else "o" if category in {"Lo", "Lm"} else "a"
    if category[0] == "M" or character in JOINERS:
        return "m"
    return next((shape for shape, characters in PUNCTUATION.items() if character in characters), "!")


def _scripts(text: str) -> set[str]:
    """The scripts of the letters, by the first word of their Unicode names; a second one is there to imitate."""
    names = {"LATIN" if c.isascii() else unicodedata.name(c, "").partition(" ")[0] for c in text if c.isalpha()}
    return {EAST_ASIAN.get(name, name) for name in names if name not in ANY_SCRIPT}
