"""The circuit breaker of the mail channel: while that is down, letters wait, and it is tried with one at a time."""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

FIRST_PAUSE = 4.0
LONGEST_PAUSE = 64.0
"""Seconds from one try to the next, doubling; soon enough after it was mended, and too seldom for a mail server to take
wrong passwords for an attack.
"""

log = structlog.get_logger()
paused = Gauge("leadintake_channel_paused", "1 while no mail goes out until somebody mends the way it takes")


class CircuitBreaker:
    """How many letters may be under way: `width`, but none while a pause lasts, and one from then until one arrived."""

    def __init__(self, width: int, first_pause: float, now: Callable[[], float] = time.monotonic) -> None:
        self._width = width
        self._first_pause = first_pause
        self._now = now
        self._pause_length = 0.0
        self._ends_at = 0.0
        paused.set(0)

    @property
    def capacity(self) -> int:
        """How many letters may be under way at once, when no pause lasts."""
        return 1 if self._pause_length else self._width

    @property
    def pause_left(self) -> float:
        """Seconds until letters may go out."""
        return max(0.0, self._ends_at - self._now()) if self._pause_length else 0.0

    def went_down(self, reason: str) -> None:
        """Pause, for twice as long as before; what else was under way meanwhile says nothing new."""
        if self.pause_left:
            return
        if not self._pause_length:
            log.error("channel_paused", reason=reason)
            paused.set(1)
        self._pause_length = min(2 * self._pause_length, LONGEST_PAUSE) or self._first_pause
        self._ends_at = self._now() + self._pause_length

    def worked(self) -> None:
        """Open up, unless the letter that arrived may have been under way since before the pause."""
        if self._pause_length and not self.pause_left:
            self._pause_length = 0.0
            log.info("channel_resumed")
            paused.set(0)
