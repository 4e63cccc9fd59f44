"""ZIP archives (APPNOTE.TXT 4.3) and the XML inside them, read within limits.

zipfile does whatever work a file asks for: 5 MB of extra fields took it 0.7 s, 50,000 members 0.2 s. This trusts no
size, counts what it inflates, and opens only the members it is asked for.
"""

import codecs
import io
import struct
import zlib
from typing import NamedTuple
from xml.parsers import expat

from leadintake.adapters.documents.source import BLANK, Damaged, Source, Unfit

MEMBER = struct.Struct("<4s4xHH4xLLLHHH8xL")
LOCAL = struct.Struct("<4s22xHH")
END = struct.Struct("<4s6xHLLH")
COMMENT_MAX_BYTES = 0xFFFF
ENCRYPTED = 0x0001
STORED = 0
DEFLATED = 8

MEMBERS_MAX = 5_000
DIRECTORY_MAX_BYTES = 1024 * 1024
UNPACKED_MAX_BYTES = 256 * 1024 * 1024
XML_MAX_BYTES = 256 * 1024


class TooMuch(Unfit):
    """The archive holds far more than a resume does."""

    def __init__(self) -> None:
        super().__init__("unpacks to far more than a resume")


class _Member(NamedTuple):
    flags: int
    method: int
    checksum: int
    packed: int
    unpacked: int
    offset: int


class Archive:
    """The directory of a ZIP file, its names in lower case. Raises Damaged, TooMuch or struct.error."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._xml_bytes = 0
        self.members: dict[str, _Member] = {}
        start = max(0, source.size - END.size - COMMENT_MAX_BYTES)
        tail = source.read(start, source.size - start)
        end = tail.rfind(b"PK\5\6")
        if end < 0:
            raise Damaged
        _, count, length, offset, comment = END.unpack_from(tail, end)
        self.trailing = bool(tail[end + END.size + comment :].strip(BLANK))
        if count > MEMBERS_MAX or length > DIRECTORY_MAX_BYTES:
            raise TooMuch
        self._list(source.read(offset, length), count)
        if sum(member.unpacked for member in self.members.values()) > UNPACKED_MAX_BYTES:
            raise TooMuch

    def _list(self, directory: bytes, count: int) -> None:
        at = 0
        for _ in range(count):
            signature, *facts, name, extra, comment, offset = MEMBER.unpack_from(directory, at)
            at += MEMBER.size
            key = directory[at : at + name].decode("latin-1").lower()
            if signature != b"PK\1\2" or key in self.members:
                raise Damaged
            self.members[key] = _Member._make([*facts, offset])
            at += name + extra + comment

    def read(self, name: str, limit: int) -> bytes:
        """Unpack a member, at most `limit` bytes of it. Raises KeyError without it, Damaged or zlib.error."""
        member = self.members[name]
        signature, *lengths = LOCAL.unpack(self._source.read(member.offset, LOCAL.size))
        if signature != b"PK\3\4" or member.flags & ENCRYPTED or member.method not in {STORED, DEFLATED}:
            raise Damaged
        data = self._source.read(member.offset + LOCAL.size + sum(lengths), min(member.packed, 2 * limit))
        if member.method == DEFLATED:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
        if len(data) < limit and (len(data), zlib.crc32(data)) != (member.unpacked, member.checksum):
            raise Damaged
        if len(data) > member.unpacked:
            raise Damaged
        return data[:limit]

    def elements(self, name: str, *wanted: str) -> list[dict[str, str]]:
        """The attributes of the wanted elements in an XML member, namespaces aside.

        Raises Damaged for a document type declaration, which no office document has and entities need; TooMuch where
        more than 256 KiB of XML were asked for in all; ExpatError.
        """
        xml = self.read(name, XML_MAX_BYTES)
        self._xml_bytes += len(xml)
        if self._xml_bytes >= XML_MAX_BYTES:
            raise TooMuch
        found: list[dict[str, str]] = []

        def start(element: str, attributes: dict[str, str]) -> None:
            if element.rpartition(" ")[2] in wanted:
                found.append(attributes)

        def refuse(*_: object) -> None:
            raise Damaged

        wide = xml.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        parser = expat.ParserCreate("utf-16" if wide else "utf-8", " ")
        parser.StartElementHandler = start
        parser.StartDoctypeDeclHandler = refuse
        parser.ParseFile(io.BytesIO(xml))
        return found
