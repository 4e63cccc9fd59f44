"""What ObjectFiles promises beside the contract of test_file_stores: about the network, the store and their faults."""

import asyncio
import hashlib
import re
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import httpx
import obstore
import pytest
from obstore.store import S3Store
from tests.limits import limited
from tests.relay import Handle, Reader, Relay, Writer, hanging, relay, saying
from tests.s3 import S3

from leadintake.adapters.files.bucket import OF_CONNECTIONS
from leadintake.adapters.files.disk import CHUNK
from leadintake.adapters.files.object_store import ObjectFiles
from leadintake.application.ports.files import Received
from leadintake.domain.errors import FileDamaged, FileUnavailable, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding, Kind
from leadintake.entrypoints.attachment import attachment
from leadintake.entrypoints.commands.findings import why

pytestmark = pytest.mark.long

DENIED = b"<Error><Code>AccessDenied</Code><Message>Not allowed to decrypt.</Message></Error>"
SMALL = b"%PDF-1.7 and little else"
LARGE = bytes(range(256)) * 8192
PDF = Finding(Kind.PDF)


def resume(content: bytes, name: str = "cv.pdf", kind: Kind = Kind.PDF) -> Resume:
    """What the lead knows about its file."""
    return Resume("a.pdf", name, kind, len(content), hashlib.sha256(content).hexdigest())


def object_files(url: str, options: dict[str, str]) -> ObjectFiles:
    """A store as the service makes it."""
    return ObjectFiles(url, options, len(LARGE), lambda _: PDF, attachment)


def by(way: Relay, s3: S3) -> dict[str, str]:
    """The options for the server by a way."""
    return {**s3.options, "aws_endpoint_url": f"http://127.0.0.1:{way.port}"}


@pytest.fixture
def url(s3: S3) -> str:
    """Where there is nothing yet."""
    return s3.url()


@pytest.fixture
def bucket(s3: S3, url: str) -> S3Store:
    """What the store holds, to look at and to change behind its back."""
    return s3.store(url)


@pytest.fixture
async def way(s3: S3) -> AsyncIterator[Relay]:
    """The way to the server."""
    async with relay(s3.port) as way:
        yield way


@pytest.fixture
async def files(s3: S3, url: str, way: Relay) -> AsyncIterator[ObjectFiles]:
    """An empty store; after each test all its temporary files must be closed, once the network lets go of them."""
    before = temporary_files()
    files = object_files(url, by(way, s3))
    yield files
    await files.aclose()
    for _ in range(200):
        if temporary_files() <= before:
            break
        await asyncio.sleep(0.01)
    assert temporary_files() <= before


