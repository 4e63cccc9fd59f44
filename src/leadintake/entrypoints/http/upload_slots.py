"""How many uploads are let in at once, and how many of them from one network address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from leadintake.entrypoints.errors import RETRY_AFTER, Busy, TooManyUploads
from leadintake.entrypoints.http.rate_limits import network_of

SHARE = 4
FEWEST = 2
"""One network address may hold one slot in four, and two however few there are."""

log = structlog.get_logger()


class Slots:
    """So many at once. With `are_shared`, nobody holds more than a share of them."""

    def __init__(self, count: int, *, are_shared: bool) -> None:
        self._free = count
        self._share = max(FEWEST, count // SHARE) if are_shared else count
        self.held = Counter[str]()

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """Hold a slot for an address; raises Busy when none is free, or TooManyUploads when it has its share."""
        if not self._free:
            raise Busy
        network = network_of(address)
        if self.held[network] >= self._share:
            log.warning("excess_rate_limit_exceeded", limit="uploads", client=address)
            raise TooManyUploads(RETRY_AFTER)
        self._free -= 1
        self.held[network] += 1
        try:
            yield
        finally:
            self._free += 1
            self.held[network] -= 1
            if not self.held[network]:
                del self.held[network]
