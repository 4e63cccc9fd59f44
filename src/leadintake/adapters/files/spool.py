"""A file on its way in: counted and hashed, in memory while it fits one buffer, and on disk beyond that."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any, BinaryIO, TypeVar

from leadintake.adapters.files.disk import CHUNK, OpenFile, done
from leadintake.application.ports.files import Received
from leadintake.domain.errors import TooLarge
from leadintake.domain.resume import Finding, rounded_down

T = TypeVar("T")

SMALL = CHUNK // 4
"""Pieces are joined up to so many bytes, since each takes memory of its own, and a client may send single bytes."""


class Spool:
    """At most `max_bytes`. What exceeds a buffer of `CHUNK` bytes goes to a file.

    The buffer is the pieces as they came (ADR 31). Whatever touches the file runs in a thread of the pool, one hop at a
    time.
    """

    def __init__(self, pool: ThreadPoolExecutor, max_bytes: int) -> None:
        self._pool = pool
        self._max_bytes = max_bytes
        self._file: OpenFile | None = None
        self._buffer: list[bytes] = []
        self.size = 0
        self._digest = hashlib.sha256()
        self._hop: Future[Any] | None = None

    @property
    def sha256(self) -> str:
        """In hex, of all that came, once the file was read."""
        return self._digest.hexdigest()

    async def write(self, piece: bytes) -> None:
        """Take the next bytes; raises TooLarge with the first one over the limit, or Unavailable."""
        self.size += len(piece)
        if self.size > self._max_bytes:
            limit = rounded_down(self._max_bytes)
            raise TooLarge(f"The file is larger than {limit}. Make it smaller, perhaps with fewer pictures.")
        if self._buffer and len(self._buffer[-1]) + len(piece) <= SMALL:
            self._buffer[-1] += piece
        else:
            self._buffer.append(piece)
        if sum(map(len, self._buffer)) > CHUNK:
            await self.run(self._write_out)

    async def read(self, how: Callable[[BinaryIO], T]) -> T:
        """Have the whole file read from its start, once all is written; raises Unavailable."""
        return await self.run(partial(self._read, how))

    async def run(self, work: Callable[[], T]) -> T:
        """Have something done in a thread, after all before it; its OSError becomes Unavailable."""
        hop = self._pool.submit(work)
        self._hop = hop
        return await done(hop)

    def received(self, look: Callable[[BinaryIO], Finding]) -> Received:
        """Look at the whole file, in a thread, and tell what came; nothing is made of an empty one."""
        finding = self._read(look) if self.size else Finding(None, why="is empty")
        return Received(self.size, self.sha256, finding)

    def make_file(self) -> OpenFile:
        """One without a name, which is gone when it is closed, however that comes about; raises OSError."""
        with TemporaryFile(buffering=0) as file:
            return OpenFile(os.dup(file.fileno()))

    def save(self) -> OpenFile:
        """Write out what is left, in a thread; raises OSError."""
        if self._file is None:
            self._file = self.make_file()
        self._file.write(*self._buffer)
        self._buffer.clear()
        return self._file

    def end(self) -> None:
        """Close the file.

        Never waits, so that it works while being cancelled. Where a hop is still under way, its thread does it after
        that, so that nothing is written to a closed descriptor.
        """
        hop, self._hop = self._hop, None  # Else each would keep the other alive, and the result.
        if hop:
            hop.add_done_callback(self._clean_up)

    def _write_out(self) -> None:
        self._hash()
        self.save()

    def _read(self, how: Callable[[BinaryIO], T]) -> T:
        """What fits the buffer is read there: each read from disk gives up the GIL."""
        self._hash()
        if self._file is None:
            return how(BytesIO(b"".join(self._buffer)))
        return how(self.save().from_start())

    def _hash(self) -> None:
        for piece in self._buffer:
            self._digest.update(piece)

    def _clean_up(self, _: object) -> None:
        if self._file:
            with suppress(OSError):
                self._file.close()
