"""PDF (ISO 32000-2): names are looked for in the whole file and in its object streams; no reference is followed."""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from leadintake.adapters.documents.source import BLANK, CHUNK_BYTES, OVERLAP_BYTES, Damaged, Source
from leadintake.domain.resume import Finding, Flag, Kind

FLAGS = {
    b"/Encrypt": Flag.ENCRYPTED,
    b"/EmbeddedFile": Flag.EMBEDDED_FILE,
    b"/EmbeddedFiles": Flag.EMBEDDED_FILE,
    b"/GoToE": Flag.ACTIVE_CONTENT,
    b"/GoToR": Flag.ACTIVE_CONTENT,
    b"/ImportData": Flag.ACTIVE_CONTENT,
    b"/JavaScript": Flag.ACTIVE_CONTENT,
    b"/Launch": Flag.ACTIVE_CONTENT,
    b"/RichMedia": Flag.ACTIVE_CONTENT,
    b"/SubmitForm": Flag.ACTIVE_CONTENT,
}
"""Without /OpenAction, which mostly opens a page, and /JS, which needs /JavaScript beside it and occurs by chance."""

NAME = re.compile(
    b"/(?:"
    + b"|".join(name[1:] for name in FLAGS)
    + rb"|[A-Za-z]{0,12}#[0-9A-Fa-f]{2}[A-Za-z0-9#]{0,40}+)(?![^\0\t\n\f\r ()<>\[\]{}/%])"
)
ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")

SLASHES_MAX = 200_000
NAMES_MAX = 2_000
OBJECT_STREAM = b"/ObjStm"
OBJECT_STREAMS_MAX = 256
OBJECT_STREAM_PACKED_MAX_BYTES = 64 * 1024
OBJECT_STREAMS_INFLATED_MAX_BYTES = 1024 * 1024
END_MARK = b"%%EOF"
HEAD_BYTES = 2048
"""Twice as far as a header may begin."""


def read_pdf(source: Source) -> Finding:
    """Take what begins as a PDF; raise Damaged where nothing follows the version in its header."""
    version_and_more = source.read(0, HEAD_BYTES).partition(b"%PDF-")[2].strip(BLANK)
    if len(version_and_more.split(maxsplit=1)) < 2:  # noqa: PLR2004
        raise Damaged
    flags = set(_ending(source))
    names: set[bytes] = set()
    slashes = 0
    for text in _texts(source):
        slashes += text.count(b"/")
        if slashes > SLASHES_MAX or len(names) > NAMES_MAX:
            flags.add(Flag.ACTIVE_CONTENT)  # made to tire whoever looks through it
            break
        names.update(NAME.findall(text))
    for name in islice(names, NAMES_MAX):
        plain = ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), name)
        if plain in FLAGS:
            flags.add(FLAGS[plain])
    return Finding(Kind.PDF, frozenset(flags))


def _texts(source: Source) -> Iterator[bytes]:
    """The file in pieces, then what its object streams hold, up to a limit: newer writers keep most names in those."""
    starts: set[int] = set()
    for at, chunk in source.chunks():
        yield chunk
        found = chunk.find(OBJECT_STREAM)
        while found >= 0 and len(starts) < OBJECT_STREAMS_MAX:
            starts.add(at + found)
            found = chunk.find(OBJECT_STREAM, found + 1)
    room = OBJECT_STREAMS_INFLATED_MAX_BYTES
    for start in sorted(starts):
        packed = source.read(start, OBJECT_STREAM_PACKED_MAX_BYTES).partition(b"stream")[2].lstrip(b"\r\n")
        with suppress(zlib.error):
            text = zlib.decompressobj().decompress(packed, room)
            room -= len(text)
            yield text
        if room <= 0:
            break


def _ending(source: Source) -> Iterator[Flag]:
    for at in range(source.size // CHUNK_BYTES * CHUNK_BYTES, -1, -CHUNK_BYTES):
        mark = source.read(at, CHUNK_BYTES + OVERLAP_BYTES).rfind(END_MARK)
        if mark >= 0:
            if source.trails(at + mark + len(END_MARK)):
                yield Flag.TRAILING_DATA
            return
    yield Flag.NO_END_MARK
