"""How many requests may come in a time from one network address."""

import hashlib
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol, TypeVar

import limits
import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, SlidingWindowCounterSupport, Storage

from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.errors import Busy, TooManyRequests

IPV6_PREFIX = 64
"""Bits of an IPv6 address that one customer of a provider has at least; the rest is theirs to choose."""

T = TypeVar("T")

log = structlog.get_logger()


class Counts(Protocol):
    """Where requests are counted."""

    def opened(self, key: bytes) -> AbstractAsyncContextManager[None]:
        """Count until the context ends; where others could look, networks are hidden with the key."""

    async def add(self, rate: RateLimitItem, name: str, network: str) -> int:
        """Count a request as `hit` does; raises Unavailable."""

    async def ask(self, work: Callable[[Storage], Awaitable[T]]) -> T:
        """Count in a way of one's own; raises Unavailable."""

    def hidden(self, text: str) -> str:
        """What stands for a text in a name that others could see."""

    async def ping(self) -> None:
        """Raise Unavailable when nothing can be counted."""


class MemoryCounts:
    """Counts that this process keeps to itself, and that end with it."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()

    def opened(self, key: bytes) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - others cannot look
        return nullcontext()

    async def add(self, rate: RateLimitItem, name: str, network: str) -> int:
        return await hit(self._storage, rate, name, network)

    async def ask(self, work: Callable[[Storage], Awaitable[T]]) -> T:
        return await work(self._storage)

    def hidden(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()  # Nobody looks, but a long text takes no room.

    async def ping(self) -> None:
        """Memory is always there."""


class RateLimit:
    """So many in a time (30/minute) from each address; None does not limit.

    While requests cannot be counted where they should be, they are counted in `or_else`; without it, none gets in.
    """

    def __init__(self, name: str, rate: str | None, counts: Counts, or_else: Counts | None = None) -> None:
        self._name = name
        self._rate = limits.parse(rate) if rate else None
        self._counts = counts
        self._or_else = or_else

    async def count(self, address: str) -> None:
        """Count one request from an address; raises TooManyRequests, or Busy when it cannot be counted."""
        if self._rate is None:
            return
        wait = await self._add(self._rate, network_of(address))
        if wait:
            log.warning("excess_rate_limit_exceeded", limit=self._name, client=address)
            raise TooManyRequests(wait)

    async def _add(self, rate: RateLimitItem, network: str) -> int:
        try:
            return await self._counts.add(rate, self._name, network)
        except Unavailable:
            if self._or_else is None:  # Busy, because the log has it already; a line for each request would hide it.
                raise Busy("This is not possible right now. Try again in a moment.") from None
        return await self._or_else.add(rate, self._name, network)


async def hit(storage: SlidingWindowCounterSupport, rate: RateLimitItem, *of: str) -> int:
    """Count a request; returns 0 when it is within the rate, else after how many whole seconds one more will be.

    Of the window before, the share counts that is less than one window ago; it shrinks by one request after another.
    The strategy of the library has the same sums, but in the millisecond in which a window begins it says 0 seconds.
    """
    key, window = rate.key_for(*of), rate.get_expiry()
    if await storage.acquire_sliding_window_entry(key, rate.amount, window):
        return 0
    before, before_counts_for, _, kept_for = await storage.get_sliding_window(key, window)
    if before:
        still_counting = math.floor(before * before_counts_for / window)
        until_one_less = before_counts_for - still_counting * window / before
    else:
        until_one_less = kept_for - window
    return max(0, math.floor(until_one_less)) + 1


def network_of(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the network of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))
