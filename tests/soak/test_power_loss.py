"""A loss of power takes what was not synced: the order of calls to the kernel, and faults in its answers."""

import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest
from tests.deployment import Deployment, Process, Running, is_ready, running, soon
from tests.documents import pdf
from tests.soak import strace
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects
from tests.soak.store import Store
from tests.soak.strace import Call

CALLS = (
    "trace=openat,io_submit,io_getevents,fsync,fdatasync,rename,renameat,renameat2,pwrite64,write,writev,sendto,sendmsg"
)
ANSWERS = {"write", "writev", "sendto", "sendmsg"}

UPLOADS, LOG = "uploads", "leadintake.db-wal"
FAULTS = [
    *((LOG, "fdatasync", "EIO", when) for when in (1, 2, 4)),
    *((LOG, "pwrite64", "ENOSPC", when) for when in (1, 2, 7)),
    *(("any", "fsync", "EIO", when) for when in (1, 2, 3, 4)),
    *(("part", "writev", "ENOSPC", when) for when in (1, 2, 3, 4)),
    *(("part", "rename", "EIO", when) for when in (1, 2)),
]
"""Where, at which call, with which answer, and the how manieth time. A folder is synced before its file, so the odd
ones of any are folders.
"""

ONE_BY_ONE = "inject=io_submit:error=EAGAIN"
"""What the kernel has synced at once is told where strace cannot change it; so it has no room for that."""

NEXT_PARTS = 40
LARGE = 700_000
"""Bytes; so many are written by more than one call."""

SUBMISSIONS = 8


