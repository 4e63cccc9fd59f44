"""A minute of load, in which no server may fail: one process on SQLite, three on PostgreSQL."""

from contextlib import ExitStack

from tests import postgres

from benchmarks.bench import Bench
from benchmarks.engines import DURABLE, on_postgres
from benchmarks.load import Load, Outcome
from benchmarks.load_process import outcome_of, started
from benchmarks.processes import Server
from benchmarks.rows import Row, Target
from benchmarks.servers import service

PART = "steady"
CONNECTIONS = 64
SIZE = 100_000
PROCESSES = 3
NONE = Target(0, 0, "figure")


def measure(bench: Bench) -> None:
    """Both, one after the other in the same folder, because a minute of files fills gigabytes."""
    with service(bench.folder(PART)) as server:
        _add(bench, "one process on SQLite", _loaded(bench, "steady: SQLite", [server]))
    with ExitStack() as stack:
        database = stack.enter_context(postgres.running(DURABLE))
        environ = on_postgres(database)
        folder = bench.folder(PART)
        servers = [stack.enter_context(service(folder, **environ)) for _ in range(PROCESSES)]
        _add(bench, f"{PROCESSES} processes on PostgreSQL", _loaded(bench, "steady: PostgreSQL", servers))


def _loaded(bench: Bench, what: str, servers: list[Server]) -> Outcome:
    load = Load(
        urls=[server.url for server in servers],
        paths=[servers[0].leads_path],
        size=SIZE,
        seconds=bench.form.steady,
        connections=CONNECTIONS,
    )
    with bench.waiting(what), started(load) as process:
        return outcome_of(process)


def _add(bench: Bench, what: str, outcome: Outcome) -> None:
    how = f"{bench.form.steady:.0f} s of 100 KB, {CONNECTIONS} at once, {what}"
    bench.add(
        Row(PART, f"{how}: 5xx or no answer", "answers", [outcome.server_errors], better="less", target=NONE),
        Row(PART, f"{how}", "1/s", [outcome.rate]),
    )
