"""Who gets in: so many at once, and so many in a time from one network address."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import limits
import structlog
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from litestar.connection import ASGIConnection

from leadintake.entrypoints.errors import Busy, TooManyRequests

IPV6_PREFIX = 64
"""Bits of an IPv6 address that one customer of a provider has at least; the rest is theirs to choose."""

log = structlog.get_logger()


class Slots:
    """So many at once."""

    def __init__(self, count: int) -> None:
        self._free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot; raises Busy when none is free."""
        if not self._free:
            raise Busy
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class RateLimit:
    """So many in a time (30/minute) from each address, counted in the memory of this process; None does not limit."""

    def __init__(self, name: str, rate: str | None) -> None:
        self._name = name
        self._item = limits.parse(rate) if rate else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, address: str) -> None:
        """Count one request from an address; raises TooManyRequests."""
        if self._item is None:
            return
        key = network_of(address)
        if not await self._limiter.hit(self._item, self._name, key):
            reset = (await self._limiter.get_window_stats(self._item, self._name, key)).reset_time
            log.warning("excess_rate_limit_exceeded", limit=self._name, client=address)
            raise TooManyRequests(max(1, math.ceil(reset - time.time())))


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The address of the client, as far as trusted proxies tell it."""
    return connection.client.host if connection.client else ""


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
