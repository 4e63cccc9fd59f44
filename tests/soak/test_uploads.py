"""More uploads at once than are allowed, each of them slow."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import pytest
from tests.deployment import Deployment, Process, is_ready, running
from tests.documents import pdf
from tests.soak.ledger import Row, Scale
from tests.soak.store import Store

UPLOAD = 10 * 2**20
PLACES = 64
"""LEADINTAKE_MAX_UPLOADS as it comes."""

CONTENT = pdf(UPLOAD)
PIECES = 128
MOST_MEMORY = 100
"""MB more than before: of each upload a buffer of 256 KiB is in memory, and what the kernel hands over."""

LONGEST_ANSWER = 5.0
"""Seconds after which load balancers give a health check up; it takes a fraction of one, but machines are busy."""


@dataclass
class Uploads:
    """Slow uploads at once, each in a thread, and how each was answered: the status, and after how many seconds."""

    port: int
    seconds: float
    answers: list[tuple[int, float]] = field(default_factory=list)

    def send(self, number: int) -> None:
        """Send one, as fast as its line allows."""
        begin = time.monotonic()
        head = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        fields = {b"first_name": b"Ada", b"last_name": b"Lovelace", b"email": b"p%d@example.org" % number}
        file = b'--b\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n'
        before, after = b"".join(head % field for field in fields.items()) + file, b"\r\n--b--\r\n"

        def pieces() -> Iterator[bytes]:
            yield before
            for start in range(0, UPLOAD, UPLOAD // PIECES):
                time.sleep(self.seconds / PIECES)
                yield CONTENT[start : start + UPLOAD // PIECES]
            yield after

        length = len(before) + UPLOAD + len(after)
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(length)}
        with httpx.Client(timeout=120) as client:
            try:
                answer = client.post(f"http://127.0.0.1:{self.port}/public/leads", content=pieces(), headers=headers)
                self.answers.append((answer.status_code, time.monotonic() - begin))
                if answer.status_code == 503 and "Retry-After" not in answer.headers:
                    self.answers.append((0, 0))
            except httpx.TransportError:  # Refused while it was still being sent.
                self.answers.append((503, time.monotonic() - begin))


@pytest.mark.asvs("V5.2.1")
@pytest.mark.attack(33)
@pytest.mark.promises("P24")
def test_slow_uploads(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """Many slow uploads of 10 MiB at once: those beyond the cap are refused, memory is flat, and health answers."""
    uploads_folder = Path(on_sqlite.environ["LEADINTAKE_DATA_DIR"]) / "uploads"
    with running(on_sqlite) as service:
        server = service.servers[0]
        before = _memory(server)
        uploads = Uploads(server.port, scale.slow_seconds)
        threads = [threading.Thread(target=uploads.send, args=[number]) for number in range(scale.slow_uploads)]
        most_memory, most_parts, slowest = before, 0, 0.0
        refusals: list[float] = []
        for thread in threads:
            thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
            while any(thread.is_alive() for thread in threads):
                begin = time.monotonic()
                assert client.get("/health/live").status_code == 200
                slowest = max(slowest, time.monotonic() - begin)
                most_memory = max(most_memory, _memory(server))
                parts = sum(1 for _ in uploads_folder.glob("*.part"))
                most_parts = max(most_parts, parts)
                if parts == PLACES:
                    refusals += _seconds_until_refused(server)
                time.sleep(0.05)
        assert is_ready(server)
    taken = [seconds for status, seconds in uploads.answers if status == 201]
    refused = [seconds for status, seconds in uploads.answers if status == 503]
    row.trials, row.acknowledged = len(threads), len(taken)
    store = Store(on_sqlite.environ)
    row.lost = len(taken) - len(store.leads())
    row.note(f"{len(taken)} were taken, {len(refused)} refused")
    row.note(f"memory was {before:.0f} MB before and {most_memory:.0f} MB at most")
    row.note(f"beyond the cap, {len(refusals)} were refused within {1000 * median(refusals):.0f} ms in the middle")
    row.note(f"health answered within {1000 * slowest:.0f} ms; {most_parts} files under way at most")

    assert len(taken) + len(refused) == len(threads), uploads.answers
    assert refused
    assert refusals
    assert len(taken) >= PLACES
    assert row.lost == 0
    assert most_parts <= PLACES
    assert most_memory - before < MOST_MEMORY
    assert slowest < LONGEST_ANSWER


def _seconds_until_refused(server: Process) -> Iterator[float]:
    """How soon a submission is refused of which no more than the head was sent; nothing when a place became free."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
        begin = time.monotonic()
        head = f"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        with suppress(TimeoutError):
            if b" 503 " in connection.recv(65_536):
                yield time.monotonic() - begin


def _memory(server: Process) -> float:
    """MB of memory that is neither a file's nor shared."""
    status = Path(f"/proc/{server.popen.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024
