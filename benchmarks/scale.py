"""Several processes on one PostgreSQL and one object store: how far they get together on this machine, and why."""

from contextlib import ExitStack

import psutil
from tests import postgres, s3

from benchmarks.bench import Bench
from benchmarks.engines import DURABLE, on_postgres
from benchmarks.load import Load
from benchmarks.load_process import MAILS_OF_A_LEAD, count_of, outcome_of, settle, started
from benchmarks.processes import Server, cpu_of, wait_for
from benchmarks.rows import Row
from benchmarks.servers import service

PART = "scale"
PROCESSES = (1, 2, 3)
AT_ONCE, SIZE = 48, 100_000
ROUNDS = 3


def measure(bench: Bench) -> None:
    """Three servers run throughout, and the load goes to one, two or all of them; first on a folder, then on S3."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres.running(DURABLE))
        store = stack.enter_context(s3.running(bench.folder("scale") / "s3"))
        engines = {"PostgreSQL": psutil.Process(database.process.pid), "S3": psutil.Process(store.pid)}
        database.execute("CREATE DATABASE on_folder")
        places = {
            "a folder": on_postgres(database, "on_folder"),
            "S3": {**on_postgres(database), "LEADINTAKE_FILES": store.url(), **store.environ},
        }
        for place, environ in places.items():
            folder = bench.folder(f"scale/{place}")
            servers = [stack.enter_context(service(folder, **environ)) for _ in PROCESSES]
            _measure(bench, place, servers, engines)


def _measure(bench: Bench, place: str, servers: list[Server], engines: dict[str, psutil.Process]) -> None:
    _submit(servers, bench.form.warm_up)
    rates: dict[int, list[float]] = {count: [] for count in PROCESSES}
    cpu: dict[int, list[float]] = {count: [] for count in PROCESSES}
    used: dict[str, list[float]] = {name: [] for name in engines}
    for count in bench.rounds(f"scale: on {place}", PROCESSES, min(ROUNDS, bench.form.rounds)):
        before = {name: cpu_of(process) for name, process in engines.items()}
        ours = sum(server.cpu() for server in servers)
        done, rate = _submit(servers[:count], bench.form.seconds)
        rates[count].append(rate)
        cpu[count].append((sum(server.cpu() for server in servers) - ours) / done * 1000)
        for name, process in engines.items():
            used[name].append((cpu_of(process) - before[name]) / done * 1000)
        settle(*servers)
    bench.series.setdefault("scale", {})[place] = [[count, rates[count]] for count in PROCESSES]
    bench.add(
        *(Row(PART, f"100 KB, {AT_ONCE} at once, {count} server processes, files in {place}", "1/s", rates[count],
              cpu=cpu[count]) for count in PROCESSES),
        *(Row(PART, f"processor time of {name} for a lead, files in {place}", "ms", used[name], better="less")
          for name in engines if name in ("PostgreSQL", place)),
    )  # fmt: skip


def _submit(servers: list[Server], seconds: float) -> tuple[int, float]:
    """How many leads were taken in, and how many a second; returns when their mails are there."""
    before = count_of(servers[0].mails)
    urls = [server.url for server in servers]
    load = Load(urls=urls, paths=[servers[0].leads_path], size=SIZE, connections=AT_ONCE, seconds=seconds)
    with started(load) as process:
        outcome = outcome_of(process)
    done = outcome.statuses.get(201, 0)
    wait_for(lambda: count_of(servers[0].mails) - before >= MAILS_OF_A_LEAD * done)
    return max(1, done), outcome.rate