@pytest.mark.promises("P2 P3")
def test_the_order_of_what_reaches_the_disk(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """Under load, by strace: file named and synced, folder synced, log written and synced, and only then answered."""
    log = on_sqlite.folder / "strace"
    with running(on_sqlite) as service:
        server = service.servers[0]
        prospects = Prospects(lambda: server.port, clients=8)
        with strace.attached(server.popen.pid, log, "-e", CALLS), prospects.sending(scale.traced):
            pass
        stored = Store(on_sqlite.environ).query("SELECT resume_path, reference FROM leads")
        references = {str(path): str(reference) for path, reference in stored}
    found = strace.calls(log)

    wrong = [
        f"{reference}: {why}" for path, reference in references.items() if (why := _disorder(path, reference, found))
    ]
    row.trials, row.acknowledged, row.lost = len(references), len(prospects.acknowledged), len(wrong)
    row.note(f"{len(found):,} calls to the system were looked at")

    assert not prospects.unasked
    assert len(references) == len(prospects.acknowledged) >= scale.traced
    assert not wrong, wrong[:10]


def _disorder(path: str, reference: str, found: list[Call]) -> str | None:
    """What is wrong with the order of a submission's calls."""
    named = _first(found, 0, lambda call: call.names(f"/{path}"))
    if named is None:
        return "the file did not get its name"
    steps: list[tuple[str, Callable[[Call], bool]]] = [
        *([("the file was written", lambda call: call.writes(f"/{path}"))] if named.name == "openat" else []),
        ("file and folder were to be synced", lambda call: call.syncs(f"/{path}") and call.syncs("/uploads")),
        ("they were synced", lambda call: call.name == "io_getevents" and call.result != "-1"),
        ("the log has the lead", lambda call: call.is_of_log("pwrite64") and reference in call.arguments),
        ("the log was synced", lambda call: call.is_of_log("fdatasync") or call.is_of_log("fsync")),
    ]
    at = named.ended
    for what, is_it in steps:
        done = _first(found, at, is_it)
        if done is None or done.result == "-1":
            return f"not seen after the step before: {what}"
        at = done.ended
    answered = _first(
        found, 0, lambda call: call.name in ANSWERS and "<socket:" in call.arguments and reference in call.arguments
    )
    if answered is None:
        return "the answer was not seen"
    return None if answered.began >= at else "it was answered before all was on the disk"


def _first(found: list[Call], since: int, is_it: Callable[[Call], bool]) -> Call | None:
    """The first call of a kind that began at a moment or later."""
    return next((call for call in found if call.began >= since and is_it(call)), None)


@pytest.mark.attack(167)
@pytest.mark.promises("P3 P4")
def test_a_disk_that_fails(on_sqlite: Deployment, row: Row) -> None:
    """EIO from fsync and rename, ENOSPC from writing, by strace: 503, no lead and no file, and the next one works."""
    store = Store(on_sqlite.environ)
    data = Path(on_sqlite.environ["LEADINTAKE_DATA_DIR"])
    problems: list[str] = []
    with running(on_sqlite) as service:
        server = service.servers[0]
        for target, call, error, when in FAULTS:
            log = on_sqlite.folder / f"{target}-{call}-{when}"
            paths = _parts_to_come(server, data / UPLOADS) if target == "part" else [data / target]
            options = [] if target == "any" else [f"--trace-path={path}" for path in paths]
            before = (len(store.leads()), {*store.files()})
            faults = ("-e", f"inject={call}:error={error}:when={when}", "-e", ONE_BY_ONE)
            with strace.attached(server.popen.pid, log, *options, *faults):
                answers = [_send(service, number) for number in range(SUBMISSIONS)]
            case = f"{call} of {target} answers {error} at time {when}"
            struck = strace.injected(log, call)  # strace counts for each thread, so this may be more than once.
            found = [*_wrong(case, answers, before, store, doubtful=target == LOG)]
            refused = sum(answer.status_code != 201 for answer in answers)
            if not struck or refused > struck or (target != LOG and refused < struck):
                found.append(f"{case}: it struck {struck} times, and {refused} submissions were refused")
            if _send(service, 0).status_code != 201 or not soon(lambda: is_ready(server)):
                found.append(f"{case}: it did not recover")
            problems += found
            row.trials += SUBMISSIONS + 1
            row.faults += struck
            row.acknowledged += 1 + sum(answer.status_code == 201 for answer in answers)
    store.sweep()
    if store.files().keys() != {lead.path for lead in store.leads()}:
        problems.append("after the sweep, files and leads are not the same")
    row.lost = len(problems)

    assert not problems, "\n".join(problems)


def _parts_to_come(server: Process, uploads: Path) -> list[Path]:
    """The names that files will have while they come in: seen at one that is broken off, and counted on."""
    body = b'--b\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n' + bytes(LARGE)
    head = f"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * LARGE}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode() + body)
        part = soon(lambda: next(uploads.glob("*.part"), None))
        assert part
    assert soon(lambda: not part.exists())
    process, _, number = part.stem.rpartition("-")
    return [uploads / f"{process}-{int(number) + more}.part" for more in range(1, NEXT_PARTS)]


def _send(service: Running, number: int) -> httpx.Response:
    fields = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
    files = {"resume": ("cv.pdf", pdf(LARGE + number if number % 2 else 20_000 + number))}
    return service.client.post("/public/leads", data=fields, files=files)


def _wrong(
    case: str, answers: list[httpx.Response], before: tuple[int, set[str]], store: Store, *, doubtful: bool
) -> Iterable[str]:
    """What a fault has led to that it must not. A commit in doubt keeps its file, which the sweep removes."""
    failed = [answer for answer in answers if answer.status_code != 201]
    leads, files = before
    if {answer.status_code for answer in failed} - {503} or not all(
        "Retry-After" in answer.headers for answer in failed
    ):
        yield f"{case}: {[(answer.status_code, answer.text) for answer in failed]}"
    if len(store.leads()) != leads + len(answers) - len(failed):
        yield f"{case}: there are {len(store.leads()) - leads} more leads"
    more = len(store.files().keys() - files)
    if more - (len(answers) - len(failed)) not in ({0, len(failed)} if doubtful else {0}):
        yield f"{case}: there are {more} more files"
