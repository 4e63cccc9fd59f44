"""Bytes that a client carries for us and cannot change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.entrypoints.http.sealed import seal, unseal

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.binary(max_size=40), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_was_sealed_is_opened(plain: bytes, about: str) -> None:
    """With the key that signed it, wherever that stands among those that are taken."""
    sealed = seal(b"ticket", plain, about, [KEY])

    assert unseal(b"ticket", sealed, len(plain), about, [OTHER, KEY]) == plain


@pytest.mark.parametrize(
    ("purpose", "size", "about", "keys"),
    [
        (b"cursor", 4, "a list", [KEY]),
        (b"ticket", 4, "another list", [KEY]),
        (b"ticket", 3, "a list", [KEY]),
        (b"ticket", 5, "a list", [KEY]),
        (b"ticket", 4, "a list", [OTHER]),
    ],
    ids=["purpose", "about", "shorter", "longer", "key"],
)
def test_what_was_sealed_for_something_else(purpose: bytes, size: int, about: str, keys: list[bytes]) -> None:
    """A cursor is no ticket, nor is one of another list, length or key."""
    sealed = seal(b"ticket", b"1234", "a list", [KEY])

    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing, because nobody is told why
        unseal(purpose, sealed, size, about, keys)
