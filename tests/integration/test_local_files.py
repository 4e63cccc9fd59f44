"""What LocalFiles promises beside the contract of test_file_stores: about the disk and its faults."""

import asyncio
import hashlib
import os
import resource
import shutil
import stat
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest
from tests.limits import limited

from leadintake.adapters.files.disk import CHUNK, OpenFile, create
from leadintake.adapters.files.keeping import Arrival, Keeper
from leadintake.adapters.files.local import LocalFiles, LocalUpload
from leadintake.adapters.files.paths import LISTED_AT_ONCE
from leadintake.application.ports.files import Received
from leadintake.domain.errors import FileUnavailable, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding, Kind

CONTENT = bytes(range(256)) * 4096
RESUME = Resume("a.pdf", "cv.pdf", Kind.PDF, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the files."""
    return tmp_path / "uploads"


@pytest.fixture
async def files(folder: Path) -> AsyncIterator[LocalFiles]:
    """An empty store; at the end of each test all its files must be closed, and none half written."""
    store = LocalFiles(folder, len(CONTENT), lambda _: Finding(Kind.PDF))
    before = open_files(folder)
    yield store
    await store.aclose()
    assert open_files(folder) == before
    assert [name for name in names(folder) if name.endswith(".part")] == []


def open_files(folder: Path) -> list[str]:
    """What this process has open in a folder, removed files too; other tests' threads open files of their own."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return sorted(path for path in found if path.startswith(f"{folder}/"))


def names(folder: Path) -> list[str]:
    """What a folder holds, nothing where there is none."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def vanish(folder: Path) -> None:
    """Take the folder away, as when a disk is unmounted."""
    shutil.rmtree(folder)


def replace(folder: Path) -> None:
    """Put something in the place of the folder in which nothing can be made, not even by root."""
    shutil.rmtree(folder)
    folder.write_text("no folder")


def as_resume(received: Received, path: str = RESUME.path) -> Resume:
    """Judge that a file is taken."""
    return Resume(path, "cv.pdf", Kind.PDF, received.size, received.sha256)


class EmptyFile(Exception):
    """What a judge says of a file that is not taken."""


def refuse(_: Received) -> NoReturn:
    """Judge that a file is not taken."""
    raise EmptyFile


def age(path: Path, at: datetime) -> None:
    """Have a file that was last written then."""
    path.touch()
    os.utime(path, (at.timestamp(), at.timestamp()))


async def store(files: LocalFiles, path: str = RESUME.path) -> None:
    """Upload and keep CONTENT."""
    async with files.receive() as upload:
        await upload.write(CONTENT)
        await upload.keep(partial(as_resume, path=path))


@pytest.mark.asvs("V5.3.1")
async def test_only_this_user_may_read_the_files(files: LocalFiles, folder: Path) -> None:
    """The folder has mode 0700 and every file 0600, kept or under way."""
    async with files.receive() as upload:
        await upload.write(CONTENT[:-1])
        await upload.write(CONTENT[-1:])
        (part,) = names(folder)
        modes = [mode(folder), mode(folder / part)]
        await upload.keep(as_resume)

    assert part.endswith(".part")
    assert [*modes, mode(folder / "a.pdf")] == [0o700, 0o600, 0o600]
    assert names(folder) == ["a.pdf"]


async def test_a_small_limit_is_said_as_it_is(folder: Path) -> None:
    """What would be no megabyte when rounded is not."""
    files = LocalFiles(folder, 100_000, lambda _: Finding(Kind.PDF))
    async with files.receive() as upload:
        with pytest.raises(TooLarge, match=r"larger than 97.6 kB\."):
            await upload.write(bytes(100_001))
    await files.aclose()


async def test_no_file_is_made_before_a_buffer_is_full(files: LocalFiles, folder: Path) -> None:
    """An empty upload never makes one, so that a flood of them leaves the disk alone."""
    async with files.receive() as empty, files.receive() as small:
        await small.write(CONTENT[:CHUNK])
        with pytest.raises(EmptyFile):
            await empty.keep(refuse)

        assert names(folder) == []


@pytest.mark.asvs("V5.3.2")
@pytest.mark.attack(72)
@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../a.pdf", "/etc/passwd", "a/b.pdf", "a\\b.pdf", "a\0.pdf", "a\n", ".a", "é", "\udcff", "a" * 999],
    ids=ascii,
)
async def test_only_a_bare_name_is_a_path(files: LocalFiles, folder: Path, path: str) -> None:
    """Whatever a damaged record says, nothing beside the folder is read, written or removed."""
    for attempt in (files.open(Resume(path, "", Kind.PDF, 0, "")), files.remove(path), store(files, path)):
        with pytest.raises(Unavailable):
            await attempt

    assert names(folder) == []


@pytest.mark.parametrize("break_it", [vanish, replace])
@pytest.mark.parametrize("stage", ["write", "keep"])
async def test_a_lost_folder_is_unavailable(
    files: LocalFiles, folder: Path, break_it: Callable[[Path], None], stage: str
) -> None:
    """Whenever it goes: nothing is stored, and the folder is not made again where a disk should be."""

    async def lose(at: str) -> None:
        async with files.receive() as upload:
            for step, work in (
                ("write", partial(upload.write, CONTENT)),
                ("keep", partial(upload.keep, as_resume)),
            ):
                if step == at:
                    break_it(folder)
                await work()

    with pytest.raises(Unavailable):
        await lose(stage)

    assert names(folder) == []
    with pytest.raises(Unavailable):
        await files.ping()
    with pytest.raises(Unavailable):
        await anext(files.written(before=datetime.now(UTC)))
    with pytest.raises(FileUnavailable):
        await files.open(RESUME)


@pytest.mark.attack(167)
@pytest.mark.parametrize("room", [0, CHUNK, CHUNK + 1, len(CONTENT) - 1])
async def test_a_full_disk_is_unavailable(files: LocalFiles, folder: Path, room: int) -> None:
    """Wherever in the file the room ends, nothing is left, and all is well once there is room."""
    with limited(resource.RLIMIT_FSIZE, room), pytest.raises(Unavailable):
        await store(files)

    assert names(folder) == []
    await store(files)
    assert names(folder) == ["a.pdf"]


@pytest.mark.attack(168)
async def test_too_many_open_files_are_unavailable(files: LocalFiles, folder: Path) -> None:
    """No new descriptor is to be had for the file, nor for reading it."""
    await store(files)
    with limited(resource.RLIMIT_NOFILE, 0):
        with pytest.raises(Unavailable):
            await store(files, "b.pdf")
        with pytest.raises(FileUnavailable):
            await files.open(RESUME)
        with pytest.raises(Unavailable):
            await files.ping()

    assert names(folder) == ["a.pdf"]


class UploadToAFailingDisk(LocalUpload):
    """Hands out, to be synced, a pipe in place of its file: the kernel syncs none, and says so."""

    def save(self) -> OpenFile:
        super().save()
        reading, writing = os.pipe()
        os.close(reading)
        self.pipe = OpenFile(writing)
        return self.pipe


async def test_a_file_that_is_not_durable_is_removed(files: LocalFiles, folder: Path) -> None:
    """A file whose content cannot be synced is not kept, however well it was written (P3)."""
    upload = UploadToAFailingDisk(files)
    await upload.write(CONTENT[:CHUNK])
    with pytest.raises(Unavailable):
        await upload.keep(as_resume)
    upload.pipe.close()
    upload.end()

    assert names(folder) == []


async def test_a_file_whose_name_is_not_durable_is_removed(files: LocalFiles, folder: Path) -> None:
    """The file is renamed already when its folder cannot be synced, and must not stay under its final name."""
    async with files.receive() as upload:
        await upload.write(CONTENT)
        with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(Unavailable):
            await upload.keep(as_resume)

    assert names(folder) == []


async def test_a_name_in_a_folder_that_cannot_be_synced(tmp_path: Path) -> None:
    """The file itself is durable, but nobody would find it after a power cut (P3)."""
    keeper = Keeper(Path("/proc"))  # The kernel opens it as any other folder, and cannot sync it.
    file = create(tmp_path / RESUME.path)
    with pytest.raises(OSError, match="Invalid argument"):
        await keeper.keep(Arrival(lambda: RESUME, lambda _: file))
    keeper.close()


async def test_a_store_without_room_for_one_more_file_is_not_ready(tmp_path: Path) -> None:
    """It says so before the disk is full to the last byte, and when nothing can be written."""
    roomy, vast = (LocalFiles(tmp_path, limit, lambda _: Finding(None)) for limit in (1, 2**60))
    await roomy.ping()
    with pytest.raises(Unavailable) as full:
        await vast.ping()
    assert " bytes are free, and 1,152,921,504,606,846,976 are needed" in str(full.value.__cause__)
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(Unavailable):
        await roomy.ping()
    await roomy.aclose()
    await vast.aclose()

    assert names(tmp_path) == []


async def test_a_cancelled_upload_waits_for_its_thread(files: LocalFiles, folder: Path) -> None:
    """The file is closed and removed by the thread that is busy with it, and not under its hands."""
    entered, leave = threading.Event(), threading.Event()
    seen: list[bytes] = []

    def look(file: BinaryIO) -> Finding:
        entered.set()
        leave.wait(10)
        seen.append(file.read())
        return Finding(Kind.PDF)

    files.inspect = look
    upload = asyncio.create_task(store(files))
    await asyncio.to_thread(entered.wait, 10)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    during = names(folder)
    leave.set()
    await files.aclose()

    assert len(during) == 1
    assert seen == [CONTENT]
    assert names(folder) == []


@pytest.mark.parametrize("turns", range(12))
async def test_an_upload_cancelled_at_any_turn_leaves_nothing(files: LocalFiles, folder: Path, turns: int) -> None:
    """Nobody was told that the file was kept, so it is not, even where the rename came first."""
    upload = asyncio.create_task(store(files))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    was_kept = upload.done()
    upload.cancel()
    await asyncio.wait([upload])
    await files.aclose()

    assert names(folder) == (["a.pdf"] if was_kept else [])


async def test_what_is_read_is_what_was_checked(files: LocalFiles, folder: Path) -> None:
    """A file that is erased, or replaced by another one, while it goes out, still goes out whole."""
    await store(files)
    first, second = [await files.open(RESUME) for _ in range(2)]
    begun = await anext(first)
    (folder / "other").write_bytes(bytes(len(CONTENT)))
    (folder / "other").replace(folder / "a.pdf")
    await files.remove("a.pdf")

    assert begun + b"".join([chunk async for chunk in first]) == CONTENT
    assert b"".join([chunk async for chunk in second]) == CONTENT


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_download_that_is_given_up_is_closed(files: LocalFiles, folder: Path, chunks: int) -> None:
    """As soon as event loop and threads come round, and also when nobody ever asked for the first byte."""
    await store(files)
    before = open_files(folder)
    download = await files.open(RESUME)
    for _ in range(chunks):
        await anext(download)
    during = open_files(folder)
    del download
    for _ in range(5):
        await asyncio.sleep(0)
    await files.aclose()

    assert len(during) == len(before) + 1
    assert open_files(folder) == before


async def test_a_download_that_is_cancelled_is_closed(files: LocalFiles, folder: Path) -> None:
    """Whether a thread is checking the file or reading it."""
    await store(files)

    before = open_files(folder)

    async def read() -> None:
        async for _ in await files.open(RESUME):
            pass

    for turns in range(8):
        download = asyncio.create_task(read())
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        download.cancel()
        await asyncio.wait([download])
        del download
    await files.aclose()

    assert open_files(folder) == before


async def test_old_files_are_found_whatever_lies_beside_them(files: LocalFiles, folder: Path) -> None:
    """Broken-off uploads too; but no folder, link, hidden file or name that was never a path here."""
    now = datetime.now(UTC)
    old, young = now - timedelta(minutes=61), now - timedelta(minutes=59)
    for name in ("old.pdf", "0f.part", ".hidden", "o d.pdf", "old\udcff.pdf", "x_y"):
        age(folder / name, old)
    for name in ("young.pdf", "1f.part"):
        age(folder / name, young)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "old.pdf")

    assert sorted(await anext(files.written(before=now - timedelta(hours=1)))) == ["0f.part", "old.pdf"]
    for name in ("1f.part", "0f.part"):
        await files.remove(name)


@pytest.mark.asvs("V5.2.1")
async def test_uploads_take_one_buffer_each(files: LocalFiles) -> None:
    """However large the files are and however many come at once."""
    uploads = 32

    async def upload(number: int) -> None:
        async with files.receive() as upload:
            for at in range(0, len(CONTENT), 2**16):
                await upload.write(CONTENT[at : at + 2**16])
                await asyncio.sleep(0)
            await upload.keep(partial(as_resume, path=f"{number}.pdf"))

    tracemalloc.start()
    await asyncio.gather(*(upload(number) for number in range(uploads)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < uploads * 1.25 * CHUNK + 2**20


async def test_many_small_pieces_take_no_more(files: LocalFiles) -> None:
    """Who sends two bytes after the other does not fill up the memory with what Python needs for each."""
    content = CONTENT[:50_000]
    tracemalloc.start()
    async with files.receive() as upload:
        for at in range(0, len(content), 2):
            await upload.write(content[at : at + 2])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await upload.keep(as_resume)

    assert peak < 4 * len(content)
    assert (files.folder / "a.pdf").read_bytes() == content


async def test_files_that_go_while_they_are_listed(files: LocalFiles, folder: Path) -> None:
    """A sweep goes on when others remove files of the folder meanwhile, and does not name those."""
    for number in range(LISTED_AT_ONCE + 100):
        (folder / f"{number}.pdf").touch()
    listing = files.written(before=datetime.now(UTC) + timedelta(minutes=1))
    first = await anext(listing)
    for name in names(folder):
        (folder / name).unlink()

    assert len(first) == LISTED_AT_ONCE
    assert [more async for more in listing] == []


async def test_no_file_takes_the_place_of_another(files: LocalFiles, folder: Path) -> None:
    """Were a path drawn twice, the resume that has it stays as it is, and the second submission is refused."""
    for content in (b"first", b"other"):
        async with files.receive() as upload:
            await upload.write(content)
            if content == b"first":
                await upload.keep(as_resume)
            else:
                with pytest.raises(Unavailable):
                    await upload.keep(as_resume)

    assert (folder / RESUME.path).read_bytes() == b"first"


async def test_who_is_refused_takes_nobody_along(files: LocalFiles, folder: Path) -> None:
    """Of files that are looked at together, one that is not taken keeps no other from being kept."""
    has_begun, may_go_on = threading.Event(), threading.Event()

    def slowly(received: Received) -> Resume:
        has_begun.set()
        assert may_go_on.wait(10)
        return as_resume(received, "first.pdf")

    async def keep(judge: Callable[[Received], Resume]) -> Resume:
        async with files.receive() as upload:
            await upload.write(b"%PDF-1.7")
            return await upload.keep(judge)

    first = asyncio.ensure_future(keep(slowly))
    await asyncio.to_thread(has_begun.wait, 10)
    others = [asyncio.ensure_future(keep(judge)) for judge in (refuse, partial(as_resume, path="second.pdf"))]
    for _ in range(10):
        await asyncio.sleep(0)
    may_go_on.set()
    _, refused, kept = await asyncio.gather(first, *others, return_exceptions=True)

    assert isinstance(refused, EmptyFile)
    assert isinstance(kept, Resume)
    assert names(folder) == ["first.pdf", "second.pdf"]
