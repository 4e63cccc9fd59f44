"""Submissions, against the peer and against the machine; and how soon their mails are there."""

from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.ceilings import batched_commits, synced_files
from benchmarks.load_process import Measured, loaded, settle
from benchmarks.mails import delays
from benchmarks.rows import Row, Target
from benchmarks.servers import bare, peer, service

PART = "create"
CEILING_SECONDS = 2.0
Targets = tuple[Target | None, Target | None, Target | None]
USUAL = (100_000, 16)
"""Bytes, and how many at once."""

CASES: dict[tuple[int, int], Targets] = {
    USUAL: (Target(3, 6), Target(15, 30), Target(3, 5)),
    (100_000, 64): (None, Target(15, 30), None),
    (5_000_000, 16): (Target(2, 4), None, None),
}
"""What is wanted of their rate, of the time within which 99 % are answered, and of their processor time."""

BESIDE = "service with a worker beside it"
SYNCED = "synced peer"
"""The peer when it syncs files and mails, so that a power cut takes as little from it as from the service."""

KEEPING = "keeping"
"""The same web server with nothing behind it, which writes and syncs what comes."""

Found = dict[tuple[str, int, int], list[Measured]]


def measure(bench: Bench) -> None:
    """Both in turn, and the ceilings in the same rounds."""
    found: Found = {}
    late: dict[str, list[float]] = {"service": [], BESIDE: [], "peer": [], SYNCED: []}
    kept = bench.folder("create/keeping/uploads")
    files, files_alone, commits = list[float](), list[float](), list[float]()
    disk = bench.folder("create/disk")
    database = _empty_database(bench.folder("create/commits"))
    with (
        service(bench.folder("create/service")) as ours,
        service(bench.folder("create/beside"), BESIDE, LEADINTAKE_WORKER="separate") as beside,
        peer(bench.folder("create/peer")) as theirs,
        peer(bench.folder("create/synced"), SYNCED, PEER_SYNC="1") as synced,
        bare(KEEPING, kept.parent, KEEPING=str(kept)) as keeping,
    ):
        for server in (ours, beside, theirs, synced):
            loaded(server, size=USUAL[0], seconds=bench.form.warm_up)
        cases = [(*case, server) for case in CASES for server in (ours, beside, theirs, keeping)]
        for size, connections, server in bench.rounds("create", [(*USUAL, synced), *cases]):
            answers = bench.work / "answers"
            one = loaded(server, size=size, connections=connections, seconds=bench.form.seconds, answers=str(answers))
            found.setdefault((server.name, size, connections), []).append(one)
            if (size, connections) == USUAL and server.sends_mails:
                late[server.name] += [delays(answers, server.mails)[0]]
            settle(server)
            if (size, connections) == USUAL and server is ours:
                files.append(synced_files(disk, size, CEILING_SECONDS, with_folder=True))
                files_alone.append(synced_files(disk, size, CEILING_SECONDS, with_folder=False))
                commits.append(batched_commits(database, CEILING_SECONDS))
    for (size, connections), targets in CASES.items():
        what, theirs_ = f"{size // 1000:,} KB, {connections} at once", found["peer", size, connections]
        bench.add(*_rows(what, found["service", size, connections], theirs_, targets))
        bench.add(*_rows(f"{what}, with a worker beside", found[BESIDE, size, connections], theirs_, targets))
        least = found[KEEPING, size, connections]
        bench.add(
            Row(PART, f"{what}: a web server that only writes and syncs what comes", "1/s", _rates(least),
                cpu=[one.cpu for one in least]),
            Row(PART, f"{what}, against that", "1/s", _rates(found["service", size, connections]),
                ceiling=_rates(least)),
        )  # fmt: skip
    usual = found["service", *USUAL]
    bench.add(*_rows("100 KB, 16 at once, against the peer when it syncs", usual, found[SYNCED, *USUAL]))
    durable = _rates(usual)
    bench.add(
        Row(PART, "100 KB, 16 at once, against files synced with their folder by 16 threads", "1/s", durable,
            ceiling=files, target=Target(25, 60, "share")),
        Row(PART, "the same against files synced without their folder", "1/s", durable, ceiling=files_alone),
        Row(PART, "the same against SQLite commits of 16 leads each", "1/s", durable, ceiling=commits),
        Row("mails", "both mails exist after the 201, 16 at once: half of all, within", "ms", late["service"],
            peer=late["peer"], better="less", target=Target(1000, 100, "figure")),
        Row("mails", "the same against the peer when it syncs", "ms", late["service"], peer=late[SYNCED],
            better="less"),
        Row("mails", "the same with a worker beside", "ms", late[BESIDE], peer=late["peer"], better="less"),
    )  # fmt: skip


def _empty_database(folder: Path) -> Path:
    with service(folder):
        return folder / "leadintake.db"


def _rates(measured: list[Measured]) -> list[float]:
    return [one.outcome.rate for one in measured]


def _rows(what: str, ours: list[Measured], theirs: list[Measured], targets: Targets = (None, None, None)) -> list[Row]:
    rate, p99, processor = targets
    cpu = [one.cpu for one in ours]
    return [
        Row(PART, what, "1/s", _rates(ours), _rates(theirs), cpu, target=rate),
        Row(PART, f"{what}: half of all answered within", "ms", [one.outcome.p50 for one in ours],
            [one.outcome.p50 for one in theirs], better="less"),
        Row(PART, f"{what}: 99 % answered within", "ms", [one.outcome.p99 for one in ours],
            [one.outcome.p99 for one in theirs], better="less", target=p99),
        Row(PART, f"{what}: processor time each, mails included", "ms", cpu, [one.cpu for one in theirs],
            better="less", target=processor),
    ]  # fmt: skip
