from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.application.ports.database import LeadQuery, Position
from leadintake.domain.errors import Malformed
from leadintake.domain.lead import State
from leadintake.entrypoints.http.cursor import seal, unseal

KEYS = [b"k" * 32]
USER = UUID(int=7)
POSITION = Position(datetime(2026, 1, 31, 9, 0, 0, 123456, tzinfo=UTC), UUID(int=9))
CURSOR = seal(POSITION, LeadQuery(), USER, KEYS)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_round_trip(at: datetime, lead_id: UUID) -> None:
    """A cursor leads back to its position, to the microsecond."""
    position = Position(at, lead_id)

    assert unseal(seal(position, LeadQuery(), USER, KEYS), LeadQuery(), USER, KEYS) == position


def test_the_size_of_a_page_may_change() -> None:
    """The limit is not part of what is signed, nor is where the page before started."""
    assert unseal(CURSOR, LeadQuery(limit=3, after=POSITION), USER, KEYS) == POSITION


@pytest.mark.parametrize(
    "query",
    [
        LeadQuery(state=State.PENDING),
        LeadQuery(words=("ada",)),
        LeadQuery(oldest_first=True),
        LeadQuery(created_from=POSITION.created_at),
        LeadQuery(created_to=POSITION.created_at),
    ],
)
def test_another_list_refuses_it(query: LeadQuery) -> None:
    """A cursor is of use only with the filters and the order it was made for."""
    with pytest.raises(Malformed):
        unseal(CURSOR, query, USER, KEYS)


def test_another_user_or_key_refuses_it() -> None:
    """A cursor is of use only to whom it was given, by the service that gave it."""
    with pytest.raises(Malformed):
        unseal(CURSOR, LeadQuery(), uuid4(), KEYS)
    with pytest.raises(Malformed):
        unseal(CURSOR, LeadQuery(), USER, [b"x" * 32])


@pytest.mark.asvs("V11.2.2")
@pytest.mark.attack(117)
def test_the_key_is_replaced() -> None:
    """What the old key signed is taken beside the new one, which alone signs."""
    new, both = [b"n" * 32], [b"n" * 32, *KEYS]

    assert unseal(CURSOR, LeadQuery(), USER, both) == POSITION
    assert seal(POSITION, LeadQuery(), USER, both) == seal(POSITION, LeadQuery(), USER, new) != CURSOR
    with pytest.raises(Malformed):
        unseal(CURSOR, LeadQuery(), USER, new)


@pytest.mark.attack(131)
@given(st.integers(0, len(CURSOR) - 1), st.sampled_from("ABCZabcz0189-_=+/ é\0"))
def test_every_character_counts(index: int, character: str) -> None:
    """No other spelling of a cursor is taken, not even one that decodes to the same bytes."""
    changed = CURSOR[:index] + character + CURSOR[index + 1 :]

    if changed != CURSOR:
        with pytest.raises(Malformed):
            unseal(changed, LeadQuery(), USER, KEYS)


@pytest.mark.asvs("V1.5.2")
@pytest.mark.attack(131)
@given(st.text(max_size=80))
def test_garbage_is_refused(text: str) -> None:
    """Whatever a client makes up is one clear refusal."""
    with pytest.raises(Malformed):
        unseal(text, LeadQuery(), USER, KEYS)


@pytest.mark.parametrize(
    "cursor", ["", CURSOR[:-1], CURSOR + "A", CURSOR * 2, CURSOR + "=", "A" * 54, "_" * 54, "A" * 1_000_000]
)
def test_truncated_and_extended(cursor: str) -> None:
    """Neither a part of a cursor nor more than one is a cursor."""
    with pytest.raises(Malformed):
        unseal(cursor, LeadQuery(), USER, KEYS)
