"""The machine has no more to give: descriptors, room on the disk, a disk that takes writes."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.deployment import Deployment, Process, Running, is_ready, running, soon
from tests.documents import pdf
from tests.soak.ledger import Row, Scale
from tests.soak.store import Store

LARGE = 2 * 2**20


@pytest.mark.attack(168)
@pytest.mark.promises("P11 P24")
def test_no_more_descriptors(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """A process may open no more files: 503 and not ready; once it may again, all works without a restart."""
    with running(on_sqlite) as service:
        server = service.servers[0]
        soft, hard = resource.prlimit(server.popen.pid, resource.RLIMIT_NOFILE)

        def limit(count: int) -> None:
            resource.prlimit(server.popen.pid, resource.RLIMIT_NOFILE, (count, hard))

        def take_all() -> None:
            limit(_lowest_free(server))

        _refuses_and_recovers(row, service, scale, take_all, lambda: limit(soft))
    _nothing_is_left(row, on_sqlite)


@pytest.mark.promises("P3 P11")
def test_a_full_disk(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """The disk is full: 503 and not ready; once there is room, all works without a restart."""
    with _a_disk(on_sqlite) as disk, running(on_sqlite) as service:
        _refuses_and_recovers(row, service, scale, lambda: disk.fill(service), lambda: disk.clear(service))
        _nothing_is_left(row, on_sqlite)


@pytest.mark.attack(168)
@pytest.mark.promises("P3 P11")
def test_a_disk_that_takes_no_writes(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """The folder is read-only: 503 and not ready; once it is not, all works without a restart."""
    with _a_disk(on_sqlite) as disk, running(on_sqlite) as service:
        _refuses_and_recovers(row, service, scale, disk.freeze, disk.thaw)
        _nothing_is_left(row, on_sqlite)


@dataclass
class Disk:
    """The folder of a deployment's files: a file system of its own for root; for others, limits of their process."""

    folder: Path
    is_mounted: bool

    def fill(self, service: Running) -> None:
        """Leave no room."""
        if self.is_mounted:
            with (self.folder / "filler").open("wb", buffering=0) as filler:
                try:
                    while filler.write(bytes(4096)) == 4096:
                        pass
                except OSError:
                    pass
        else:
            _limit_file_size(service, 0)

    def clear(self, service: Running) -> None:
        """Give the room back."""
        if self.is_mounted:
            (self.folder / "filler").unlink()
        else:
            _limit_file_size(service, resource.RLIM_INFINITY)

    def freeze(self) -> None:
        """Take no writes."""
        if self.is_mounted:
            _run("mount", "-o", "remount,bind,ro", str(self.folder))
        else:
            self.folder.chmod(0o500)

    def thaw(self) -> None:
        """Take them again."""
        if self.is_mounted:
            _run("mount", "-o", "remount,bind,rw", str(self.folder))
        else:
            self.folder.chmod(0o700)


@contextmanager
def _a_disk(deployment: Deployment) -> Iterator[Disk]:
    """Where the files go, the database and the mails beside it."""
    folder = Path(deployment.environ["LEADINTAKE_DATA_DIR"]) / "uploads"
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    if os.geteuid() != 0:
        yield Disk(folder, is_mounted=False)
        return
    _run("mount", "-t", "tmpfs", "-o", "size=192m,mode=0700", "tmpfs", str(folder))
    try:
        yield Disk(folder, is_mounted=True)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _limit_file_size(service: Running, size: int) -> None:
    for server in service.servers:
        resource.prlimit(server.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _lowest_free(server: Process) -> int:
    """The descriptor that the next file would get."""
    used = {int(path.name) for path in Path(f"/proc/{server.popen.pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)


def _refuses_and_recovers(
    row: Row, service: Running, scale: Scale, break_it: Callable[[], None], mend: Callable[[], None]
) -> None:
    """While something is broken nothing is taken in, and says so; then everything is, in the same process."""
    server, store = service.servers[0], Store(service.deployment.environ)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        for _ in range(2 * scale.rounds):
            before = [_send(client)]
            assert soon(lambda: not any(one.attempts == 0 or one.status == "sending" for one in store.owed()))
            break_it()
            refused = [_send(client) for _ in range(5)]
            # An answer is shared for a second, so the first may be of before.
            is_noticed = soon(lambda: client.get("/health/ready").status_code == 503)
            mend()
            begin = time.monotonic()
            after = [_send(client) for _ in range(3)]
            row.trials += 9
            row.faults += 1
            row.acknowledged += sum(answer.status_code == 201 for answer in (*before, *after, *refused))

            assert {answer.status_code for answer in refused} == {503}, [answer.text for answer in refused]
            assert all("Retry-After" in answer.headers for answer in refused)
            assert is_noticed
            assert {answer.status_code for answer in (*before, *after)} == {201}, [answer.text for answer in after]
            assert soon(lambda: is_ready(server))
            assert time.monotonic() - begin < 10
        assert server.popen.poll() is None


def _send(client: httpx.Client) -> httpx.Response:
    fields = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
    return client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", pdf(LARGE))})


def _nothing_is_left(row: Row, deployment: Deployment) -> None:
    store = Store(deployment.environ)
    leads = store.leads()
    row.lost = row.acknowledged - len(leads)

    assert len(leads) == row.acknowledged
    assert store.files().keys() == {lead.path for lead in leads}
