"""Answers that are shared by all who ask for them within a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable

SHARED_SECONDS = 1.0


class RecentAnswer:
    """A yes or no that takes work to find out, and is found out at most once a second, whoever asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = 0.0
        self._answer: asyncio.Future[bool] | None = None

    async def get(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Ask, unless somebody has just asked, or still does; raises what comes of that."""
        now = self._clock()
        if self._answer is None or (self._answer.done() and now >= self._asked_at + SHARED_SECONDS):
            self._asked_at = now
            self._answer = asyncio.ensure_future(ask())
        return await asyncio.shield(self._answer)  # Whoever leaves does not take it from the others.
