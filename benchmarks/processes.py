"""Processes that are measured: what they have used so far, and their end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psutil

T = TypeVar("T")

PATIENCE = 60.0
SAMPLE_EVERY = 0.02
"""Seconds."""

MEGABYTE = 1024 * 1024


class NotMeasured(Exception):
    """Why something cannot be measured here."""


@dataclass
class Server:
    """A process that serves HTTP, its children, and its worker where that is a process of its own."""

    name: str
    url: str
    process: psutil.Process
    folder: Path
    leads_path: str = "/"
    token: str | None = None
    worker: psutil.Process | None = None
    sends_mails: bool = True

    @property
    def mails(self) -> Path:
        """Where its mails appear."""
        return self.folder / "mail"

    @property
    def uploads(self) -> Path:
        """Where its files are."""
        return self.folder / "uploads"

    def cpu(self) -> float:
        """Seconds of processor time so far, of all its processes."""
        return cpu_of(self.process) + (cpu_of(self.worker) if self.worker else 0)

    def memory(self) -> float:
        """Megabytes of memory: what is its own, and its share of what is shared."""
        processes = _tree(self.process) + (_tree(self.worker) if self.worker else [])
        return sum(map(_pss, processes)) / MEGABYTE


def cpu_of(process: psutil.Process) -> float:
    """Seconds of processor time that a process and its children have used."""
    times = [one.cpu_times() for one in _tree(process)]
    return float(sum(one.user + one.system for one in times))


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _pss(process: psutil.Process) -> int:
    """Bytes. The kernel adds them up itself, which takes a tenth of the time of adding up its list of mappings."""
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


@contextmanager
def running(
    command: Sequence[object], folder: Path, environ: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the context ends; it writes into a log."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("LEADINTAKE_")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env={**clean, **environ}, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as a server answers its first request; raises NotMeasured when it ends instead.

    The request may wait in the queue of a socket that is open already, so no time is lost by asking again.
    """
    place = urlsplit(url)
    deadline = time.monotonic() + PATIENCE
    request = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection((place.hostname, place.port or 80), PATIENCE) as connection:
            connection.sendall(request.encode())
            if connection.recv(12).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.002)
    raise NotMeasured(f"{process.args!r} did not start. Its log ends so:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def wait_for(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """What is seen once there is something to see; raises NotMeasured when there is nothing for so many seconds."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise NotMeasured(f"Waited {patience:.0f} seconds in vain.")
        time.sleep(0.05)
    return seen


@contextmanager
def sampled(look: Callable[[], float]) -> Iterator[list[tuple[float, float]]]:
    """Look again and again until the context ends: seconds since it began, and what was seen."""
    begin, stop = time.monotonic(), threading.Event()
    samples: list[tuple[float, float]] = []

    def sample() -> None:
        while not stop.wait(SAMPLE_EVERY):
            samples.append((time.monotonic() - begin, look()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def program(name: str) -> Path:
    """A program of the environment that this one runs in."""
    return Path(sys.executable).with_name(name)
