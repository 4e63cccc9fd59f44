"""Resumes as files in one folder, read and written in threads, and never whole in memory."""

import asyncio
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from leadintake.adapters.files.disk import THREADS, OpenFile, check_room, chunks, create, done, sync
from leadintake.adapters.files.keeping import Arrival, Keeper
from leadintake.adapters.files.paths import BARE_NAME, LISTED_AT_ONCE, bare_name
from leadintake.adapters.files.spool import Spool
from leadintake.application.ports.files import Received
from leadintake.domain.errors import FileDamaged, FileUnavailable, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding

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
        self.keeper = Keeper(folder)
        self._process = uuid4().hex
        self._parts = itertools.count()

    async def aclose(self) -> None:
        """Return once the threads are done with what they began."""
        await asyncio.to_thread(self._let_go)

    def at(self, path: str) -> Path:
        """The file of a path; raises FileUnavailable unless it is a bare name."""
        return self.folder / bare_name(path)

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
        """Check the whole file first, so that not one wrong byte goes out; raises FileUnavailable or FileDamaged."""
        file = await done(self.pool.submit(self._checked, resume))
        return chunks(self.pool, file.read)

    async def link(self, resume: Resume) -> None:
        """None: a folder answers no requests."""

    async def size(self, path: str) -> int | None:
        """The bytes of a file; None when it is not there. Raises Unavailable."""
        return await done(self.pool.submit(_size, self.at(path)))

    async def remove(self, path: str) -> None:
        """Delete a file; raises Unavailable."""
        await done(self.pool.submit(partial(self.at(path).unlink, missing_ok=True)))

    async def written(self, *, since: datetime | None = None, before: datetime) -> AsyncIterator[list[str]]:
        """The names last written within a time, whatever else may lie in the folder; raises Unavailable."""
        start, end = since.timestamp() if since else 0, before.timestamp()
        with await done(self.pool.submit(os.scandir, self.folder)) as entries:
            while names := await done(self.pool.submit(_written, entries, start, end)):
                yield names

    async def now(self) -> datetime:
        """The time that a file has that is written now: of another machine, where it has the disk."""
        return await done(self.pool.submit(self._probe))

    async def ping(self) -> None:
        """Raise Unavailable unless there is room for one more file of `max_bytes`, and writing works."""
        await done(self.pool.submit(check_room, self.folder, self.max_bytes))
        await self.now()

    def _let_go(self) -> None:
        self.pool.shutdown()
        self.keeper.close()

    def _checked(self, resume: Resume) -> OpenFile:
        try:
            with self.at(resume.path).open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size != resume.size or hashlib.file_digest(file, "sha256").hexdigest() != resume.sha256:
                    raise FileDamaged
                file.seek(0)
                return OpenFile(os.dup(file.fileno()))
        except FileNotFoundError as error:
            raise FileDamaged from error
        except OSError as error:
            raise FileUnavailable from error

    def _probe(self) -> datetime:
        path = self.new_part()
        try:
            with closing(create(path)) as file:
                file.write(PROBE)
                return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        finally:
            path.unlink(missing_ok=True)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _written(entries: Iterator[os.DirEntry[str]], start: float, end: float) -> list[str]:
    """The next names last written within a time, at most LISTED_AT_ONCE; none when there are no more."""
    names: list[str] = []
    for entry in entries:
        with suppress(FileNotFoundError):  # renamed or removed since it was listed
            is_ours = BARE_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            if is_ours and start <= entry.stat(follow_symlinks=False).st_mtime < end:
                names.append(entry.name)
        if len(names) == LISTED_AT_ONCE:
            break
    return names


class LocalUpload(Spool):
    """One file on its way into the folder. What exceeds the buffer has another name there until it is kept."""

    def __init__(self, store: LocalFiles) -> None:
        self._store = store
        self._path: Path | None = None
        self._is_kept = False
        super().__init__(store.pool, store.max_bytes)

    def make_file(self) -> OpenFile:
        """One in the folder, under its final name where that is known by now; raises OSError."""
        self._path = self._path or self._store.new_part()
        return create(self._path)

    async def keep(self, judge: Callable[[Received], Resume]) -> Resume:
        """See the port.

        A failed fsync is never tried again: the next would succeed, because what was not written counts as written.
        The name comes before the content is safe, since nobody knows of it before a lead does: so the disk's journal
        is written once for both, and a submission takes a twelfth less processor time.
        """
        if self._file:  # It did not fit the buffer, and no other file should wait while all of it is read.
            seen = await self.run(partial(self._look, judge))
            arrival = Arrival(lambda: seen, self._name)
        else:
            arrival = Arrival(partial(self._look, judge), self._name)
        self._hop = arrival.over
        try:
            resume = await self._store.keeper.keep(arrival)
        except OSError as error:
            raise Unavailable from error
        self._is_kept = True  # Not where nobody has waited for it: then no lead has it.
        return resume

    def _look(self, judge: Callable[[Received], Resume]) -> Resume:
        return judge(self.received(self._store.inspect))

    def _name(self, resume: Resume) -> OpenFile:
        path = self._store.at(resume.path)
        self._path = self._path.rename(path) if self._path else path
        return self.save()

    def _clean_up(self, hop: object) -> None:
        super()._clean_up(hop)
        if self._file and self._path and not self._is_kept:
            with suppress(OSError):  # the sweep finds it
                self._path.unlink()
