"""Files on a disk: made private, written whole, made durable, and waited for."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar

from leadintake.domain.errors import Unavailable

T = TypeVar("T")

CHUNK = 256 * 1024
"""Bytes a hop to a thread carries: less memory, and faster, than 1 MiB."""

THREADS = 4
"""They read and write what exceeds a buffer, and downloads. With 5 MB and 16 at once, 1, 2 and 4 stored as many; a file
that takes long to look at holds up nobody with 4. Each more takes up to 2 MB.
"""


class OpenFile:
    """A file that is closed when nobody can read it any more, be it an iterator, even one never begun, or a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self) -> bytes:
        """The next bytes; none at the end."""
        return os.read(self._descriptor, CHUNK)


def create(path: Path) -> FileIO:
    """Make a file that only this user may read; raises OSError, also where there is one."""
    return FileIO(path, "x+", opener=partial(os.open, mode=0o600))


def write(file: FileIO, content: bytes | bytearray) -> None:
    """Write all of it; raises OSError. Unbuffered, because every call to the system gives up the interpreter's lock."""
    written = 0
    while written < len(content):
        written += file.write(memoryview(content)[written:])


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
