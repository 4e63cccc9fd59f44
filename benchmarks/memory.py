"""Memory: at rest, and under large uploads."""

from contextlib import AbstractContextManager

from benchmarks.bench import Bench
from benchmarks.load_process import loaded, settle
from benchmarks.processes import Server, sampled
from benchmarks.rows import Row, Target
from benchmarks.servers import peer, service

PART = "memory"
UPLOADS, AT_ONCE, SIZE = 64, 32, 10_000_000
AT_MOST_ROUNDS = 3


def measure(bench: Bench) -> None:
    """Each time a process that has taken in some small files, because one that had large ones keeps what it got."""
    rest: dict[str, list[float]] = {"service": [], "peer": []}
    extra: dict[str, list[float]] = {"service": [], "peer": []}
    after: dict[str, list[float]] = {"service": [], "peer": []}
    bench.series["memory"] = {}
    for name in bench.rounds(
        "memory under uploads of 10 MB", ["service", "peer"], min(AT_MOST_ROUNDS, bench.form.rounds)
    ):
        with _started(bench, name) as server:
            rest[name].append(server.memory())
            loaded(server, size=10_000, seconds=bench.form.warm_up)
            base = server.memory()
            with sampled(server.memory) as samples:
                loaded(server, size=SIZE, requests=UPLOADS, connections=AT_ONCE)
            extra[name].append(max(memory for _, memory in samples) - base)
            after[name].append(server.memory() - base)
            bench.series["memory"][name] = samples
            settle(server)
    bench.add(
        _row("at rest", rest),
        _row(f"extra under {AT_ONCE} uploads of 10 MB at once", extra, Target(30, 12, "figure")),
        _row("still extra afterwards", after),
    )


def _started(bench: Bench, name: str) -> AbstractContextManager[Server]:
    folder = bench.folder(f"memory/{name}")
    return service(folder) if name == "service" else peer(folder)


def _row(what: str, found: dict[str, list[float]], target: Target | None = None) -> Row:
    return Row(PART, what, "MB", found["service"], found["peer"], better="less", target=target)
