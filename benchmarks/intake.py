"""Submissions of every size, on both databases, and from one to hundreds at once."""

from contextlib import ExitStack

from tests import postgres

from benchmarks.bench import Bench
from benchmarks.engines import DURABLE, on_postgres
from benchmarks.load_process import Measured, loaded, settle
from benchmarks.rows import Row
from benchmarks.servers import peer, service

PART = "intake"
AT_ONCE, SIZE = 16, 100_000
ROUNDS = 3
MORE_UPLOADS = {"LEADINTAKE_MAX_UPLOADS": "1000"}
"""Else every submission beyond the 64th at once is told to try again, which is quick and shows nothing."""


def measure(bench: Bench) -> None:
    """First by how many there are at once, then by size."""
    _at_once(bench)
    _sizes(bench)


def _at_once(bench: Bench) -> None:
    found: dict[tuple[int, str], list[Measured]] = {}
    counts = bench.form.connections
    ours = service(bench.folder("intake/service"), **MORE_UPLOADS)
    with ours as us, peer(bench.folder("intake/peer")) as them:
        for server in (us, them):
            loaded(server, size=SIZE, seconds=bench.form.warm_up)
        cases = [(count, server) for count in counts for server in (us, them)]
        for count, server in bench.rounds("intake: at once", cases, min(ROUNDS, bench.form.rounds)):
            one = loaded(server, size=SIZE, connections=count, seconds=bench.form.seconds * 0.7)
            found.setdefault((count, server.name), []).append(one)
            settle(server)
    bench.series["concurrency"] = {
        name: [
            [count, [one.outcome.rate for one in found[count, name]], [one.outcome.p99 for one in found[count, name]]]
            for count in counts
        ]
        for name in ("service", "peer")
    }
    for count in counts:
        ours_, theirs = found[count, "service"], found[count, "peer"]
        bench.add(
            Row(PART, f"100 KB, {count} at once", "1/s", [one.outcome.rate for one in ours_],
                [one.outcome.rate for one in theirs], [one.cpu for one in ours_]),
            Row(PART, f"100 KB, {count} at once: 99 % answered within", "ms", [one.outcome.p99 for one in ours_],
                [one.outcome.p99 for one in theirs], better="less"),
        )  # fmt: skip


def _sizes(bench: Bench) -> None:
    found: dict[tuple[int, str], list[Measured]] = {}
    with ExitStack() as stack:
        database = stack.enter_context(postgres.running(DURABLE))
        servers = [
            stack.enter_context(service(bench.folder("intake/sqlite"), "SQLite")),
            stack.enter_context(service(bench.folder("intake/postgres"), "PostgreSQL", **on_postgres(database))),
        ]
        for server in servers:
            loaded(server, size=SIZE, seconds=bench.form.warm_up)
        cases = [(size, server) for size in bench.form.sizes for server in servers]
        for size, server in bench.rounds("intake: sizes", cases, min(ROUNDS, bench.form.rounds)):
            one = loaded(server, size=size, connections=AT_ONCE, seconds=bench.form.seconds * 0.7)
            found.setdefault((size, server.name), []).append(one)
            settle(server)
    for (size, name), measured in sorted(found.items(), key=lambda item: (item[0][1] != "SQLite", item[0][0])):
        what = f"{size // 1000:,} KB, {AT_ONCE} at once, {name}"
        cpu = [one.cpu for one in measured]
        bench.add(Row(PART, what, "1/s", [one.outcome.rate for one in measured], cpu=cpu))
        if size == SIZE:
            p99 = [one.outcome.p99 for one in measured]
            bench.add(Row(PART, f"{what}: 99 % answered within", "ms", p99, better="less"))
