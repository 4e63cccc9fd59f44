from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st
from tests.records import NOW

from leadintake.domain.delivery import (
    FIRST_DELAY,
    FURTHEST,
    GIVE_UP_AFTER,
    LEASE,
    LONGEST_DELAY,
    RETRYABLE,
    SEND_TIMEOUT,
    Status,
    next_attempt,
)

FAR = NOW + timedelta(days=1000)

attempts = st.integers(min_value=1, max_value=10**6)
jitters = st.floats(min_value=-1, max_value=1)

SCHEDULE = [
    "0:00:00", "0:00:30", "0:01:30", "0:03:30", "0:07:30", "0:15:30", "0:31:30", "1:03:30", "2:07:30", "4:15:30",
    "8:31:30", "14:31:30", "20:31:30", "26:31:30", "32:31:30", "38:31:30", "44:31:30", "50:31:30", "56:31:30",
    "62:31:30", "68:31:30", "74:31:30", "80:31:30", "86:31:30", "92:31:30", "98:31:30", "104:31:30", "110:31:30",
    "116:31:30",
]  # fmt: skip


def hours(elapsed: timedelta) -> str:
    """A time as hours, minutes and seconds."""
    minutes, seconds = divmod(int(elapsed.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def test_five_days() -> None:
    """All the times at which a delivery is tried that never succeeds, none of them jittered."""
    tries = [NOW]
    while again := next_attempt(len(tries), tries[-1], NOW + GIVE_UP_AFTER, jitter=0):
        tries.append(again)

    assert [hours(at - NOW) for at in tries] == SCHEDULE


@given(attempts, jitters)
def test_delays_are_bounded(attempt: int, jitter: float) -> None:
    """However often it failed, the next try is in 24 seconds at the earliest and in 7 hours and 12 minutes at most."""
    at = next_attempt(attempt, NOW, FAR, jitter)

    assert at is not None
    assert FIRST_DELAY * 0.8 <= at - NOW <= LONGEST_DELAY * 1.2


def test_the_longest_delay_is_no_clock_set_back() -> None:
    """Else a delivery that waits longest would be tried again at once, and again, and again."""
    latest = next_attempt(10**6, NOW, FAR, jitter=1)

    assert latest == NOW + FURTHEST


@given(attempts, jitters)
def test_jitter_is_a_fifth(attempt: int, jitter: float) -> None:
    """Jitter spreads a delay by up to a fifth of it, in proportion."""
    exact, spread = next_attempt(attempt, NOW, FAR, 0), next_attempt(attempt, NOW, FAR, jitter)

    assert exact is not None
    assert spread is not None
    assert abs((spread - NOW) - (exact - NOW) * (1 + 0.2 * jitter)) <= timedelta(microseconds=2)


@given(attempts)
def test_delays_never_shrink(attempt: int) -> None:
    """Without jitter each delay is as long as the one before, or twice that."""
    one, two = next_attempt(attempt, NOW, FAR, 0), next_attempt(attempt + 1, NOW, FAR, 0)

    assert one is not None
    assert two is not None
    assert one <= two <= NOW + 2 * (one - NOW)


@example(1, 0, FIRST_DELAY)
@example(1, 0, FIRST_DELAY + timedelta(microseconds=1))
@given(attempts, jitters, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)))
def test_giving_up(attempt: int, jitter: float, left: timedelta) -> None:
    """No try is made at the end or after it, and none before it is left out."""
    until = NOW + left
    at, unlimited = next_attempt(attempt, NOW, until, jitter), next_attempt(attempt, NOW, FAR, jitter)

    assert unlimited is not None
    assert at == (unlimited if unlimited < until else None)


def test_a_live_sender_keeps_its_claim() -> None:
    """A lease outlasts an attempt by far."""
    assert LEASE >= 4 * SEND_TIMEOUT


def test_what_can_be_asked_for_again() -> None:
    """What waits, is under way or arrived cannot be sent again by hand."""
    assert set(Status) - RETRYABLE == {Status.PENDING, Status.SENDING, Status.SENT}