def temporary_files() -> set[str]:
    """The files without a name that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {path for path in found if path.endswith(" (deleted)")}


class ClientGone(Exception):
    """What ends a request early."""


def names(bucket: S3Store) -> list[str]:
    """All that is there, whoever put it there."""
    return sorted(one["path"] for one in obstore.list(bucket).collect())


async def store(files: ObjectFiles, content: bytes, about: Resume | None = None) -> None:
    """Upload and keep a file."""
    async with files.receive() as upload:
        for at in range(0, len(content), 2**16):
            await upload.write(content[at : at + 2**16])
        await upload.keep(lambda _: about or resume(content))


async def fetch(files: ObjectFiles, content: bytes) -> bytes:
    """All that is handed out in place of a content."""
    return b"".join([chunk async for chunk in await files.open(resume(content))])


async def listed(files: ObjectFiles) -> list[str]:
    """All that the sweep would be told of."""
    before = datetime.now(UTC) + timedelta(minutes=1)
    return sorted([path async for some in files.written(before=before) for path in some])


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_a_file_goes_in_one_request(files: ObjectFiles, way: Relay, url: str, content: bytes) -> None:
    """The store takes it as a whole or not at all, and sees nothing of it before it is kept."""
    async with files.receive() as upload:
        await upload.write(content)

        def judge(_: Received) -> Resume:
            assert way.requests == []
            return resume(content)

        await upload.keep(judge)

    assert way.requests == [f"PUT /{url.removeprefix('s3://')}/a.pdf"]
    assert await fetch(files, content) == content


async def test_a_refused_upload_asks_nothing_of_the_store(files: ObjectFiles, way: Relay) -> None:
    """Neither one that is too large, nor one whose request breaks off at any time before it is kept."""

    async def break_off(steps: int) -> None:
        async with files.receive() as upload:
            for step in (partial(upload.write, LARGE), partial(upload.keep, refuse))[:steps]:
                await step()
            raise ClientGone

    def refuse(_: Received) -> NoReturn:
        raise ClientGone

    with pytest.raises(TooLarge):
        await store(files, LARGE + b"!")
    for steps in range(3):
        with pytest.raises(ClientGone):
            await break_off(steps)

    assert way.requests == []


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_an_upload_cancelled_while_it_is_kept(
    files: ObjectFiles, way: Relay, bucket: S3Store, content: bytes
) -> None:
    """The store has it for a moment, perhaps; but nobody was told that it was kept, so it is not."""
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def held(reader: Reader, writer: Writer) -> None:
        under_way.set()
        await go_on.wait()
        await way.passing(reader, writer)

    await way.become(held)
    upload = asyncio.create_task(store(files, content))
    await under_way.wait()
    upload.cancel()
    await asyncio.wait([upload], timeout=0.01)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload

    assert [request.split()[0] for request in way.requests] == ["PUT", "DELETE"]
    assert names(bucket) == []


@pytest.mark.parametrize("turns", range(8))
async def test_an_upload_cancelled_at_any_turn_leaves_nothing(files: ObjectFiles, bucket: S3Store, turns: int) -> None:
    """Whatever it was at."""
    upload = asyncio.create_task(store(files, LARGE))
    for _ in range(turns):
        await asyncio.sleep(0.003)
    was_kept = upload.done()
    upload.cancel()
    await asyncio.wait([upload])

    assert names(bucket) == (["a.pdf"] if was_kept else [])


FAULTS: dict[str, Handle | None] = {
    "refused": None,
    "hangs": hanging,
    "hangs up": saying(b""),
    "garbage": saying(b"\0\xff\r\n\r\n"),
    "another service": saying(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<h1>"),
    "forbidden": saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    "broken": saying(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
    "no bucket": saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.attack(166)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_store_that_fails_is_unavailable(files: ObjectFiles, way: Relay, bucket: S3Store, fault: str) -> None:
    """However it fails, and for as long as it does: nothing is stored, and all is well once it is back."""
    handle = FAULTS[fault]
    if handle is None:
        await way.stop()
    else:
        await way.become(handle)
    if handle is hanging:
        files.patience = 0.3
    asked = [store(files, SMALL), store(files, LARGE), files.ping(), listed(files)]
    unanswered = await asyncio.gather(*asked, return_exceptions=True)
    with pytest.raises(FileUnavailable):
        await files.open(resume(SMALL))
    if handle is None:
        await way.start()
    else:
        await way.become(way.passing)
    during = names(bucket)
    files.patience = 10
    await files.ping()
    await store(files, LARGE)

    assert [type(answer) for answer in unanswered] == [Unavailable] * len(asked)
    assert all(isinstance(answer, Unavailable) and answer.__cause__ for answer in unanswered)
    assert during == []
    assert names(bucket) == ["a.pdf"]


@pytest.mark.attack(166)
async def test_a_file_whose_acknowledgement_is_lost_is_left_to_the_sweep(files: ObjectFiles, way: Relay) -> None:
    """It is there, but nobody knows: the upload fails, and the file is listed."""
    await way.become(partial(way.passing, back=lambda _: b""))
    with pytest.raises(Unavailable):
        await store(files, SMALL)
    await way.become(way.passing)

    assert await listed(files) == ["a.pdf"]


async def test_a_lost_connection_is_no_failure(files: ObjectFiles, way: Relay) -> None:
    """What was kept open and has died meanwhile is opened again."""
    await store(files, SMALL)
    await way.become(way.passing)

    assert await fetch(files, SMALL) == SMALL


async def test_what_changes_on_its_way_is_refused(files: ObjectFiles, way: Relay, bucket: S3Store) -> None:
    """The store compares what comes with its hash."""
    await way.become(partial(way.passing, there=lambda piece: piece.replace(b"little", b"LITTLE")))
    with pytest.raises(Unavailable):
        await store(files, SMALL)

    assert names(bucket) == []


async def test_a_store_that_takes_no_hashes(way: Relay, s3: S3, url: str) -> None:
    """It is not sent any where the setting that is common for that says so. Wrong bytes are still not handed out."""
    files = object_files(url, {**by(way, s3), "aws_request_checksum_calculation": "when_required"})
    await store(files, LARGE)
    whole = await fetch(files, LARGE)
    await way.become(partial(way.passing, there=lambda piece: piece.replace(b"little", b"LITTLE")))
    await store(files, SMALL)
    with pytest.raises(FileUnavailable):
        await files.open(resume(SMALL))
    await files.aclose()

    assert whole == LARGE


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another": lambda content: content[:-1] + b"!",
    "shorter": lambda content: content[:-1],
    "longer": lambda content: content + b"!",
    "much longer": lambda content: content + LARGE,
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("change", WRONG)
async def test_wrong_bytes_are_not_handed_out(files: ObjectFiles, bucket: S3Store, content: bytes, change: str) -> None:
    """Not one, whoever has changed the object."""
    await store(files, content)
    obstore.put(bucket, "a.pdf", WRONG[change](content))

    with pytest.raises(FileUnavailable):
        await files.open(resume(content))


async def test_a_download_that_breaks_off_is_not_handed_out(files: ObjectFiles, way: Relay) -> None:
    """Not one byte of it, since the last ones may never come."""
    await store(files, LARGE)
    room = len(LARGE) // 2

    def back(piece: bytes) -> bytes:
        nonlocal room
        room -= len(piece)
        return piece if room > 0 else b""

    await way.become(partial(way.passing, back=back))

    with pytest.raises(FileUnavailable):
        await files.open(resume(LARGE))


async def test_what_is_handed_out_is_what_was_checked(files: ObjectFiles, bucket: S3Store) -> None:
    """A file that is erased or replaced while it goes out still goes out whole."""
    await store(files, LARGE)
    chunks = await files.open(resume(LARGE))
    begun = await anext(chunks)
    obstore.put(bucket, "a.pdf", bytes(len(LARGE)))

    assert begun + b"".join([chunk async for chunk in chunks]) == LARGE


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_download_that_is_given_up_is_closed(files: ObjectFiles, chunks: int) -> None:
    """Also when nobody ever asked for the first byte; the fixture sees to it that nothing stays open."""
    await store(files, LARGE)
    download = await files.open(resume(LARGE))
    for _ in range(chunks):
        assert len(await anext(download)) == CHUNK


@pytest.mark.parametrize("turns", range(8))
async def test_a_download_that_is_cancelled_is_closed(files: ObjectFiles, turns: int) -> None:
    """Whatever it was at."""
    await store(files, LARGE)
    download = asyncio.create_task(fetch(files, LARGE))
    for _ in range(turns):
        await asyncio.sleep(0.002)
    download.cancel()
    await asyncio.wait([download])


async def test_only_resumes_are_listed(files: ObjectFiles, s3: S3, url: str, bucket: S3Store) -> None:
    """Whatever else lies in the bucket, below the prefix or beside it."""
    await store(files, SMALL)
    for name in (".hidden", "o d.pdf", "x_y", "_probe", "folder/b.pdf", "é.pdf"):
        obstore.put(bucket, name, b"")
    obstore.put(s3.store(f"{url}-2"), "c.pdf", b"")

    assert await listed(files) == ["a.pdf"]


async def test_more_resumes_than_a_store_lists_at_once(files: ObjectFiles, bucket: S3Store) -> None:
    """They come in batches, each once."""
    paths = [f"{number:04}.pdf" for number in range(1100)]
    await asyncio.gather(*(obstore.put_async(bucket, path, b"") for path in paths))
    before = datetime.now(UTC) + timedelta(minutes=1)
    batches = [batch async for batch in files.written(before=before)]

    assert sorted(path for batch in batches for path in batch) == paths
    assert len(batches) > 2


PATHS = [
    "",
    ".",
    "..",
    "../a.pdf",
    "/etc/passwd",
    "a/b.pdf",
    "a\\b.pdf",
    "a\0.pdf",
    "a\n",
    ".a",
    "_probe",
    "é",
    "\udcff",
]


@pytest.mark.parametrize("path", PATHS, ids=ascii)
async def test_only_a_bare_name_is_a_path(files: ObjectFiles, way: Relay, path: str) -> None:
    """Whatever a damaged record says, no other object is read, written, removed or linked to."""
    about = replace(resume(SMALL), path=path)
    asked = [store(files, SMALL, about), files.open(about), files.link(about), files.size(path), files.remove(path)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in answers] == [FileUnavailable] * len(asked)
    assert way.requests == []


async def test_a_ping_leaves_nothing(files: ObjectFiles, way: Relay, bucket: S3Store) -> None:
    """It writes and deletes, as only that shows that both are allowed."""
    await files.ping()

    assert [request.split()[0] for request in way.requests] == ["PUT", "DELETE"]
    assert names(bucket) == []


async def test_no_room_for_a_file_on_its_way(url: str, s3: S3) -> None:
    """What exceeds a buffer waits on the disk of this machine, so a store with room is not enough."""
    files = ObjectFiles(url, s3.options, 2**60, lambda _: PDF, attachment)
    with pytest.raises(Unavailable) as full:
        await files.ping()
    await files.aclose()

    assert " bytes are free, and 1,152,921,504,606,846,976 are needed" in str(full.value.__cause__)


async def test_a_store_that_gives_nothing_is_no_damage(files: ObjectFiles, way: Relay, bucket: S3Store) -> None:
    """Who is told that files have changed may erase good ones."""
    await store(files, SMALL)

    async def refusing(reader: Reader, writer: Writer) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(DENIED), DENIED))
        assert request.startswith(b"GET ")

    await way.become(refusing)
    with pytest.raises(FileUnavailable) as refused:
        await files.open(resume(SMALL))
    await way.become(way.passing)
    obstore.delete(bucket, "a.pdf")
    with pytest.raises(FileDamaged):
        await files.open(resume(SMALL))

    assert type(refused.value) is FileUnavailable
    assert why(refused.value) == "AccessDenied: Not allowed to decrypt."


NAMES = [
    "cv.pdf",
    "Zoë's “CV”.pdf",
    'a";x=".pdf',
    "=?utf-8?q?a?=.pdf",
    "履歴書.pdf",
    "a\r\nX-Evil: 1.pdf",
    "<img src=x onerror=alert(1)>.pdf",
    "😀" * 146 + ".pdf",
]


@pytest.mark.asvs("V5.4.1")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_link_hands_out_the_file_as_an_attachment(files: ObjectFiles, name: str) -> None:
    """To whoever has it, under its own name, whatever that is."""
    await store(files, SMALL, resume(SMALL, name))
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(str(await files.link(resume(SMALL, name))))

    assert answer.content == SMALL
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == attachment(name)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", Kind)
async def test_a_link_tells_the_kind(files: ObjectFiles, kind: Kind) -> None:
    """As the service itself would."""
    await store(files, SMALL, resume(SMALL, kind=kind))
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(str(await files.link(resume(SMALL))))

    assert answer.headers["content-type"] == kind.media_type


async def test_a_link_is_good_for_one_file_and_one_minute(files: ObjectFiles) -> None:
    """Whoever changes it is refused."""
    await store(files, SMALL)
    await store(files, SMALL, replace(resume(SMALL), path="b.pdf"))
    link = str(await files.link(resume(SMALL)))
    changed = [
        link.partition("?")[0],
        link.replace("a.pdf", "b.pdf"),
        link.replace("Expires=60", "Expires=61"),
        re.sub("(Date=....)....", r"\g<1>0101", link),
    ]
    async with httpx.AsyncClient(verify=False) as client:
        answers = [await client.get(other) for other in changed]
        answers.append(await client.put(link, content=b"!"))
        answers.append(await client.get(link))

    assert "X-Amz-Expires=60&" in link
    assert [answer.status_code for answer in answers] == [403] * 5 + [200]
    assert answers[-1].content == SMALL


async def test_who_cannot_sign_makes_no_link() -> None:
    """An account of Azure that is reached with a token, which signs nothing."""
    options = {"azure_storage_account_name": "name", "azure_storage_sas_token": "sv=1&sig=x"}
    files = object_files("az://container/prefix", options)
    await files.aclose()

    assert await files.link(resume(SMALL)) is None


async def test_a_full_disk_is_unavailable(files: ObjectFiles, way: Relay) -> None:
    """For a large file, in both directions; a small one needs no disk."""
    await store(files, LARGE)
    before = list(way.requests)
    with limited(resource.RLIMIT_FSIZE, CHUNK):
        with pytest.raises(Unavailable):
            await store(files, LARGE)
        during = list(way.requests)
        with pytest.raises(FileUnavailable):
            await files.open(resume(LARGE))
        await store(files, SMALL)

    assert during == before
    assert await fetch(files, SMALL) == SMALL


async def test_memory_does_not_grow_with_the_files(s3: S3, url: str, way: Relay) -> None:
    """Neither while many uploads are under way at once, nor after as many downloads have begun."""
    count, content = 16, LARGE * 4
    under_way: list[int] = []
    all_there = asyncio.Event()

    async def taking(reader: Reader, writer: Writer) -> None:
        under_way.append(memory())
        if len(under_way) == count:
            all_there.set()
        await all_there.wait()
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(0, len(content), 2**16):
            await reader.readexactly(2**16)
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 0\r\n\r\n')

    direct, detour = (
        ObjectFiles(url, options, len(content), lambda _: PDF, str) for options in (s3.options, by(way, s3))
    )
    await store(direct, content)
    await way.become(taking)
    before = memory()
    await asyncio.gather(*(store(detour, content) for _ in range(count)))
    downloads = await asyncio.gather(*(direct.open(resume(content)) for _ in range(count)))
    after = memory()
    await direct.aclose()
    await detour.aclose()

    assert len(downloads) == len(under_way) == count
    assert max(*under_way, after) - before < count * len(content) / 2


def memory() -> int:
    """The bytes of this process that are neither a file's nor shared."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("s3://bucket", {"aws_access_key_id": "only"}, "Missing SecretAccessKey"),
        ("s3://bucket", {"aws_endpoint_url": "http://store:9000"}, "its endpoint is plain http. Use https, or"),
        ("s3://bucket", {"aws_endpoint_url": "store:9000"}, "AWS_ENDPOINT_URL is 'store:9000'. Give an address"),
        ("s3://bucket", {"aws_endpoint_url_s3": ""}, "AWS_ENDPOINT_URL_S3 is ''. Give an address such as"),
        ("s3://bucket", {"aws_endpoint": "https://:9000"}, "AWS_ENDPOINT is 'https://:9000'. Give an address such as"),
        ("s3://bucket", {"aws_endpoint": "https://[::1"}, "AWS_ENDPOINT is 'https://[::1'. Give an address such as"),
        ("s3://bucket", {"aws_endpoint": "https://s3:x"}, "AWS_ENDPOINT is 'https://s3:x'. Give an address such as"),
        ("az://container", {"azure_endpoint": "store"}, "AZURE_ENDPOINT is 'store'. Give an address such as"),
        ("s3://bucket", {"aws_allow_http": "perhaps"}, 'failed to parse "perhaps" as boolean'),
        ("s3://bucket", {"aws_endpoint": "https://a", "aws_endpoint_url": "https://b"}, "Duplicate key aws_endpoint"),
        ("gs://bucket", {"google_service_account": "/nowhere"}, "GCP credential error: Unable to open service account"),
        ("az://container", {}, "Account must be specified"),
    ],
    ids=range(12),
)
async def test_options_that_make_no_sense(url: str, options: dict[str, str], why: str) -> None:
    """They are told at the start, in one line."""
    with pytest.raises(ValueError, match=rf"\A{re.escape(why)}.*\.\Z"):
        object_files(url, options)


@pytest.mark.asvs("V1.3.6")
async def test_options_for_others(s3: S3, url: str, bucket: S3Store) -> None:
    """Of what the environment has for other programs and other stores nothing counts, nor any bucket but the URL's."""
    others = {"aws_pager": "less", "aws_profile": "me", "aws_bucket": "other", "google_timeout": "?", "azure_x": "?"}
    files = object_files(url, {**others, **s3.options})
    await store(files, SMALL)
    await files.aclose()

    assert names(bucket) == ["a.pdf"]


@pytest.mark.parametrize(("kind", "prefix"), [("s3", "aws_"), ("gs", "google_"), ("az", "azure_")])
async def test_options_of_connections(kind: str, prefix: str) -> None:
    """Each that obstore knows is told from the others, among which it would be no error but a panic."""
    stub = (Path(obstore.__file__).parent / "_store" / "_client.pyi").read_text()
    known = set(re.findall(r"^    (\w+): ", stub, re.MULTILINE))
    for name in known | OF_CONNECTIONS:
        with suppress(ValueError):
            options = {f"{prefix}{name}": "?", "azure_storage_account_name": "name"}
            await object_files(f"{kind}://bucket", options).aclose()

    assert len(known) > 10
