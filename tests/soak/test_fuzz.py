"""Inputs that are bred for the branches they reach: form, file and search, each in a process of its own.

A row can also be run alone, for as long as one likes: `python -m tests.soak.test_fuzz form 3600 /tmp/fuzz`.
"""
# ruff: noqa: PLC0415 - what is fuzzed is imported before the eyes of the fuzzer, and only in its process

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import NoReturn
from zipfile import ZipFile

import pytest
from tests import documents
from tests.pages import ROOT
from tests.soak.ledger import QUICK, Row, Scale

SECONDS = 60
QUICK_SECONDS = 20
WARM_UP = 1_000
"""Inputs after which memory is measured for the first time."""

EVERY = 500
"""Inputs between two looks at memory and files."""

MOST_GROWTH = 64
"""MB, most of which is the fuzzer's own collection of inputs."""

LARGEST = 8192
SLOWEST = 10
"""Seconds for one input, with every branch of it watched."""

PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n'
FORM = b"".join(PART % text for text in ((b"first_name", b"Ada"), (b"last_name", b"King"), (b"email", b"a@b.co")))
LARGE = 300 * 1024
"""Bytes of a file that no longer fits its buffer, and so is on the disk."""

PARTS = ZipFile(BytesIO(documents.docx()))
SEEDS: dict[str, list[bytes]] = {
    "form": [bytes([cut]) + FORM + FILE + documents.pdf() + b"\r\n--b--\r\n" for cut in (0, 1, 16, 255)],
    "file": [
        b"\0".join(PARTS.read(name) for name in ("[Content_Types].xml", "_rels/.rels")),
        documents.pdf(objects=(documents.pdf_stream(b"x" * 99, b"/Filter /FlateDecode "),)),
        documents.docx(),
        documents.docm(),
        documents.xlsx(),
        documents.odt(),
        documents.rtf(),
        documents.doc(),
        documents.encrypted_docx(),
        documents.TEXT.encode(),
    ],
    "search": ["Zoë Łukasiewicz-King, Jr.".encode(), "عبد الله 𠮷野家 LD-7F3K9QX2".encode(), b"ada@example.org"],
}


@pytest.mark.promises("fuzz")
@pytest.mark.parametrize("target", SEEDS)
def test_fuzz(target: str, tmp_path: Path, row: Row, scale: Scale) -> None:
    """Inputs that grow towards new branches: nothing but the declared refusals, and no growth of memory or files."""
    seconds = QUICK_SECONDS if scale is QUICK else SECONDS
    command = [sys.executable, "-m", "tests.soak.test_fuzz", target, str(seconds), str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    (tmp_path / "log.txt").write_text(ended.stderr)
    assert ended.returncode == 0, ended.stderr[-4000:]
    looks = [json.loads(line) for line in (tmp_path / "looks.jsonl").read_text().splitlines()]
    first, last = looks[0], looks[-1]
    row.trials = last["inputs"]
    row.note(f"memory {first['memory']} MB after {first['inputs']:,} inputs, {last['memory']} MB in the end")
    row.note(f"{len(list((tmp_path / 'inputs').iterdir())):,} inputs reach different branches")

    assert last["inputs"] > first["inputs"]
    assert last["memory"] - first["memory"] < MOST_GROWTH
    assert last["descriptors"] <= first["descriptors"]
    assert not any(look["files"] for look in looks)


def look(inputs: int, files: int) -> dict[str, int]:
    """What a process holds: MB of memory, open descriptors, and files left in its folder."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return {"inputs": inputs, "memory": memory, "descriptors": descriptors, "files": files}


def form(folder: Path) -> Callable[[bytes], None]:
    """A form in pieces, as long as the first byte says; where that is odd, a large file comes before it."""
    from leadintake.adapters.documents.inspection import inspect
    from leadintake.adapters.files.local import LocalFiles
    from leadintake.application.ports.files import Received
    from leadintake.domain.errors import Refused
    from leadintake.entrypoints.http.multipart import TEXTS, boundary_of, read_form

    runner = asyncio.Runner()
    files = LocalFiles(folder, 2 * LARGE, inspect)

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        if data[0] & 1:
            yield FILE + bytes(LARGE) + b"\r\n"
        length = data[0] // 2 + 1
        for start in range(1, len(data), length):
            yield data[start : start + length]

    def refuse(_: Received) -> NoReturn:
        raise Refused

    async def receive(data: bytes) -> None:
        head, _, body = data.partition(b"\n") if data.startswith(b";") else (b";boundary=b", b"", data)
        boundary = boundary_of("multipart/form-data" + head.decode("latin-1"))
        async with files.receive() as upload:
            await read_form(pieces(body or b"\0"), boundary, dict.fromkeys(TEXTS, ""), upload.write)
            await upload.keep(refuse)

    def once(data: bytes) -> None:
        with suppress(Refused):
            runner.run(receive(data or b"\0"))

    return once


def file(_: Path) -> Callable[[bytes], None]:
    """A file that is looked at; and an archive whose directory of parts it is, up to a NUL, and whose relationships."""
    from leadintake.adapters.documents.inspection import inspect

    def once(data: bytes) -> None:
        types, _, relations = data.partition(b"\0")
        packed = documents.archive({"[Content_Types].xml": types, "_rels/.rels": relations, "word/document.xml": b""})
        for content in (data, packed):
            finding = inspect(BytesIO(content))
            assert (finding.kind is None) == bool(finding.why)

    return once


def search(_: Path) -> Callable[[bytes], None]:
    """A search, and a cursor that nobody sealed."""
    from uuid import UUID

    from leadintake.application.ports.database import LeadQuery
    from leadintake.domain.errors import Invalid, Malformed
    from leadintake.domain.search import WORD_MAX_CHARACTERS, query_words, words
    from leadintake.entrypoints.http.cursor import unseal

    def once(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            unseal(text, LeadQuery(), UUID(int=1), [b"k" * 32])
        except Malformed:
            pass
        else:
            raise AssertionError("a cursor was made up")
        try:
            found = query_words(text)
        except Invalid:
            return
        assert words(" ".join(found)) == found
        assert all(0 < len(word) <= WORD_MAX_CHARACTERS for word in found)

    return once


def main(target: str, seconds: str, folder: Path) -> None:
    """Fuzz until the time is over; the first input that is not as declared ends the process with an error."""
    import atheris

    inputs, uploads, notes = folder / "inputs", folder / "uploads", folder / "looks.jsonl"
    for made in (inputs, uploads):
        made.mkdir(parents=True)
    for number, seed in enumerate(SEEDS[target]):
        (inputs / f"seed-{number}").write_bytes(seed)
    with atheris.instrument_imports(include=["leadintake", "multipart"]):
        once = {"form": form, "file": file, "search": search}[target](uploads)
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        once(data)
        count += 1
        if count >= WARM_UP and count % EVERY == 0:
            with notes.open("a") as log:
                log.write(json.dumps(look(count, len(list(uploads.iterdir())))) + "\n")

    limits = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-timeout={SLOWEST}", "-rss_limit_mb=1024"]
    atheris.Setup(["fuzz", *limits, f"-artifact_prefix={folder}/", str(inputs)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
