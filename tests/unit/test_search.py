# ruff: noqa: RUF001 - names of every script are what is tested

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.names import real_names

from leadintake.domain.errors import Invalid
from leadintake.domain.search import QUERY_MAX_CHARACTERS, WORD_MAX_CHARACTERS, query_words, words

anything = st.text(max_size=40) | st.text(st.characters(categories=["L", "M", "N"]), max_size=10)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Zoë Müller-Lüdenscheidt", ["zoe", "muller", "ludenscheidt"]),
        ("Łukasz", ["lukasz"]),
        ("Đorđe", ["dorde"]),
        ("Søren Kierkegård", ["soren", "kierkegard"]),
        ("Þórður", ["thordur"]),
        ("Æsa ǽ", ["aesa", "ae"]),
        ("Œdipe", ["oedipe"]),
        ("Işık İNAN ıI", ["isik", "inan", "ii"]),
        ("Guðrún", ["gudrun"]),
        ("Ħal Għaxaq", ["hal", "ghaxaq"]),
        ("Ŧ", ["t"]),
        ("Straße STRASSE ẞ", ["strasse", "ss"]),
        ("ＡＤＡ　１２３", ["ada", "123"]),
        ("ﬁnn", ["finn"]),
        ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ", ["οδυσσευσ"]),
        ("Ёлкин елкин", ["елкин"]),
        ("مُحَمَّد محمد", ["محمد"]),
        ("أحمد احمد", ["احمد"]),
        ("नरेन्द्र", ["नरेनदर"]),  # the virama is a combining mark, the vowel sign is not
        ("ひがし", ["ひかし"]),
        ("김민준", ["김민준"]),
        ("葛\U000e0100城 葛城", ["葛城"]),  # one way to write a character, asked for by an invisible selector
        ("O'Brien d\u2019Arc", ["o", "brien", "d", "arc"]),
        ("ada.lovelace+law@example.org", ["ada", "lovelace", "law", "example", "org"]),
        ("LD-7F3K9QX2", ["ld", "7f3k9qx2"]),
        ("a_b%c\\d\0e\ud800f", ["a", "b", "c", "d", "e", "f"]),
        ("ada ADA Ada", ["ada"]),
        (" .,;- ❤\ufe0f ", []),
        ("", []),
    ],
)
def test_folding(text: str, folded: list[str]) -> None:
    """No case, no accents, no strokes, each word once; anything but letters, marks and numbers separates."""
    assert words(text) == folded


@given(anything)
@example("\u1e9e\u0345\u0130")
def test_folded_words_stay_as_they_are(text: str) -> None:
    """Folding what is folded changes nothing, so rows and queries meet."""
    found = words(text)

    assert words(" ".join(found)) == found


@given(anything)
def test_every_prefix_is_found(text: str) -> None:
    """Whatever a folded word begins with is itself a word, so a search for it finds what has the word."""
    for word in words(text):
        assert all(words(word[:length]) == [word[:length]] for length in range(1, len(word) + 1))


@pytest.mark.asvs("V1.2.4")
@given(anything)
def test_words_fit_the_index(text: str) -> None:
    """No word is empty, long, or contains what separates words or means something to LIKE."""
    for word in words(text):
        assert 1 <= len(word) <= WORD_MAX_CHARACTERS
        assert not set(word) & set(" %_/\\\0")


@given(st.text(st.characters(categories=["L", "N"]), min_size=WORD_MAX_CHARACTERS, max_size=80))
def test_long_words_are_found(word: str) -> None:
    """A word that was cut is found by the whole of it, too."""
    [*_, last] = words(f"x {word}")

    assert query_words(word) in ([last], words(word))


def test_names_are_found_as_they_are_typed() -> None:
    """Every name of every script is found while it is being typed, from its first letter on."""
    for name in real_names():
        stored = words(name)
        for length in range(1, len(name) + 1):
            typed = words(name[:length])

            assert all(any(word.startswith(part) for word in stored) for part in typed), name


@pytest.mark.parametrize("query", ["", " ", "%_'\"", "\0", "\ud800", "...", "❤\ufe0f"])
def test_query_without_words(query: str) -> None:
    """A search needs something to look for."""
    with pytest.raises(Invalid, match="wrong") as refused:
        query_words(query)

    assert [error.field for error in refused.value.errors] == ["q"]


@pytest.mark.attack(133)
@pytest.mark.parametrize("query", ["x" * (QUERY_MAX_CHARACTERS + 1), "a b c d e f g h i j k"])
def test_query_that_asks_too_much(query: str) -> None:
    """Nobody means that many characters or words."""
    with pytest.raises(Invalid) as refused:
        query_words(query)

    assert "at most" in refused.value.errors[0].message


def test_query_repeating_itself() -> None:
    """Words count once, as much as fits."""
    assert query_words("a " * 100) == ["a"]
    assert query_words("x" * QUERY_MAX_CHARACTERS) == ["x" * WORD_MAX_CHARACTERS]
    assert query_words("a b c d e f g h i j a") == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_folds_alike_beside_other_letters(text: str) -> None:
    """What has a quicker way comes out as it does on the long one, which a letter of another script makes it take."""
    assert words(f"{text} ж") == [*words(text), "ж"]
