"""Deployments: real processes of the service on some set of engines, and clients that do not know which."""

import email
import email.policy
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import httpx
from tests.forked import Forked

T = TypeVar("T")

BASE_URL = "http://localhost"
"""What people type, whichever server answers."""

PATIENCE = 30.0
"""Seconds to wait for what happens soon."""


@dataclass(frozen=True)
class Deployment:
    """What runs, with which settings, and where its mails arrive. `let_leases_end` is told to by a test that killed.

    Where there is no program, processes are forked, which takes a third of the work of a start.
    """

    folder: Path
    environ: dict[str, str]
    mails: Callable[[], list[EmailMessage]]
    let_leases_end: Callable[[], None]
    servers: int = 1
    workers: int = 0
    program: tuple[str, ...] = (sys.executable, "-m", "leadintake")


@dataclass
class Process:
    """A process of the service. What it has written so far is in a file."""

    popen: subprocess.Popen[bytes] | Forked
    output: Path
    port: int

    def end(self, by: signal.Signals) -> int:
        """End it; returns its exit code."""
        self.popen.send_signal(by)
        return self.popen.wait(PATIENCE)


@dataclass
class Running:
    """All processes of a deployment, and a client whose requests go to one server after the other."""

    deployment: Deployment
    servers: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    clients: list[httpx.Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._turn = itertools.count()
        self.client = self.new_client()

    def new_client(self) -> httpx.Client:
        """A client that is not signed in."""
        self.clients.append(httpx.Client(base_url=BASE_URL, transport=_Balanced(self), timeout=PATIENCE))
        return self.clients[-1]

    def start(self) -> None:
        """Start what is missing: all servers at once, on an empty database too, then the workers."""
        started = [self._process("serve") for _ in range(self.deployment.servers - len(self.servers))]
        for server in started:
            soon(lambda server=server: is_ready(server) or server.popen.poll() is not None)  # type: ignore[misc] # mypy cannot infer a lambda with a default
            assert server.popen.poll() is None, server.output.read_text()
        self.servers += started
        while len(self.workers) < self.deployment.workers:
            self.workers.append(self._process("worker"))
        for worker in self.workers:
            assert soon(lambda worker=worker: "worker_started" in worker.output.read_text()), worker.output.read_text()  # type: ignore[misc] # as above

    def kill_one_of(self, processes: list[Process]) -> None:
        """Kill one process, as if its machine had lost power."""
        assert processes.pop(0).end(signal.SIGKILL) == -signal.SIGKILL

    def written(self) -> str:
        """What all processes have written so far."""
        return "".join(path.read_text() for path in self.deployment.folder.glob("*.txt"))

    def end(self, by: signal.Signals) -> set[int]:
        """End all processes; returns their exit codes."""
        processes = [*self.servers, *self.workers]
        for each in processes:
            each.popen.send_signal(by)
        self.servers.clear()
        self.workers.clear()
        return {each.popen.wait(PATIENCE) for each in processes}

    def port(self) -> int:
        """That of the server whose turn it is; raises ConnectError when there is none."""
        if not self.servers:
            raise httpx.ConnectError("no server runs")
        return self.servers[next(self._turn) % len(self.servers)].port

    def _process(self, command: str) -> Process:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADINTAKE_")}
        own = {"LEADINTAKE_BASE_URL": BASE_URL, "LEADINTAKE_PORT": str(port)}
        environ = {**clean, **self.deployment.environ, **own}
        folder, program = self.deployment.folder, self.deployment.program
        output = folder / f"{command}-{port}.txt"
        with output.open("wb") as out:
            if not program:
                return Process(Forked(command, folder, environ, output), output, port)
            popen = subprocess.Popen([*program, command], cwd=folder, env=environ, stdout=out, stderr=out)
        return Process(popen, output, port)


class _Balanced(httpx.HTTPTransport):
    """What stands before several servers: each request goes to the next one."""

    def __init__(self, running: Running) -> None:
        super().__init__(verify=False)  # To load certificates, of which none is used, takes 25 ms.
        self._running = running

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._running.port())
        return super().handle_request(request)


@contextmanager
def running(deployment: Deployment) -> Iterator[Running]:
    """Run a deployment until the context ends, ready when it begins."""
    started = Running(deployment)
    try:
        started.start()
        yield started
    finally:
        for client in started.clients:
            client.close()
        started.end(signal.SIGKILL)


def is_ready(server: Process) -> bool:
    """Whether a server answers, and says that it is ready."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{server.port}/health/ready", timeout=PATIENCE, verify=False)
    except httpx.TransportError:
        return False
    return answer.is_success and set(answer.json()["checks"].values()) == {"ok"}


def soon(look: Callable[[], T]) -> T:
    """What is seen once there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def parsed(contents: list[bytes]) -> list[EmailMessage]:
    """Mails as messages."""
    return [email.message_from_bytes(content, policy=email.policy.default) for content in contents]
