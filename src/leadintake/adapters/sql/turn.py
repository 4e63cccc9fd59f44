"""Taking turns on a SQLite file: of several processes one at a time writes to it, and to the log or from it.

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
    """The turns of one process, in which one thread writes."""

    def __init__(self, database: Path, patience: float) -> None:
        """`patience` is for how many seconds a turn is waited for."""
        self._path = f"{database}-turn"
        self._patience = patience
        self._descriptor: int | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a turn; raises OSError, TimeoutError among them. It ends with the process at the latest."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + self._patience
        while not _is_locked(self._descriptor):
            if time.monotonic() > until:
                raise TimeoutError("Another process writes to the database.")
            time.sleep(LOOK_AGAIN_AFTER)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Take no more turns."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
