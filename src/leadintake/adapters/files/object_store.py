"""Resumes in a bucket: of S3 and what speaks like it, of Google Cloud Storage, or of Azure."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import FileIO
from mmap import ACCESS_READ, mmap
from tempfile import gettempdir
from typing import BinaryIO
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError

from leadintake.adapters.files.bucket import connect
from leadintake.adapters.files.disk import CHUNK, THREADS, OpenFile, check_room, chunks, done
from leadintake.adapters.files.paths import BARE_NAME, LISTED_AT_ONCE, bare_name
from leadintake.adapters.files.spool import Spool
from leadintake.application.ports.files import Received
from leadintake.domain.errors import FileDamaged, FileUnavailable, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding

LINK_LIFETIME = timedelta(minutes=1)

PROBE = "_probe"
"""How such names begin. Each looks like no path of a resume, so that the sweep leaves it alone."""


class ObjectFiles:
    """The objects below a URL such as s3://bucket/prefix. `max_bytes` is the most that one file may have.

    `options` have the names that the environment has for them, in lower case: aws_region and the like. `disposition`
    makes the Content-Disposition of a file from its name; it is stored with the object, because a signed address can
    ask for none. Raises ValueError for options that make no sense; whether the store answers shows with the first call.
    What fails there, or takes longer than `patience` seconds, is Unavailable, which is temporary to the caller.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, str],
        max_bytes: int,
        inspect: Callable[[BinaryIO], Finding],
        disposition: Callable[[str], str],
    ) -> None:
        self.bucket, self.patience = connect(url, options, max_bytes)
        self.max_bytes = max_bytes
        self.inspect = inspect
        self.disposition = disposition
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="files")

    async def aclose(self) -> None:
        """Return once the threads are done with what they began."""
        await asyncio.to_thread(self.pool.shutdown)

    @asynccontextmanager
    async def receive(self) -> AsyncIterator["ObjectUpload"]:
        """Start an upload; see the port."""
        upload = ObjectUpload(self)
        try:
            yield upload
        finally:
            upload.end()

    async def open(self, resume: Resume) -> AsyncIterator[bytes]:
        """Fetch and check the whole file first, so that not one wrong byte goes out.

        Raises FileUnavailable, or FileDamaged where the store is not to blame.
        """
        spool = Spool(self.pool, resume.size)
        try:
            read = await self._fetch(resume.path, spool)
        except TooLarge as error:
            raise FileDamaged from error
        except Unavailable as error:
            is_gone = isinstance(error.__cause__, FileNotFoundError)
            raise (FileDamaged if is_gone else FileUnavailable) from error.__cause__
        finally:
            spool.end()
        if (spool.size, spool.sha256) != (resume.size, resume.sha256):
            raise FileDamaged
        return chunks(self.pool, read)

    async def link(self, resume: Resume) -> str | None:
        """A signed address for a minute, or None from a store that cannot make one with the credentials it has."""
        path = bare_name(resume.path)
        try:
            async with self.asking():
                return await obstore.sign_async(self.bucket, "GET", path, LINK_LIFETIME)
        except Unavailable:
            return None

    async def size(self, path: str) -> int | None:
        """The bytes of a file; None when it is not there. Raises Unavailable."""
        async with self.asking():
            try:
                return (await obstore.head_async(self.bucket, bare_name(path)))["size"]
            except FileNotFoundError:
                return None

    async def remove(self, path: str) -> None:
        """Delete a file; raises Unavailable."""
        await self._delete(bare_name(path))

    async def written(self, *, since: datetime | None = None, before: datetime) -> AsyncIterator[list[str]]:
        """The paths last written within a time, whatever else may lie in the bucket; raises Unavailable."""
        start = since or datetime.min.replace(tzinfo=UTC)
        listing = obstore.list(self.bucket, chunk_size=LISTED_AT_ONCE)
        while True:
            async with self.asking():
                found = await anext(listing, None)
            if found is None:
                return
            names = [one["path"] for one in found if start <= one["last_modified"] < before]
            if ours := [name for name in names if BARE_NAME.fullmatch(name)]:
                yield ours

    async def now(self) -> datetime:
        """The time that the store gives an object that is written now."""
        async with self._probe() as name, self.asking():
            return (await obstore.head_async(self.bucket, name))["last_modified"]

    async def ping(self) -> None:
        """Raise Unavailable unless an object can be written and deleted, and there is room for a file on its way."""
        await done(self.pool.submit(check_room, gettempdir(), self.max_bytes))
        async with self._probe():
            pass

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Turn what goes wrong between here and the bucket into Unavailable."""
        try:
            async with asyncio.timeout(self.patience):
                yield
        except (BaseError, OSError) as error:
            raise Unavailable from error

    async def _fetch(self, path: str, spool: Spool) -> Callable[[], bytes]:
        """How to read the file, once all of it is here; raises TooLarge or Unavailable."""
        async with self.asking():
            found = await obstore.get_async(self.bucket, bare_name(path))
            async for chunk in found.stream(CHUNK):
                await spool.write(bytes(chunk))
            return await spool.read(_reader)

    @asynccontextmanager
    async def _probe(self) -> AsyncIterator[str]:
        """An object that nobody else knows of, for as long as this lasts."""
        name = f"{PROBE}-{uuid4().hex}"
        async with self.asking():
            await obstore.put_async(self.bucket, name, b"probe", use_multipart=False)
        try:
            yield name
        finally:
            await self._delete(name)

    async def _delete(self, name: str) -> None:
        async with self.asking():
            with suppress(FileNotFoundError):
                await obstore.delete_async(self.bucket, name)


class ObjectUpload(Spool):
    """One file on its way into a bucket. The bucket sees nothing of it before it is kept.

    Then it goes in one request, which the store takes as a whole or not at all, so that no parts of a broken-off upload
    stay behind. A large one is not read for that but mapped: it takes no memory that the system could not have back.
    """

    def __init__(self, store: ObjectFiles) -> None:
        self._store = store
        super().__init__(store.pool, store.max_bytes)

    async def keep(self, judge: Callable[[Received], Resume]) -> Resume:
        """See the port. Kept is what the store says that it has.

        Where its answer is lost, this raises Unavailable, and the file may be there all the same; the sweep finds it.
        Cancelled, this ends when it is known what came of it, and nothing is there.
        """
        resume = await self.run(lambda: judge(self.received(self._store.inspect)))
        path = bare_name(resume.path)
        putting = asyncio.create_task(self._put(path, resume))
        try:
            await asyncio.shield(putting)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await putting
                await self._store.remove(path)
            raise
        return resume

    async def _put(self, path: str, resume: Resume) -> None:
        attributes = {
            "Content-Type": resume.kind.media_type,
            "Content-Disposition": self._store.disposition(resume.name),
            "Cache-Control": "no-store",
        }
        async with self._store.asking():
            await obstore.put_async(
                self._store.bucket, path, self._content(), attributes=attributes, use_multipart=False
            )

    def _content(self) -> mmap | bytes:
        return mmap(self._file.fileno(), 0, access=ACCESS_READ) if self._file else b"".join(self._buffer)


def _reader(file: BinaryIO) -> Callable[[], bytes]:
    """What reads the file on when it is closed here."""
    return OpenFile(os.dup(file.fileno())).read if isinstance(file, FileIO) else file.read
