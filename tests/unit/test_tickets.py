from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.domain.lead import Notice
from leadintake.domain.values import idempotency_key
from leadintake.entrypoints.web.tickets import RANDOM_BYTES, is_proof, make_proof, make_ticket, notice_of

KEYS = [b"k" * 32]
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TEXT = "No attorney-client relationship.\n\nSend nothing confidential."
RANDOM = bytes(range(RANDOM_BYTES))
TICKET = make_ticket(Notice(TEXT, AT), RANDOM, KEYS)

keys = st.binary(min_size=32, max_size=32)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=50)
moments = st.datetimes(datetime(2020, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - in UTC
randoms = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(texts, moments, randoms, keys)
def test_a_ticket_proves_the_notice(text: str, at: datetime, random: bytes, key: bytes) -> None:
    """What was shown, and when, to the second, comes back, however a browser ends lines; and it is a good key."""
    sent = make_ticket(Notice(text, at), random, [key])
    whole_second = at.replace(microsecond=0)

    assert notice_of(sent, text.replace("\n", "\r\n"), [key]) == Notice(text, whole_second)
    assert idempotency_key(sent) == sent


@given(st.text(max_size=80))
def test_what_is_no_ticket_proves_nothing(sent: str) -> None:
    """Whatever was sent in its place, that is no error."""
    assert notice_of(sent, TEXT, KEYS) is None


@given(st.integers(0, len(TICKET) - 1), st.characters())
def test_a_ticket_that_was_changed_proves_nothing(index: int, other: str) -> None:
    """Any other character at any place is noticed."""
    changed = TICKET[:index] + other + TICKET[index + 1 :]

    assert notice_of(changed, TEXT, KEYS) == (Notice(TEXT, AT) if changed == TICKET else None)


@pytest.mark.parametrize("sent", ["", TICKET[:-1], TICKET + "=", TICKET + "A", TICKET * 2, f" {TICKET}"])
def test_a_ticket_is_taken_in_one_spelling(sent: str) -> None:
    """Base64 that decodes to the same bytes is not the same key."""
    assert notice_of(sent, TEXT, KEYS) is None


def test_a_ticket_is_of_its_text_and_its_key() -> None:
    """Another notice, or the secret of before, and it proves nothing."""
    assert notice_of(TICKET, f"{TEXT} ", KEYS) is None
    assert notice_of(TICKET, TEXT, [b"l" * 32]) is None


@given(st.integers(1, len(TEXT) - 1))
def test_nobody_can_cut_the_beginning_of_a_notice(length: int) -> None:
    """What is signed is the same where it moves into the ticket, so that "No relationship" became "relationship"."""
    raw = urlsafe_b64decode(TICKET + "==") + TEXT[:length].encode()
    longer = urlsafe_b64encode(raw).decode().rstrip("=")

    assert notice_of(longer, TEXT[length:], KEYS) is None


@pytest.mark.asvs("V11.2.2")
@pytest.mark.attack(117)
def test_the_key_is_replaced() -> None:
    """What the old key signed is taken beside the new one, which alone signs."""
    new, both, notice, reference = [b"n" * 32], [b"n" * 32, *KEYS], Notice(TEXT, AT), "LD-7F3K9QX2"

    assert notice_of(TICKET, TEXT, both) == notice
    assert notice_of(TICKET, TEXT, new) is None
    assert make_ticket(notice, RANDOM, both) == make_ticket(notice, RANDOM, new)
    assert [is_proof(make_proof(reference, KEYS), reference, keys) for keys in (both, new)] == [True, False]
    assert make_proof(reference, both) == make_proof(reference, new)


def test_a_time_that_there_is_not_is_no_error() -> None:
    """As made by hand."""
    assert notice_of(urlsafe_b64encode(b"\xff" * 40).decode().rstrip("="), TEXT, KEYS) is None


def test_a_ticket_is_random_and_of_its_time() -> None:
    """Two forms have two tickets, though they are shown at once, or chance repeats itself."""
    assert make_ticket(Notice(TEXT, AT), bytes(RANDOM_BYTES), KEYS) != TICKET
    assert make_ticket(Notice(TEXT, AT + timedelta(seconds=1)), RANDOM, KEYS) != TICKET


def test_a_proof_is_of_its_reference() -> None:
    """Nobody can make one for another reference, nor with another key, nor out of a ticket."""
    proofs = {
        make_proof("LD-7F3K9QX2", KEYS),
        make_proof("LD-7F3K9QX3", KEYS),
        make_proof("LD-7F3K9QX2", [b"l" * 32]),
        TICKET[:22],
    }

    assert len(proofs) == 4
    assert all(len(each) == 22 for each in proofs)
    assert [is_proof(each, "LD-7F3K9QX2", KEYS) for each in (*sorted(proofs), "", "é")].count(True) == 1
