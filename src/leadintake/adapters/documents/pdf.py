"""PDF (ISO 32000-2): names are looked for in the whole file and in its object streams; no reference is followed."""

import re
import zlib
from collections.abc import Iterator

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

END_OF_NAME = rb"(?![^\0\t\n\f\r ()<>\[\]{}/%])"
NAME = re.compile(rb"/([A-Za-z0-9#]{5,60}+)" + END_OF_NAME)
"""A name as long as those above may be, also with every character escaped. One pass over the file finds them all."""

ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
NAMES_MAX = 2_000

MATCHES_MAX = 200_000
"""Each takes a third of a microsecond. What is no name takes less, be it as dense as it may."""

ENCRYPTION = b"Encrypt"
OBJECT_STREAM = b"ObjStm"
TYPE_OF_OBJECT_STREAM = re.compile(b"/" + OBJECT_STREAM + END_OF_NAME)
STREAM = re.compile(rb">>[\0\s]*+stream[\0\s]*+")
REST_OF_DICTIONARY_MAX_BYTES = 2_000
COMMENT_OR_STRING = re.compile(rb"[%(]")
"""In one of these the words could stand before something harmless."""

FILTER = re.compile(b"Filter|#")
FILTER_BEFORE_TYPE_BYTES = 200

NUMBERS = re.compile(rb"[\0\s]*+\d++[\0\s]++\d")
"""What an object stream begins with, if anything is in it. What is packed once more does not."""

OBJECT_STREAMS_MAX = 1024
"""A hundred objects lie in each, as most writers have it."""

OBJECT_STREAMS_MAX_BYTES = 2 * 1024 * 1024
"""In all, as they are packed and as they are inflated."""

PACKED_BYTES = 16 * 1024
ZLIB_HEADER_BYTES = 2
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
    names = {ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), name) for name in names}
    if OBJECT_STREAM in names:  # Nobody escapes it but whoever hides it.
        raise Tangled
    return names


def _names(source: Source) -> Iterator[set[bytes]]:
    """The names in each piece of the file, then those in its object streams: newer writers keep most of them there.

    Those of an encrypted file are noise, and what is flagged says already that nobody can tell what is in it.
    """
    starts: list[int] = []
    is_encrypted = False
    matches = 0
    for at, chunk in source.chunks():
        found = NAME.findall(chunk)
        matches = _counted(matches + len(found))
        yield set(found)
        is_encrypted = is_encrypted or ENCRYPTION in found
        if OBJECT_STREAM in found:
            offsets = (match.start() for match in TYPE_OF_OBJECT_STREAM.finditer(chunk))
            starts += [at + offset for offset in offsets if offset < CHUNK_BYTES]
    try:
        for text in _object_streams(source, starts):
            found = NAME.findall(text)
            matches = _counted(matches + len(found))
            yield set(found)
    except (Tangled, zlib.error):
        if not is_encrypted:
            raise Tangled from None


def _counted(matches: int) -> int:
    if matches > MATCHES_MAX:
        raise Tangled
    return matches


def _object_streams(source: Source, starts: list[int]) -> Iterator[bytearray]:
    """What is in the object streams whose types stand there.

    Raises Tangled or zlib.error where one does not inflate to what it should be, or all of them are too much. A wrong
    checksum keeps nobody from showing what is in it, so it is not looked at.
    """
    if len(starts) > OBJECT_STREAMS_MAX:
        raise Tangled
    room = OBJECT_STREAMS_MAX_BYTES
    for start in starts:
        text, inflating = bytearray(), zlib.decompressobj(-zlib.MAX_WBITS)
        before = min(start, FILTER_BEFORE_TYPE_BYTES)
        packed = source.read(start - before, PACKED_BYTES)
        stream = STREAM.search(packed, before, before + REST_OF_DICTIONARY_MAX_BYTES)
        if not stream or COMMENT_OR_STRING.search(packed, before, stream.start()):
            raise Tangled
        begin = stream.end()
        if NUMBERS.match(packed, begin) and not FILTER.search(packed, 0, begin):
            continue  # It was never packed, so its names were among the file's.
        packed = packed[begin + ZLIB_HEADER_BYTES :]
        at = start - before + PACKED_BYTES
        while packed and room > 0:
            piece = inflating.decompress(packed, room)
            room -= len(packed) - len(inflating.unused_data) + len(piece)
            text += piece
            packed = b"" if inflating.eof else source.read(at, PACKED_BYTES)
            at += PACKED_BYTES
        if not inflating.eof or (text and not NUMBERS.match(text)):
            raise Tangled
        yield text


def _ending(source: Source) -> Iterator[Flag]:
    for at in range(source.size // CHUNK_BYTES * CHUNK_BYTES, -1, -CHUNK_BYTES):
        mark = source.read(at, CHUNK_BYTES + OVERLAP_BYTES).rfind(END_MARK)
        if mark >= 0:
            if source.trails(at + mark + len(END_MARK)):
                yield Flag.TRAILING_DATA
            return
    yield Flag.NO_END_MARK
