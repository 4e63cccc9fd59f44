"""What a process asks of the kernel, and faults in the answers, by strace."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

LINE = re.compile(r"(\d+)\.(\d{9}) (\w+)\((.*)\) += (-?\w+)(?:<[^>]*>)?[^<]*(?:<(\d+)\.(\d{9})>)?$")
NANOSECONDS = 10**9


@dataclass(frozen=True)
class Call:
    """One call to the system: when it began and ended, in nanoseconds, its arguments, and what it returned."""

    name: str
    arguments: str
    result: str
    began: int
    ended: int

    def is_of_log(self, name: str) -> bool:
        """Whether it is such a call, for the write-ahead log of the database."""
        return self.name == name and "-wal>" in self.arguments.partition(",")[0]

    def names(self, path: str) -> bool:
        """Whether it gives a file a name that ends so, be it a new file or one that had another name."""
        is_new = self.name == "openat" and "O_CREAT" in self.arguments
        return (is_new or self.name.startswith("rename")) and f'{path}"' in self.arguments

    def writes(self, path: str) -> bool:
        """Whether it writes to what has a name that ends so."""
        return self.name in {"write", "writev"} and f"{path}>" in self.arguments.partition(",")[0]

    def syncs(self, path: str) -> bool:
        """Whether it has the kernel sync what has a name that ends so, among others."""
        return self.name == "io_submit" and f"{path}>" in self.arguments and "IOCB_CMD_FSYNC" in self.arguments


@contextmanager
def attached(pid: int, into: Path, *options: str) -> Iterator[None]:
    """Watch a process, all its threads and those to come, into files that begin with a path, until the context ends."""
    program = shutil.which("strace")
    if program is None:
        pytest.fail("strace is not installed, so this promise was not tested. Debian has it: apt install strace")
    command = [program, "-ff", "-y", "-s", "4200", "-p", str(pid), "-o", str(into), *options]
    times = ["--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"]
    with subprocess.Popen([*command, *times], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = process.stderr.readline()
        assert "attached" in said, said
        try:
            yield
        finally:
            process.terminate()
            process.communicate(timeout=30)


def calls(of: Path) -> list[Call]:
    """What was watched, in the order in which it began."""
    found = []
    for path in of.parent.glob(f"{of.name}.*"):
        for line in path.read_text(errors="replace").splitlines():
            if match := LINE.match(line):
                seconds, fraction, name, arguments, result, took, took_fraction = match.groups()
                began = int(seconds) * NANOSECONDS + int(fraction)
                ended = began + int(took or 0) * NANOSECONDS + int(took_fraction or 0)
                found.append(Call(name, arguments, result, began, ended))
    return sorted(found, key=lambda call: call.began)


def injected(of: Path, name: str) -> int:
    """How many faults struck calls of a name."""
    texts = (path.read_text(errors="replace") for path in of.parent.glob(f"{of.name}.*"))
    return sum(f" {name}(" in line and "(INJECTED)" in line for text in texts for line in text.splitlines())
