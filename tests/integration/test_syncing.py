"""Files synced at once, or one by one where the kernel has no such call: each hears what came of it."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from leadintake.adapters.files.syncing import Syncing

MORE_THAN_ANY_SYSTEM_HAS = 2**31 - 1

IN_A_LOOP = """
import os, sys, time
from leadintake.adapters.files.syncing import Syncing

syncing, end = Syncing(8), time.monotonic() + 1
files = [os.open(f"{sys.argv[1]}/{number}", os.O_RDWR | os.O_CREAT) for number in range(8)]
print("begun", flush=True)
while time.monotonic() < end:
    for file in files:
        os.pwrite(file, os.urandom(50_000), 0)
    wrong = [error for error in syncing.all(files) if error]
    assert not wrong, wrong
"""


@pytest.fixture(params=[8, MORE_THAN_ANY_SYSTEM_HAS], ids=["at once", "one by one"])
def syncing(request: pytest.FixtureRequest) -> Syncing:
    """Either way; the kernel refuses a queue of such a size."""
    return Syncing(request.param)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[int]]:
    """Descriptors: a folder, a file, a pipe, which cannot be synced, and two more files."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"%PDF")
    reading, writing = os.pipe()
    folder, first, *more = [os.open(path, os.O_RDONLY) for path in (tmp_path, *paths)]
    descriptors = [folder, first, writing, *more]
    yield descriptors
    for descriptor in (*descriptors, reading):
        os.close(descriptor)


def test_each_hears_what_came_of_it(syncing: Syncing, files: list[int]) -> None:
    """What cannot be synced does not harm the others, wherever it is among them, and not those to come."""
    for _ in range(len(files)):
        files.append(files.pop(0))
        wrong = [isinstance(error, OSError) for error in syncing.all(files)]

        assert wrong == [stat.S_ISFIFO(os.fstat(file).st_mode) for file in files]
    assert syncing.all([]) == []


class SyncThatFails:
    """What the kernel has taken, and only then found that it could not be written."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def get_value(self) -> None:
        """As caio does."""
        raise SystemError("Input/output error")


class Queue:
    """Takes all there is, and is done with it at once."""

    def submit(self, *syncs: object) -> int:
        """How many it takes."""
        return len(syncs)

    def process_events(self, _most: int, least: int, _timeout: int) -> int:
        """How many are done."""
        return least


class SyncingToAFailingDisk(Syncing):
    """Its kernel takes every sync, and none comes to anything."""

    def __init__(self) -> None:
        self._queue, self._fsync = cast("Any", Queue()), cast("Any", SyncThatFails)


def test_what_fails_after_it_was_taken_has_failed(files: list[int]) -> None:
    """A disk that breaks says so when it is written to, not when it is asked; and none is asked again (P3)."""
    wrong = SyncingToAFailingDisk().all(files)

    assert [str(error) for error in wrong] == ["Input/output error"] * len(files)


def test_more_files_than_were_announced_are_synced(files: list[int]) -> None:
    """The kernel may have room for fewer than come."""
    many = [files[0]] * 1000

    assert Syncing(1).all(many) == [None] * len(many)


@pytest.mark.long
def test_a_process_that_is_stopped_goes_on_to_wait(tmp_path: Path) -> None:
    """As `docker pause` and a suspended machine do: the kernel then says that waiting was interrupted."""
    command = [sys.executable, "-c", IN_A_LOOP, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        while process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.003)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    assert process.returncode == 0
