"""The load generator, a process of its own: so many connections, each sending again as soon as it was answered.

`python -m benchmarks.load` takes a Load as JSON on its command line, and prints what came of it, an Outcome, as JSON.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop
from tests.documents import pdf

from benchmarks.client import Connection, Sink
from benchmarks.figures import percentile
from benchmarks.prospects import Prospect, form_of, prospects

PATIENCE = 60.0
"""Seconds that the last answers may take once the time is over."""


class Load(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to ask for, and how.

    With `size`, submissions with a PDF of so many bytes; with `form`, POSTs of that text; else GETs. Paths are taken at
    random, connections go to one URL after the other. `answers` is a file for the time and body of each answer.
    """

    urls: list[str]
    paths: list[str]
    connections: int = 16
    seconds: float | None = None
    requests: int | None = None
    size: int | None = None
    form: str | None = None
    token: str | None = None
    answers: str | None = None


class Outcome(msgspec.Struct):
    """What came of it: answers a second, times in milliseconds, statuses, and what was not answered at all."""

    rate: float
    p50: float
    p99: float
    most: float
    count: int
    statuses: dict[int, int]
    failures: int

    @property
    def server_errors(self) -> int:
        """Answers of 500 and more, and requests without an answer."""
        return self.failures + sum(count for status, count in self.statuses.items() if status >= 500)


def requests_of(load: Load) -> Iterator[list[bytes]]:
    """Requests without end, each in pieces."""
    signed = f"Authorization: Bearer {load.token}\r\n" if load.token else ""
    head = f"HTTP/1.1\r\nHost: {urlsplit(load.urls[0]).netloc}\r\n{signed}"
    chance = random.Random(4711)
    if load.size is not None:
        file = pdf(load.size)
        for prospect in prospects():
            yield _submission(load.paths[0], head, prospect, file)
    while True:
        path = chance.choice(load.paths)
        if load.form is None:
            yield [f"GET {path} {head}\r\n".encode()]
        else:
            kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(load.form)}\r\n\r\n"
            yield [f"POST {path} {head}{kind}{load.form}".encode()]


def _submission(path: str, head: str, prospect: Prospect, file: bytes) -> list[bytes]:
    kind, before, after = form_of(prospect)
    length = len(before) + len(file) + len(after)
    headers = f"POST {path} {head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return [headers.encode() + before, file, after]


async def run(load: Load) -> Outcome:
    """Do it."""
    sink = Sink(requests_of(load), keeps_bodies=load.answers is not None)
    begin = time.perf_counter()
    sink.until = begin + load.seconds if load.seconds else float("inf")
    sink.left = load.requests if load.requests is not None else sys.maxsize
    connections = [Connection(sink, load.urls[n % len(load.urls)]) for n in range(load.connections)]
    async with asyncio.timeout((load.seconds or 10 * PATIENCE) + PATIENCE):
        await asyncio.gather(*(connection.run() for connection in connections))
    seconds = load.seconds or time.perf_counter() - begin
    if load.answers:
        lines = b"".join(b"%d %s\n" % answer for answer in sink.bodies)
        Path(load.answers).write_bytes(lines)  # noqa: ASYNC240 - nobody waits any more
    times = sorted(sink.times)
    return Outcome(
        rate=sink.in_time / seconds,
        p50=percentile(times, 50) * 1000,
        p99=percentile(times, 99) * 1000,
        most=times[-1] * 1000 if times else 0,
        count=len(times),
        statuses=Counter(sink.statuses),
        failures=sink.failures,
    )


if __name__ == "__main__":
    outcome = uvloop.run(run(msgspec.json.decode(sys.argv[1], type=Load)))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
