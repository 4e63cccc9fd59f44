from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from leadintake.entrypoints.circuit_breaker import FIRST_PAUSE, LONGEST_PAUSE, CircuitBreaker

WIDTH = 8


@dataclass
class Clock:
    """Seconds, which pass as they are told."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def gauge() -> float | None:
    """What the metric says."""
    return REGISTRY.get_sample_value("leadintake_channel_paused")


def events(logs: list[MutableMapping[str, Any]]) -> list[str]:
    """What was logged."""
    return [line["event"] for line in logs]


def test_open() -> None:
    """A channel that nothing is known of takes as many letters as it is wide, and what arrives is no news."""
    breaker = CircuitBreaker(WIDTH, FIRST_PAUSE, Clock())
    with capture_logs() as logs:
        breaker.worked()

    assert (breaker.capacity, breaker.pause_left, gauge(), logs) == (WIDTH, 0, 0, [])


def test_an_hour_of_wrong_passwords() -> None:
    """Pauses double up to about a minute, so that a server is asked some sixty times in an hour; it is logged once."""
    clock = Clock()
    breaker = CircuitBreaker(WIDTH, FIRST_PAUSE, clock)
    pauses = list[float]()
    with capture_logs() as logs:
        while clock.at < 1000 + 3600:
            breaker.went_down("535 wrong password")
            pauses.append(breaker.pause_left)
            clock.at += breaker.pause_left

    assert pauses[:6] == [FIRST_PAUSE, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]
    assert len(pauses) < 65
    assert logs == [{"event": "channel_paused", "log_level": "error", "reason": "535 wrong password"}]
    assert gauge() == 1


def test_letters_that_were_under_way_say_nothing_new() -> None:
    """When many letters meet the same failure, or one that began before it arrives, the pause stays as it is."""
    clock = Clock()
    breaker = CircuitBreaker(WIDTH, FIRST_PAUSE, clock)
    breaker.went_down("535 wrong password")
    clock.at += 1
    breaker.went_down("535 wrong password")
    breaker.worked()

    assert breaker.pause_left == FIRST_PAUSE - 1
    assert gauge() == 1


def test_one_letter_tries_it() -> None:
    """After a pause one letter may go out; when it arrives, all may, and the next failure begins with a short pause."""
    clock = Clock()
    breaker = CircuitBreaker(WIDTH, FIRST_PAUSE, clock)
    with capture_logs() as logs:
        for _ in range(3):
            breaker.went_down("535 wrong password")
            clock.at += breaker.pause_left
        trying = breaker.capacity
        breaker.worked()
        mended = (breaker.capacity, breaker.pause_left, gauge())
        breaker.went_down("535 wrong password")

    assert trying == 1
    assert mended == (WIDTH, 0.0, 0.0)
    assert breaker.pause_left == FIRST_PAUSE
    assert events(logs) == ["channel_paused", "channel_resumed", "channel_paused"]


@pytest.mark.parametrize("later", [0.0, 0.5])
def test_a_pause_ends_by_itself(later: float) -> None:
    """Nothing has to happen for a pause to be over."""
    clock = Clock()
    breaker = CircuitBreaker(WIDTH, FIRST_PAUSE, clock)
    breaker.went_down("535 wrong password")
    clock.at += FIRST_PAUSE + later

    assert (breaker.pause_left, breaker.capacity) == (0, 1)
