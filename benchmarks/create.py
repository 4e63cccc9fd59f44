"""Submissions, against the peer and against the machine; and how soon their mails are there."""

from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.ceilings import batched_commits, synced_files
from benchmarks.load_process import Measured, loaded, settle
from benchmarks.mails import delays
from benchmarks.rows import Row, Target
from benchmarks.servers import peer, service

PART = "create"
CEILING_SECONDS = 2.0
CASES = ((100_000, 16), (100_000, 64), (5_000_000, 16))
"""Bytes, and how many at once."""

Found = dict[tuple[str, int, int], list[Measured]]


def measure(bench: Bench) -> None:
    """Both in turn, and the ceilings in the same rounds."""
    found: Found = {}
    late: dict[str, list[float]] = {"service": [], "peer": []}
    files, files_alone, commits = list[float](), list[float](), list[float]()
    disk = bench.folder("create/disk")
    database = _empty_database(bench.folder("create/commits"))
    with service(bench.folder("create/service")) as ours, peer(bench.folder("create/peer")) as theirs:
        for server in (ours, theirs):
            loaded(server, size=CASES[0][0], seconds=bench.form.warm_up)
        for case in bench.rounds("create", [(*case, server) for case in CASES for server in (ours, theirs)]):
            size, connections, server = case
            answers = bench.out / "work" / "answers"
            one = loaded(server, size=size, connections=connections, seconds=bench.form.seconds, answers=str(answers))
            found.setdefault((server.name, size, connections), []).append(one)
            if (size, connections) == CASES[0]:
                late[server.name] += [delays(answers, server.mails)[0]]
            settle(server)
            if case[:2] == CASES[0] and server is ours:
                files.append(synced_files(disk, size, CEILING_SECONDS, with_folder=True))
                files_alone.append(synced_files(disk, size, CEILING_SECONDS, with_folder=False))
                commits.append(batched_commits(database, CEILING_SECONDS))
    bench.add(*_rows(found))
    durable = _rates(found["service", *CASES[0]])
    bench.add(
        Row(PART, "100 KB, 16 at once, against files synced with their folder by 16 threads", "1/s", durable,
            ceiling=files, target=Target(25, 60, "share")),
        Row(PART, "the same against files synced without their folder", "1/s", durable, ceiling=files_alone),
        Row(PART, "the same against SQLite commits of 16 leads each", "1/s", durable, ceiling=commits),
        Row("mails", "both mails exist after the 201, 16 at once: half of all, within", "ms", late["service"],
            peer=late["peer"], better="less", target=Target(1000, 100, "figure")),
    )  # fmt: skip


def _empty_database(folder: Path) -> Path:
    with service(folder):
        return folder / "leadintake.db"


def _rates(measured: list[Measured]) -> list[float]:
    return [one.outcome.rate for one in measured]


def _rows(found: Found) -> list[Row]:
    rows = []
    for size, connections in CASES:
        ours, theirs = found["service", size, connections], found["peer", size, connections]
        what = f"{size // 1000:,} KB, {connections} at once"
        is_usual = (size, connections) == CASES[0]
        is_large = size > CASES[0][0]
        rate = Target(3, 6) if is_usual else Target(2, 4) if is_large else None
        cpu = [one.cpu for one in ours]
        rows += [
            Row(PART, what, "1/s", _rates(ours), _rates(theirs), cpu, target=rate),
            Row(PART, f"{what}: half of all answered within", "ms", [one.outcome.p50 for one in ours],
                [one.outcome.p50 for one in theirs], better="less"),
            Row(PART, f"{what}: 99 % answered within", "ms", [one.outcome.p99 for one in ours],
                [one.outcome.p99 for one in theirs], better="less", target=None if is_large else Target(15, 30)),
            Row(PART, f"{what}: processor time each, mails included", "ms", cpu, [one.cpu for one in theirs],
                better="less", target=Target(3, 5) if is_usual else None),
        ]  # fmt: skip
    return rows
