"""Files on a disk: made private, written whole, made durable, and waited for."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TypeVar

from leadintake.domain.errors import Unavailable

T = TypeVar("T")

CHUNK = 256 * 1024
"""Bytes a hop to a thread carries: less memory, and faster, than 1 MiB."""

THREADS = 4
"""For files that exceed a buffer, and for downloads. With 16 uploads of 5 MB at once, 1, 2 and 4 threads store equally
many; with 4, a file that takes long to inspect holds up no other. Each further thread takes up to 2 MB.
"""


class OpenFile:
    """A file by its descriptor. It is closed at the latest when nobody can reach it any more.

    So a thread may have it, or an iterator that is never started. `FileIO` asks the system for more when it is opened,
    and each such call gives up the GIL: a submission costs a thirtieth more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self._descriptor

    def read(self) -> bytes:
        """The next bytes; none at the end."""
        return os.read(self._descriptor, CHUNK)

    def write(self, *pieces: bytes) -> None:
        """Write all of them, by one call unless the disk takes only a part; raises OSError."""
        written = os.writev(self._descriptor, pieces) if pieces else 0
        if written < sum(map(len, pieces)):
            left = b"".join(pieces)[written:]
            while left:
                left = left[os.write(self._descriptor, left) :]

    def from_start(self) -> FileIO:
        """The file for whoever moves about in it; it must not outlive this one."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return FileIO(self._descriptor, closefd=False)

    def close(self) -> None:
        """Close it, unless it is closed; raises OSError."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def create(path: Path) -> OpenFile:
    """Make a file that only this user may read; raises OSError, also where there is one."""
    return OpenFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def check_room(folder: str | Path, wanted: int) -> None:
    """Raise OSError unless the disk of a folder has room for so many bytes."""
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if free < wanted:
        raise OSError(errno.ENOSPC, f"{free:,} bytes are free, and {wanted:,} are needed", str(folder))


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """The descriptor of a folder; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Make the names in a folder durable; raises OSError."""
    with opened(folder) as descriptor:
        os.fsync(descriptor)


async def done(hop: Future[T]) -> T:
    """Wait for a thread; its OSError, such as of a full or lost disk, becomes Unavailable."""
    try:
        return await asyncio.wrap_future(hop)
    except OSError as error:
        raise Unavailable from error


async def chunks(pool: ThreadPoolExecutor, read: Callable[[], bytes]) -> AsyncIterator[bytes]:
    """What a file still holds, read in a thread."""
    while chunk := await done(pool.submit(read)):
        yield chunk
