"""OLE compound files ([MS-CFB]): Word documents before 2007, and encrypted ones since.

olefile does whatever work a file asks for: the directory of one of 7 MB took it 0.75 s. This reads only the root's own
entries, within limits.
"""

import struct
from typing import NamedTuple

from leadintake.adapters.documents.source import Damaged, Source, Unfit
from leadintake.domain.resume import Finding, Flag, Kind

HEADER = struct.Struct("<30xH16xL16xL4x109L")
ENTRY = struct.Struct("<64sH2xLLL36xLL4x")
SECTOR_SHIFTS = (9, 12)
END_OF_CHAIN = 0xFFFFFFFE
DIRECTORY_MAX_BYTES = 1024 * 1024
MINI_STREAM_MAX_BYTES = 4095

WORD_FLAGS = struct.Struct("<10xH")
WORD_ENCRYPTED = 0x0100
"""[MS-DOC] 2.5.2, FibBase."""

OTHERS = {
    "workbook": "is a spreadsheet",
    "book": "is a spreadsheet",
    "powerpoint document": "is a presentation",
}


class _Entry(NamedTuple):
    name: bytes
    name_bytes: int
    left: int
    right: int
    child: int
    start: int
    size: int


class _Compound:
    """The file allocation table and the directory. Raises Damaged or struct.error where they make no sense."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shift, directory, more, *places = HEADER.unpack(source.read(0, HEADER.size))
        if self.shift not in SECTOR_SHIFTS:
            raise Damaged
        words = struct.Struct(f"<{1 << self.shift - 2}L")
        needed = 1 + source.size // (words.size << self.shift - 2)
        while len(places) < needed and more < END_OF_CHAIN:
            *others, more = words.unpack(self.sector(more))
            places += others
        taken = [place for place in places[:needed] if place < END_OF_CHAIN]
        self.table = [following for place in taken for following in words.unpack(self.sector(place))]
        sectors = self.chain(directory)[: DIRECTORY_MAX_BYTES >> self.shift]
        self.entries = [_Entry(*entry) for entry in ENTRY.iter_unpack(b"".join(map(self.sector, sectors)))]

    def sector(self, number: int) -> bytes:
        return self.source.read((number + 1) << self.shift, 1 << self.shift)

    def chain(self, start: int) -> list[int]:
        """The sectors of a stream, in order; raises Damaged when they run in a circle."""
        sectors: list[int] = []
        while start != END_OF_CHAIN:
            if len(sectors) == len(self.table):
                raise Damaged
            sectors.append(start)
            start = self.table[start]
        return sectors

    def root(self) -> dict[str, _Entry]:
        """What lies directly in the root, by name in lower case."""
        found: dict[int, _Entry] = {}
        waiting = [self.entries[0].child]
        while waiting:
            number = waiting.pop()
            if number < len(self.entries) and number not in found:
                found[number] = entry = self.entries[number]
                waiting += entry.left, entry.right
        return {
            entry.name[: entry.name_bytes].decode("utf-16-le").rstrip("\0").lower(): entry for entry in found.values()
        }


def read_compound(source: Source) -> Finding:
    """Take a Word document, or an encrypted package, which is a DOCX if its name says so; raise Unfit for others."""
    compound = _Compound(source)
    root = compound.root()
    if "encryptedpackage" in root:
        return Finding(Kind.DOCX, frozenset({Flag.ENCRYPTED}))
    if "worddocument" not in root:
        raise Unfit(next((why for name, why in OTHERS.items() if name in root), "is not a Word document"))
    flags: set[Flag] = set()
    word = root["worddocument"]
    if word.size > MINI_STREAM_MAX_BYTES:
        (bits,) = WORD_FLAGS.unpack_from(compound.sector(compound.chain(word.start)[0]))
        if bits & WORD_ENCRYPTED:
            flags.add(Flag.ENCRYPTED)
    if "macros" in root:
        flags.add(Flag.ACTIVE_CONTENT)
    if "objectpool" in root and root["objectpool"].child < END_OF_CHAIN:
        flags.add(Flag.EMBEDDED_FILE)
    return Finding(Kind.DOC, frozenset(flags))
