"""Resumes as files in one folder, read and written in threads, and never whole in memory."""

import hashlib
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from leadintake.adapters.files.disk import CHUNK, OpenFile, create, done, sync, write
from leadintake.application.ports import Received
from leadintake.domain.errors import FileUnavailable, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding

T = TypeVar("T")

THREADS = 4
"""With 16 and with 64 uploads at once, 4 of 2, 4, 8 and 16 threads stored the most and answered soonest (on 2 cores).
Each more takes up to 2 MB.
"""

BARE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
"""What a path here looks like: no folder, nothing hidden, nothing to encode."""

LISTED_AT_ONCE = 500

PROBE = bytes(4096)
"""A block, so that no file system keeps it beside the name, where there is room on a full disk too."""


class LocalFiles:
    """A folder of files, made with mode 0700 where it is missing. `max_bytes` is the most that one file may have.

    A folder that vanishes later is not made again: it was a disk, and what is written below its mount point is lost.
    Every OSError is Unavailable, which is temporary to the caller.
    """

    def __init__(self, folder: Path, max_bytes: int, inspect: Callable[[BinaryIO], Finding]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync(folder.parent)
        self.folder = folder
        self.max_bytes = max_bytes
        self.inspect = inspect
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._process = uuid4().hex
        self._parts = itertools.count()

    def close(self) -> None:
        """Return once the threads are done with what they began."""
        self.pool.shutdown()

    def at(self, path: str) -> Path:
        """The file of a path; raises FileUnavailable unless it is a bare name."""
        if not BARE_NAME.fullmatch(path):
            raise FileUnavailable
        return self.folder / path

    def new_part(self) -> Path:
        """The name of a file that is not kept yet, which no other process uses."""
        return self.folder / f"{self._process}-{next(self._parts)}.part"

    @asynccontextmanager
    async def receive(self) -> AsyncIterator["LocalUpload"]:
        """Start an upload; see the port."""
        upload = LocalUpload(self)
        try:
            yield upload
        finally:
            upload.end()

    async def open(self, resume: Resume) -> AsyncIterator[bytes]:
        """Check the whole file first, so that not one wrong byte goes out; raises FileUnavailable."""
        return self._chunks(await done(self.pool.submit(self._checked, resume)))

    async def link(self, resume: Resume) -> None:
        """None: a folder answers no requests."""

    async def size(self, path: str) -> int | None:
        """The bytes of a file; None when it is not there. Raises Unavailable."""
        return await done(self.pool.submit(_size, self.at(path)))

    async def remove(self, path: str) -> None:
        """Delete a file; raises Unavailable."""
        await done(self.pool.submit(partial(self.at(path).unlink, missing_ok=True)))

    async def untouched_since(self, before: datetime) -> AsyncIterator[list[str]]:
        """The names last written before then, whatever else may lie in the folder; raises Unavailable."""
        with await done(self.pool.submit(os.scandir, self.folder)) as entries:
            while names := await done(self.pool.submit(_untouched, entries, before.timestamp())):
                yield names

    async def ping(self) -> None:
        """Raise Unavailable unless there is room for one more file of `max_bytes`, and writing works."""
        await done(self.pool.submit(self._probe))

    def _checked(self, resume: Resume) -> "OpenFile":
        try:
            with self.at(resume.path).open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size != resume.size or hashlib.file_digest(file, "sha256").hexdigest() != resume.sha256:
                    raise FileUnavailable
                file.seek(0)
                return OpenFile(os.dup(file.fileno()))
        except OSError as error:
            raise FileUnavailable from error

    async def _chunks(self, file: "OpenFile") -> AsyncIterator[bytes]:
        while chunk := await done(self.pool.submit(file.read)):
            yield chunk

    def _probe(self) -> None:
        space = os.statvfs(self.folder)
        if space.f_bavail * space.f_frsize < self.max_bytes:
            raise Unavailable
        path = self.new_part()
        try:
            with create(path) as file:
                write(file, PROBE)
        finally:
            path.unlink(missing_ok=True)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _untouched(entries: Iterator[os.DirEntry[str]], before: float) -> list[str]:
    """The next names last written before then, at most LISTED_AT_ONCE; none when there are no more."""
    names: list[str] = []
    for entry in entries:
        with suppress(FileNotFoundError):  # renamed or removed since it was listed
            is_ours = BARE_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            if is_ours and entry.stat(follow_symlinks=False).st_mtime < before:
                names.append(entry.name)
        if len(names) == LISTED_AT_ONCE:
            break
    return names


class LocalUpload:
    """One file on its way into the folder, under a name of its own until it is kept.

    Whatever touches the file runs in a thread of the pool, one hop at a time.
    """

    def __init__(self, store: LocalFiles) -> None:
        self._store = store
        self._path = store.new_part()
        self._file: FileIO | None = None
        self._buffer = bytearray()
        self._size = 0
        self._digest = hashlib.sha256()
        self._kept = False
        self._hop: Future[Any] | None = None

    async def write(self, chunk: bytes | bytearray) -> None:
        """Take the next bytes; raises TooLarge with the first one over the limit, or Unavailable."""
        self._size += len(chunk)
        if self._size > self._store.max_bytes:
            megabytes = self._store.max_bytes * 10 // 2**20 / 10
            raise TooLarge(f"The file is larger than {megabytes:g} MB. Make it smaller, perhaps with fewer pictures.")
        if len(self._buffer) + len(chunk) > CHUNK:
            await self._run(self._write_out)
        self._buffer += chunk

    async def finish(self) -> Received:
        """Write out and look at the file; nothing is made of an empty one. Raises Unavailable."""
        finding = await self._run(self._look) if self._size else Finding(None, why="is empty")
        return Received(self._size, self._digest.hexdigest(), finding)

    async def keep(self, resume: Resume) -> None:
        """Return once the file is durable under the resume's path; raises Unavailable, and then there is no file.

        A failed fsync is never tried again: the next would succeed, because what was not written counts as written.
        """
        await self._run(partial(self._make_durable, self._store.at(resume.path)))
        self._kept = True

    def end(self) -> None:
        """Close the file, and remove it unless it was kept.

        Never waits, so that it works while being cancelled. Where a hop is still under way, its thread does it after
        that, so that nothing is written to a closed descriptor.
        """
        if self._hop:
            self._hop.add_done_callback(self._clean_up)

    async def _run(self, work: Callable[[], T]) -> T:
        hop = self._store.pool.submit(work)
        self._hop = hop
        return await done(hop)

    def _write_out(self) -> FileIO:
        if self._file is None:
            self._file = create(self._path)
        write(self._file, self._buffer)
        self._digest.update(self._buffer)
        self._buffer.clear()
        return self._file

    def _look(self) -> Finding:
        """A file that fits the buffer is looked at there: each read from disk gives up the interpreter's lock."""
        whole = None if self._file else BytesIO(self._buffer)
        file = self._write_out()
        file.seek(0)
        return self._store.inspect(whole or file)

    def _make_durable(self, path: Path) -> None:
        file = self._write_out()
        os.fsync(file.fileno())
        file.close()
        self._path = self._path.rename(path)
        sync(self._store.folder)

    def _clean_up(self, _: object) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
        if not self._kept:
            with suppress(OSError):  # the sweep finds it
                self._path.unlink()
