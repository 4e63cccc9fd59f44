"""An S3 server for tests, out of a package: on free ports, and thrown away in the end."""

import fcntl
import json
import os
import shutil
import signal
import socket
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

BUCKET = "resumes"
PATIENCE = 20.0
LISTENERS = ("master.port", "volume.port", "filer.port", "s3.port")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "not a secret"}


@dataclass(frozen=True)
class S3:
    """A running server. Its bucket is shared: whoever wants it empty takes a prefix of its own."""

    pid: int
    ports: list[int]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.ports[LISTENERS.index("s3.port")]

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to work with the server."""
        endpoint = f"http://127.0.0.1:{self.port}"
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}

    @property
    def options(self) -> dict[str, str]:
        """The same, named as the adapter takes it."""
        return {name.lower(): text for name, text in self.environ.items()}

    def url(self) -> str:
        """A prefix under which there is nothing yet."""
        return f"s3://{BUCKET}/{uuid4()}"

    def store(self, url: str) -> S3Store:
        """What is below a URL, to look at and to change behind the adapter's back."""
        config = {name: text for name, text in self.options.items() if name != "aws_allow_http"}
        return S3Store.from_url(url, config=config, client_options={"allow_http": True})  # type: ignore[arg-type] # names


@contextmanager
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The one server of a test session, however many processes it has: the first starts it, and the last stops it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    record = folder / "s3.json"
    with (folder / "s3.users").open("a") as users:
        with _alone(folder):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not record.exists():
                record.write_text(json.dumps(_start(folder / "s3")))
            server = S3(*json.loads(record.read_text()))
        try:
            yield server
        finally:
            with _alone(folder), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(server, folder / "s3")
                record.unlink()


@contextmanager
def running(data: Path) -> Iterator[S3]:
    """Run a server of its own in a folder, which it makes, until the context ends."""
    server = S3(*_start(data))
    try:
        yield server
    finally:
        _stop(server, data)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While nobody else starts or stops the server."""
    with (folder / "s3.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(data: Path) -> tuple[int, list[int]]:
    """Start a server and wait until it stores something; returns its process and ports."""
    data.mkdir()
    with ExitStack() as stack:
        # Of each listener a second port is for gRPC, by default 10,000 above the first.
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2 * len(LISTENERS))]
        ports = [one.getsockname()[1] for one in free]
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        **dict(zip(LISTENERS, ports, strict=False)),
        **dict(zip((f"{name}.grpc" for name in LISTENERS), ports[len(LISTENERS) :], strict=True)),
    }
    weed = str(Path(sysconfig.get_path("scripts")) / "weed")
    log = data / "log.txt"
    into_log = [
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = [weed, "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]
    server = S3(os.posix_spawn(weed, command, {**os.environ, **CREDENTIALS}, file_actions=into_log), ports)
    deadline = time.monotonic() + PATIENCE
    while not _stores(server):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return server.pid, server.ports


def _stores(server: S3) -> bool:
    """Whether it takes a byte. That makes the bucket, and room in it."""
    with suppress(BaseError, OSError), socket.create_connection(("127.0.0.1", server.ports[-1]), 1):
        obstore.put(server.store(server.url()), "first", b"!")
        return True
    return False


def _stop(server: S3, data: Path) -> None:
    """End it at once, because it takes its time over SIGTERM, and remove what it leaves."""
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # of another process of the session
        os.waitpid(server.pid, 0)
    shutil.rmtree(data)
    for port in server.ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink()
