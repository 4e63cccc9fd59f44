"""HTTP as little as it takes: a connection that sends the next request when the one before was answered."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
CHUNKED = b"\r\ntransfer-encoding: chunked"


@dataclass
class Sink:
    """Where the next request comes from, and where answers are counted, for all connections together."""

    requests: Iterator[list[bytes]]
    keeps_bodies: bool
    until: float = float("inf")
    left: int = 0
    times: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    in_time: float = 0
    failures: int = 0

    def next(self) -> list[bytes] | None:
        """The next request, while there is time."""
        if self.left <= 0 or time.perf_counter() >= self.until:
            return None
        self.left -= 1
        return next(self.requests)

    def answered(self, status: int, begin: float, body: bytes) -> None:
        """Count an answer. Good ones make the rate; of one that came late, the part of its time that was in time."""
        now = time.perf_counter()
        self.times.append(now - begin)
        self.statuses.append(status)
        if status < 400:
            self.in_time += 1 if now <= self.until else (self.until - begin) / (now - begin)
        if self.keeps_bodies:
            self.bodies.append((time.time_ns(), body))


class Connection(asyncio.Protocol):
    """One client. When its connection ends, it opens another."""

    def __init__(self, sink: Sink, url: str) -> None:
        self._sink = sink
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80

    async def run(self) -> None:
        """Ask until there is nothing more to ask for."""
        loop = asyncio.get_running_loop()
        self._is_done = False
        while not self._is_done:
            self._ended: asyncio.Future[None] = loop.create_future()
            self._received, self._is_waiting = bytearray(), False
            try:
                await loop.create_connection(lambda: self, self._host, self._port)
            except OSError:
                self._is_done = self._sink.next() is None
                self._sink.failures += not self._is_done
                await asyncio.sleep(0.01)
                continue
            await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._received += data
        end = self._received.find(END)
        if end < 0:
            return
        head = bytes(self._received[: end + 2]).lower()
        at = head.find(LENGTH)
        start = end + len(END)
        if at >= 0:
            at += len(LENGTH)
            if len(self._received) < start + int(head[at : head.index(b"\r\n", at)]):
                return
        elif CHUNKED in head and not self._received.endswith(b"0\r\n\r\n"):
            return
        body = bytes(self._received[start:]) if self._sink.keeps_bodies else b""
        self._is_waiting = False
        self._received.clear()
        self._sink.answered(int(head[9:12]), self._begin, body)
        if b"\r\nconnection: close" in head:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        """End, or begin anew."""
        self._sink.failures += self._is_waiting
        with suppress(asyncio.InvalidStateError):
            self._ended.set_result(None)

    def _ask(self) -> None:
        request = self._sink.next()
        if request is None:
            self._is_done = True
            self._transport.close()
            return
        self._begin = time.perf_counter()
        self._is_waiting = True
        self._transport.writelines(request)
