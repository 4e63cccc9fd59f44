"""PDF (ISO 32000-2): names are looked for in the whole file and in its object streams; no reference is followed."""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

from leadintake.adapters.documents.source import BLANK, CHUNK_BYTES, OVERLAP_BYTES, Damaged, Source
from leadintake.domain.resume import Finding, Flag, Kind

FLAGS = {
    b"Encrypt": Flag.ENCRYPTED,
    b"EmbeddedFile": Flag.EMBEDDED_FILE,
    b"EmbeddedFiles": Flag.EMBEDDED_FILE,
    b"GoToE": Flag.ACTIVE_CONTENT,
    b"GoToR": Flag.ACTIVE_CONTENT,
    b"ImportData": Flag.ACTIVE_CONTENT,
    b"JavaScript": Flag.ACTIVE_CONTENT,
    b"Launch": Flag.ACTIVE_CONTENT,
    b"RichMedia": Flag.ACTIVE_CONTENT,
    b"SubmitForm": Flag.ACTIVE_CONTENT,
}
"""Without OpenAction, which mostly opens a page, and JS, which needs JavaScript beside it and occurs by chance."""

NAME = re.compile(rb"/([A-Za-z0-9#]{5,60}+)(?![^\0\t\n\f\r ()<>\[\]{}/%])")
"""A name as long as those above may be, also with every character escaped. One pass over the file finds them all."""

ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
NAMES_MAX = 2_000

MATCHES_MAX = 200_000
"""Each takes a third of a microsecond. What is no name takes less, be it as dense as it may."""

OBJECT_STREAM = b"ObjStm"
OBJECT_STREAMS_MAX = 256
OBJECT_STREAM_PACKED_MAX_BYTES = 64 * 1024
OBJECT_STREAMS_INFLATED_MAX_BYTES = 1024 * 1024
END_MARK = b"%%EOF"
HEAD_BYTES = 2048
"""Twice as far as a header may begin."""


class Tangled(Exception):
    """The file was made to tire whoever looks through it."""


def read_pdf(source: Source) -> Finding:
    """Take what begins as a PDF; raise Damaged where nothing follows the version in its header."""
    version_and_more = source.read(0, HEAD_BYTES).partition(b"%PDF-")[2].strip(BLANK)
    if len(version_and_more.split(maxsplit=1)) < 2:  # noqa: PLR2004
        raise Damaged
    flags = set(_ending(source))
    try:
        flags |= {FLAGS[name] for name in _telling(source) & FLAGS.keys()}
    except Tangled:
        flags.add(Flag.ACTIVE_CONTENT)
    return Finding(Kind.PDF, frozenset(flags))


def _telling(source: Source) -> set[bytes]:
    """The names that may be among FLAGS, unescaped; raises Tangled."""
    names: set[bytes] = set()
    for found in _names(source):
        names |= {name for name in found if name in FLAGS or b"#" in name}
        if len(names) > NAMES_MAX:
            raise Tangled
    return {ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), name) for name in names}


def _names(source: Source) -> Iterator[set[bytes]]:
    """The names in each piece of the file, then those in its object streams: newer writers keep most of them there."""
    starts: list[int] = []
    matches = 0
    for at, chunk in source.chunks():
        found = NAME.findall(chunk)
        matches += len(found)
        if matches > MATCHES_MAX:
            raise Tangled
        yield set(found)
        if OBJECT_STREAM in found and len(starts) < OBJECT_STREAMS_MAX:
            starts += [at + match.start() for match in re.finditer(OBJECT_STREAM, chunk)]
    room = OBJECT_STREAMS_INFLATED_MAX_BYTES
    for start in starts[:OBJECT_STREAMS_MAX]:
        packed = source.read(start, OBJECT_STREAM_PACKED_MAX_BYTES).partition(b"stream")[2].lstrip(b"\r\n")
        with suppress(zlib.error):
            text = zlib.decompressobj().decompress(packed, room)
            room -= len(text)
            yield set(NAME.findall(text))
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
