import asyncio
import math
from dataclasses import dataclass

import limits
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from limits import RateLimitItem
from structlog.testing import capture_logs

from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.errors import NotCounted, TooManyMegabytes, TooManyRequests
from leadintake.entrypoints.http.rate_limits import (
    Megabytes,
    MemoryCounts,
    MemoryWindows,
    RateLimit,
    hit,
    network_of,
)


@dataclass
class Windows:
    """The counts of one client, by a clock in milliseconds that a test sets. As in Redis, a request begins a window."""

    now: int = 0
    begin: int = -(10**9)
    before: int = 0
    current: int = 0

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        before, before_counts_for, current, _ = await self.get_sliding_window(key, expiry)
        is_within = math.floor(before * before_counts_for / expiry) + current + amount <= limit
        if is_within:
            self.current += amount
        return is_within

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:  # noqa: ARG002 - one key
        window = expiry * 1000
        if self.now >= self.begin + 2 * window:
            self.begin, self.before, self.current = self.now, 0, 0
        elif self.now > self.begin + window:
            self.begin, self.before, self.current = self.begin + window, self.current, 0
        left = (self.begin + window - self.now) / 1000
        return self.before, left if self.before else 0, self.current, left + expiry


class Nowhere(MemoryCounts):
    """Counts that are out of reach."""

    async def add(self, rate: RateLimitItem, name: str, network: str, amount: int) -> int:  # noqa: ARG002 - nothing is counted
        raise Unavailable


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 12_000), st.integers(1, 4)), max_size=40),
)
@example(5, 6, [(0, 4), (400, 2), (0, 3)])  # 4.6 - 3 * 6 / 5 comes to a little less than 1.
def test_time_to_wait(most: int, seconds: int, hits: list[tuple[int, int]]) -> None:
    """Whoever is refused is within the rate after the time that is told, and a second before that is not yet."""
    rate = limits.parse(f"{most} per {seconds} second")
    windows = Windows()

    async def steps() -> None:
        for pause, amount in (*hits, *[(0, 1)] * most):
            windows.now += pause
            if wait := await hit(windows, rate, amount=amount):
                refused_at = windows.now
                for later, is_let_in in ((wait * 1000 - 1001, False), (wait * 1000, True)):
                    windows.now = refused_at + max(later, 0)

                    assert (await hit(windows, rate, amount=amount) == 0) is is_let_in

    asyncio.run(steps())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_networks(address: str, network: str) -> None:
    """An IPv4 address is one client, however it is written; of IPv6 it is the first 64 bits."""
    assert network_of(address) == network


async def test_without_a_rate_nobody_is_counted() -> None:
    """`off` needs no place to count in."""
    await RateLimit("submit", None, Nowhere()).count("192.0.2.1")


async def test_what_cannot_be_counted_is_refused_for_now() -> None:
    """Where nothing else is said, a limit that cannot be kept lets nobody in."""
    with pytest.raises(NotCounted):
        await RateLimit("login", "3/day", Nowhere()).count("192.0.2.1")


async def test_what_cannot_be_counted_here_is_counted_there() -> None:
    """With a second place to count in, the limit holds as far as that one sees."""
    limit = RateLimit("submit", "1/day", Nowhere(), or_else=MemoryCounts())
    await limit.count("192.0.2.1")

    with pytest.raises(TooManyRequests):
        await limit.count("192.0.2.1")


async def test_megabytes_are_counted_in_bytes() -> None:
    """A byte more than the megabytes is refused; what is larger than all of them is taken when nothing else came."""
    limit = Megabytes("megabytes", "3/day", MemoryCounts())
    for amount in (1_000_000, 1_999_999, 0, 1):
        await limit.count("192.0.2.1", amount)
    await limit.count("192.0.2.2", 10**9)

    for address in ("192.0.2.1", "192.0.2.2"):
        with pytest.raises(TooManyMegabytes):
            await limit.count(address, 1)


async def test_nobody_gets_in_uncounted() -> None:
    """However little is left, the wait is a second: with 0, all that comes in the last one would be let in."""
    rate, windows = limits.parse("1/minute"), Windows()
    first = await hit(windows, rate)
    windows.now = 59_500

    assert (first, await hit(windows, rate)) == (0, 1)


async def test_what_came_long_ago_counts_no_more() -> None:
    """Of the windows before, only the last one counts, however long nobody has come."""
    now = 0.0
    windows, rate = MemoryWindows(lambda: now), limits.parse("4/minute")
    waits = [await hit(windows, rate) for _ in range(5)]
    now = 3_600.0
    waits += [await hit(windows, rate) for _ in range(5)]

    assert [wait > 0 for wait in waits] == [False, False, False, False, True] * 2


async def test_what_is_refused_is_in_the_log() -> None:
    """With the address it came from, for whoever bans those that go on."""
    limit = RateLimit("submit", "1/day", MemoryCounts())
    await limit.count("192.0.2.1")
    with capture_logs() as logs, pytest.raises(TooManyRequests):
        await limit.count("192.0.2.1")

    assert logs == [
        {"event": "excess_rate_limit_exceeded", "log_level": "warning", "limit": "submit", "client": "192.0.2.1"}
    ]
