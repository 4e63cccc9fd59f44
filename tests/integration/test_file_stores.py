"""What every FileStore promises. Another adapter joins by one more parameter of the fixture `files`."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest
from tests.fakes import MemoryFiles

from leadintake.adapters.files.local import LocalFiles
from leadintake.adapters.files.object_store import ObjectFiles
from leadintake.application.ports.files import FileStore, Received, Upload
from leadintake.domain.errors import FileDamaged, TooLarge
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding, Kind

LIMIT = 2**20
CONTENT = bytes(range(256)) * 4096


class ClientGone(Exception):
    """What ends a request early."""


class NotTaken(Exception):
    """What a judge says of a file that is not taken."""


def look(file: BinaryIO) -> Finding:
    """A finding that shows that the whole file was there to be looked at."""
    return Finding(Kind.PDF, why=hashlib.sha256(file.read()).hexdigest())


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.long)])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStore]:
    """An empty store that takes files of at most LIMIT bytes."""
    if request.param == "memory":
        yield MemoryFiles(LIMIT, look)
        return
    store: LocalFiles | ObjectFiles
    if request.param == "local":
        store = LocalFiles(tmp_path / "uploads", LIMIT, look)
    else:
        s3 = request.getfixturevalue("s3")
        store = ObjectFiles(s3.url(), s3.options, LIMIT, look, str)
    yield store
    await store.aclose()


async def store(files: FileStore, path: str, chunks: Iterable[bytes]) -> Received:
    """Upload and keep a file."""
    async with files.receive() as upload:
        for chunk in chunks:
            await upload.write(chunk)
        return await keep(upload, path)


async def keep(upload: Upload, path: str) -> Received:
    """Keep an upload under a path, whatever it is, and tell what was seen of it."""
    seen: list[Received] = []

    def judge(received: Received) -> Resume:
        seen.append(received)
        return resume(path, b"")

    await upload.keep(judge)
    return seen[0]


async def break_off(files: FileStore, content: bytes, last: str) -> None:
    """An upload whose request fails after its last step."""
    async with files.receive() as upload:
        await upload.write(content)
        if last == "judge":
            await refused(upload)
        if last == "keep":
            await keep(upload, "a.pdf")
        raise ClientGone


async def refused(upload: Upload) -> Received:
    """Judge that a file is not taken, and tell what was seen of it."""
    seen: list[Received] = []

    def judge(received: Received) -> NoReturn:
        seen.append(received)
        raise NotTaken

    with pytest.raises(NotTaken):
        await upload.keep(judge)
    return seen[0]


def resume(path: str, content: bytes) -> Resume:
    """What the lead knows about its file."""
    return Resume(path, "cv.pdf", Kind.PDF, len(content), hashlib.sha256(content).hexdigest())


async def content_of(files: FileStore, wanted: Resume) -> bytes:
    """All that a store hands out."""
    return b"".join([chunk async for chunk in await files.open(wanted)])


async def everything(files: FileStore) -> list[str]:
    """All that a store holds."""
    return await untouched(files, datetime.now(UTC) + timedelta(minutes=1))


async def untouched(files: FileStore, before: datetime, since: datetime | None = None) -> list[str]:
    """What a store holds that was written before then, and since then."""
    return sorted([path async for some in files.written(since=since, before=before) for path in some])


@pytest.mark.attack(102)
@pytest.mark.parametrize("size", [1, 2**16, 2**18 - 1, 2**18, 2**18 + 1, LIMIT])
@pytest.mark.parametrize("piece", [997, 2**16, 2**18, LIMIT])
async def test_what_was_kept_comes_back(files: FileStore, size: int, piece: int) -> None:
    """Byte for byte, in whatever pieces it came, with its size and hash told and the whole of it looked at."""
    content = CONTENT[:size]
    received = await store(files, "a.pdf", (content[at : at + piece] for at in range(0, size, piece)))
    expected = resume("a.pdf", content)

    assert received == Received(size, expected.sha256, Finding(Kind.PDF, why=expected.sha256))
    assert await content_of(files, expected) == content
    assert await content_of(files, expected) == content


async def test_many_uploads_at_once_stay_apart(files: FileStore) -> None:
    """Uploads that take turns do not touch each other."""
    async with files.receive() as first, files.receive() as second:
        for at in range(0, 600_000, 60_000):
            await first.write(CONTENT[at : at + 60_000])
            await second.write(CONTENT[at : at + 60_000][::-1])
        hashes = {(await keep(second, "second.pdf")).sha256, (await keep(first, "first.pdf")).sha256}

    assert len(hashes) == 2
    assert await content_of(files, resume("first.pdf", CONTENT[:600_000])) == CONTENT[:600_000]


@pytest.mark.asvs("V5.2.1")
@pytest.mark.parametrize("piece", [1024, LIMIT])
async def test_one_byte_too_many_is_refused_at_once(files: FileStore, piece: int) -> None:
    """The limit is in the message, and nothing stays."""
    chunks = [CONTENT[at : at + piece] for at in range(0, LIMIT, piece)]
    with pytest.raises(TooLarge, match=r"larger than 1 MB\."):
        await store(files, "a.pdf", [*chunks, b"!"])

    assert await everything(files) == []


async def test_an_empty_upload_is_told_as_such(files: FileStore) -> None:
    """It has size 0, and is not looked at."""
    async with files.receive() as upload:
        received = await refused(upload)

    assert received == Received(0, hashlib.sha256().hexdigest(), Finding(None, why="is empty"))
    assert await everything(files) == []


@pytest.mark.parametrize("size", [0, 1, LIMIT])
@pytest.mark.parametrize("last", ["write", "judge"])
async def test_what_is_not_kept_is_gone(files: FileStore, size: int, last: str) -> None:
    """Whatever the upload had come to when the request failed."""
    with pytest.raises(ClientGone):
        await break_off(files, CONTENT[:size], last)

    assert await everything(files) == []


async def test_a_kept_file_outlives_what_fails_later(files: FileStore) -> None:
    """What was said to be durable stays, even where the rest of the request fails."""
    with pytest.raises(ClientGone):
        await break_off(files, CONTENT, "keep")

    assert await content_of(files, resume("a.pdf", CONTENT)) == CONTENT


async def test_the_size_of_a_file(files: FileStore) -> None:
    """What is not there has none, which is no failure of the store: so it can be told what is missing."""
    await store(files, "a.pdf", [b"%PDF"])

    assert [await files.size(path) for path in ("a.pdf", "b.pdf")] == [4, None]


async def test_a_removed_file_is_gone(files: FileStore) -> None:
    """It is neither listed nor handed out, and removing it again is no error."""
    await store(files, "a.pdf", [CONTENT])
    await store(files, "b.pdf", [CONTENT])
    await files.remove("a.pdf")
    await files.remove("a.pdf")

    assert await everything(files) == ["b.pdf"]
    with pytest.raises(FileDamaged):
        await files.open(resume("a.pdf", CONTENT))


@pytest.mark.parametrize("other", [b"", CONTENT[:-1], CONTENT[:-1] + b"!", CONTENT + b"!"], ids=len)
async def test_another_file_is_not_handed_out(files: FileStore, other: bytes) -> None:
    """Not one byte of a file that is not what was uploaded."""
    await store(files, "a.pdf", [CONTENT])

    with pytest.raises(FileDamaged):
        await files.open(resume("a.pdf", other))


async def test_files_are_told_by_when_they_were_written(files: FileStore) -> None:
    """Only those from before the given time."""
    await store(files, "a.pdf", [CONTENT])

    assert await untouched(files, datetime.now(UTC) - timedelta(minutes=1)) == []
    assert await everything(files) == ["a.pdf"]


async def test_files_of_before_are_left_out(files: FileStore) -> None:
    """Else whoever begins with a new database would lose what the one before refers to."""
    await store(files, "a.pdf", [CONTENT])
    now, minute = datetime.now(UTC), timedelta(minutes=1)

    assert await untouched(files, now + 2 * minute, since=now + minute) == []
    assert await untouched(files, now + 2 * minute, since=now - minute) == ["a.pdf"]


async def test_the_time_by_which_files_are_dated(files: FileStore) -> None:
    """What is written after it is no older, to the second that some stores tell."""
    before = await files.now()
    await store(files, "a.pdf", [CONTENT])

    assert abs(datetime.now(UTC) - before) < timedelta(minutes=1)
    assert await untouched(files, before.replace(microsecond=0)) == []
    assert await everything(files) == ["a.pdf"]


async def test_a_store_that_works_says_so(files: FileStore) -> None:
    """And a ping leaves nothing behind."""
    await files.ping()

    assert await everything(files) == []
