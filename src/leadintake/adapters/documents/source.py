"""How the readers of this room see a file, and how they refuse it."""

import os
from collections.abc import Iterator
from io import FileIO
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
OVERLAP_BYTES = 256
BLANK = b"\0\t\n\f\r "
"""What may follow the end of a document without meaning anything; some writers fill up with 20 kB of NUL."""


class Unfit(Exception):
    """The file is no resume. The message says what it is instead and follows the file's name: "is a spreadsheet"."""


class Damaged(Unfit):
    """The file contradicts its own format."""

    def __init__(self) -> None:
        super().__init__("is damaged")


class Source:
    """A file that is read by offset, at most one piece of it in memory. The offsets may be nonsense out of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes, fewer at the end of the file."""
        at = min(at, self.size)
        if isinstance(self.file, FileIO):  # To go there first would be a second call that gives up the lock.
            return os.pread(self.file.fileno(), count, at)
        self.file.seek(at)
        return self.file.read(count)

    def chunks(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """The file in pieces with their offsets, overlapping, so that what lies across a border is whole in one."""
        for at in range(start, self.size, CHUNK_BYTES):
            yield at, self.read(at, CHUNK_BYTES + OVERLAP_BYTES)

    def trails(self, end: int) -> bool:
        """Whether something other than white space and NUL follows the offset."""
        return any(chunk.strip(BLANK) for _, chunk in self.chunks(end))
