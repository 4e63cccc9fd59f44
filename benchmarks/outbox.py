"""The outbox: mails a second to a mail server, and what a backlog of them costs those who submit meanwhile."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.engines import mail_sink
from benchmarks.leads import owe
from benchmarks.load import Load
from benchmarks.load_process import MAILS_OF_A_LEAD, outcome_of, settle, started
from benchmarks.processes import Server, wait_for
from benchmarks.rows import Row, Target
from benchmarks.servers import service

PART = "outbox"
AT_ONCE, SIZE = 16, 100_000
LEADS_A_COMMIT = 1_000
ROUNDS = 3
PATIENCE = 1_800.0


def measure(bench: Bench) -> None:
    """Submissions with nothing to send but their own mails, and with a backlog, in turn; then the backlog alone."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    drained = list[float]()
    backlog = bench.form.backlog
    folder = bench.folder("outbox")
    with mail_sink(folder) as sink, service(folder / "service", **sink.environ) as server:
        database = server.folder / "leadintake.db"
        _submit(server, seconds=bench.form.warm_up)
        _until_all_is_sent(database)
        for has_backlog in bench.rounds("outbox", [False, True], min(ROUNDS, bench.form.rounds)):
            settle(server)
            if has_backlog:
                _owe(database, backlog)
                _submit(server, requests=1)  # Its commit writes back the log by which the backlog came.
            rates[has_backlog].append(_submit(server, seconds=bench.form.seconds))
            before, begin = sink.count(), time.perf_counter()
            _until_all_is_sent(database)
            if has_backlog:
                drained.append((sink.count() - before) / (time.perf_counter() - begin))
    slowed = [100 * (1 - with_it / without) for with_it, without in zip(rates[True], rates[False], strict=True)]
    bench.add(
        Row(PART, f"mails to a mail server, what is left of a backlog of {backlog:,}", "1/s", drained),
        Row(PART, f"100 KB, {AT_ONCE} at once, mails to a mail server", "1/s", rates[False]),
        Row(PART, f"the same while a backlog of {backlog:,} mails goes out", "1/s", rates[True]),
        Row(PART, "how much slower that is", "%", slowed, better="less", target=Target(10, 10, "figure")),
    )


def _submit(server: Server, **until: Any) -> float:
    load = Load(urls=[server.url], paths=[server.leads_path], size=SIZE, connections=AT_ONCE, **until)
    with started(load) as process:
        return outcome_of(process).rate


def _owe(path: Path, mails: int) -> None:
    with closing(_opened(path)) as database:
        owe(database, mails // MAILS_OF_A_LEAD, LEADS_A_COMMIT)


def _until_all_is_sent(path: Path) -> None:
    with closing(_opened(path)) as database:
        left = "SELECT count(*) FROM deliveries WHERE status <> 'sent'"
        wait_for(lambda: database.execute(left).fetchone() == (0,), PATIENCE)


def _opened(path: Path) -> sqlite3.Connection:
    """The database beside its server, which alone may write the log back (docs/adr/0002)."""
    connection = sqlite3.connect(path, timeout=60)
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    return connection
