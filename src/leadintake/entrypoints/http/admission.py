"""Who is asking, and how many are let in at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar.connection import ASGIConnection

from leadintake.entrypoints.errors import Busy


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


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The address of the client, as far as trusted proxies tell it."""
    return connection.client.host if connection.client else ""
