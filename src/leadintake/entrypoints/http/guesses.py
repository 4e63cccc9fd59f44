"""How often a password may be guessed, wherever the guesses come from, and without locking its owner out."""

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from limits.aio.storage import Storage

from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.errors import NotCounted, TooManyGuesses
from leadintake.entrypoints.http.rate_limits import Counts, network_of

FREE_GUESSES = 5
FIRST_WAIT = 60
LONGEST_WAIT = 15 * 60
"""Seconds to wait after the fifth wrong guess, and at most after any later one; each wait is twice the one before."""

WRONG_COUNTS_FOR = 6 * 60 * 60
KNOWN_FOR = 30 * 24 * 60 * 60
"""Seconds."""

log = structlog.get_logger()


class Guesses:
    """Counts wrong passwords by account: those from networks that know the password apart from all others.

    So whoever guesses from elsewhere slows down everybody elsewhere, 130 guesses a day for all of them together, but
    nobody where the owner of the account has signed in before (OWASP Authentication Cheat Sheet; ASVS 5.0 V6.3.1). An
    account that does not exist is counted like one that does, so nothing can be learned from it.
    """

    def __init__(self, name: str, counts: Counts, *, is_limited: bool) -> None:
        self._name = name
        self._counts = counts
        self._is_limited = is_limited

    @asynccontextmanager
    async def one(self, account: str, address: str = "") -> AsyncIterator[None]:
        """Let one guess in; raises TooManyGuesses, or NotCounted when it cannot be counted.

        It is counted before it is looked at, so that many at once get no further. If the context ends without an error,
        the guess was right, and those before it are forgotten. If it ends with Unavailable, the guess was none.
        """
        if not self._is_limited:
            yield
            return
        pair = self._counts.hidden(f"{self._name} {account} {network_of(address)}")
        anywhere = self._counts.hidden(f"{self._name} {account}")

        async def let_in(storage: Storage) -> tuple[str, int, bool]:
            counted = pair if await storage.get(f"known/{pair}") else anywhere
            return counted, *await wait_for(storage, counted)

        async def forget(storage: Storage) -> None:
            await storage.clear(f"guesses/{counted}")
            await storage.clear(f"wait/{counted}")
            await storage.clear(f"known/{pair}")  # Else it would end so long after the first time.
            await storage.incr(f"known/{pair}", KNOWN_FOR)

        async def take_back(storage: Storage) -> None:
            await storage.incr(f"guesses/{counted}", WRONG_COUNTS_FOR, -1)
            if has_others_wait:  # Else the wait is not this one's to end.
                await storage.clear(f"wait/{counted}")

        try:
            counted, wait, has_others_wait = await self._counts.ask(let_in)
        except Unavailable:
            raise NotCounted from None
        if wait:
            log.warning("excess_rate_limit_exceeded", limit=self._name, client=address)
            raise TooManyGuesses(wait)
        try:
            yield
        except Unavailable:
            with suppress(Unavailable):
                await self._counts.ask(take_back)
            raise
        with suppress(Unavailable):
            await self._counts.ask(forget)


async def wait_for(storage: Storage, counted: str) -> tuple[int, bool]:
    """Count a guess; returns after how many seconds one is let in, 0 for now, and whether it has others wait."""
    gate = f"wait/{counted}"
    if await storage.get(gate):
        return await _left(storage, gate), False
    made = await storage.incr(f"guesses/{counted}", WRONG_COUNTS_FOR)
    if made < FREE_GUESSES:
        return 0, False
    wait = min(FIRST_WAIT * 2 ** (made - FREE_GUESSES), LONGEST_WAIT)
    is_first = await storage.incr(gate, wait) == 1  # Of those that come at the same moment, one is let in.
    return (0, True) if is_first else (await _left(storage, gate), False)


async def _left(storage: Storage, gate: str) -> int:
    return max(1, math.ceil(await storage.get_expiry(gate) - time.time()))
