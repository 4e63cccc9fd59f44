"""How long a start takes, on a disk that was read before."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.processes import Server
from benchmarks.rows import Row, Target
from benchmarks.servers import peer, service

PART = "start"


def measure(bench: Bench) -> None:
    """Start both again and again; the first start makes the database and does not count."""
    folders = {"service": bench.folder("start/service"), "peer": bench.folder("start/peer")}
    found: dict[str, list[float]] = {"service": [], "peer": []}
    start: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {"service": service, "peer": peer}
    for name in ("service", "peer"):
        with start[name](folders[name]):
            pass
    for name in bench.rounds("start", ["service", "peer"]):
        begin = time.perf_counter()
        with start[name](folders[name]):
            found[name].append(time.perf_counter() - begin)
    target = Target(2, 1, "figure")
    bench.add(Row(PART, "start to first answer", "s", found["service"], found["peer"], better="less", target=target))
