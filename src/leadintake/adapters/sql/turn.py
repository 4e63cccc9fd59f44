"""Taking turns on a SQLite file: only one process at a time writes to it, or writes its log back.

SQLite's own lock ends before the log is written back. Before 3.51.3, a process that commits just then can damage the
file (sqlite.org/wal.html#walresetbug).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_AGAIN_AFTER = 0.001
"""Seconds. A turn takes a few milliseconds, most of them for the disk."""


class Turns:
    """The turns of one process, in which one thread writes.

    A process waits for its turn while it holds the lock named door, and takes that again before its next turn. Without
    it, a process that always has something to write would take turn after turn while the other sleeps.
    """

    def __init__(self, database: Path, patience: float) -> None:
        """`patience` is for how many seconds a turn is waited for."""
        self._database = database.resolve()  # By whichever name it is opened, the turns are the same.
        self._patience = patience
        self._turn: int | None = None
        self._door: int | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a turn; raises OSError, TimeoutError among them. It ends with the process at the latest."""
        self._turn = turn = self._lock("turn") if self._turn is None else self._turn
        self._door = door = self._lock("door") if self._door is None else self._door
        until = time.monotonic() + self._patience
        _take(door, until)
        try:
            _take(turn, until)
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Take no more turns."""
        for lock in (self._turn, self._door):
            if lock is not None:
                os.close(lock)

    def _lock(self, name: str) -> int:
        """A file to lock, of the database's owner, also where root makes it, as SQLite does with its files.

        Nothing that was there is given away: it may be another name of a file of root's.
        """
        path = f"{self._database}-{name}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        if os.geteuid() == 0:
            owner = self._database.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor


def _take(lock: int, until: float) -> None:
    while not _is_locked(lock):
        if time.monotonic() > until:
            raise TimeoutError("Another process writes to the database.")
        time.sleep(LOOK_AGAIN_AFTER)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
