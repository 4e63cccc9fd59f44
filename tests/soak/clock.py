"""A clock that is set by hand, by libfaketime: the service takes it for the clock of the machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")


class Clock:
    """Runs as fast as the real one, but ahead of it, or behind. `environ` makes a process go by it.

    Only what tells the time of day is faked; how long a process waits for something is not.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(timedelta())
        self.environ = {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, ahead: timedelta) -> None:
        """Set it so far ahead of the real one."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead.total_seconds():+.3f}\n")
        new.replace(self._file)  # It is read all the time, and must never be found empty.
        self._ahead = ahead

    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + self._ahead

    def set(self, at: datetime) -> None:
        """Set it to show this."""
        self.jump(at - datetime.now(UTC))


def _library() -> str:
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern[1:])]
    if not found:
        pytest.fail("libfaketime is not installed, so this promise was not tested. Debian has it: apt install faketime")
    return str(found[0])
