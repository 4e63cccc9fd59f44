"""Documents made in memory: small, and real enough for the programs that open them."""

import random
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO

TEXT = "Ada Lovelace, analyst and writer of notes"

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
WORD_WITH_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
MACROS = "application/vnd.ms-office.vbaProject"

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MANIFEST = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

Storage = Mapping[str, "bytes | Storage"]


def pdf(size: int | None = None, text: str = TEXT, *, objects: tuple[bytes, ...] = (), trailer: bytes = b"") -> bytes:
    """A page with a line of ASCII text, filled up with a stream to exactly `size` bytes.

    `objects` are further objects, numbered from 6; `trailer` is added to the trailer's dictionary.
    """
    line = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").encode("ascii")
    fixed = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F 5 0 R>>>> >>",
        pdf_stream(b"BT /F 12 Tf 72 720 Td (" + line + b") Tj ET"),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *objects,
    ]
    if size is None:
        return _pdf_file(fixed, trailer)
    missing = size - len(_pdf_file([*fixed, pdf_stream(b"")], trailer))
    if missing < 0:
        raise ValueError(f"A PDF cannot be as small as {size} bytes")
    return _pdf_file([*fixed, pdf_stream(random.Random(size).randbytes(missing))], trailer)


def pdf_stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object; its length has leading zeros, so that equal amounts of data make equal sizes."""
    return b"<< /Length %09d %s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def _pdf_file(objects: list[bytes], trailer: bytes) -> bytes:
    file = BytesIO()
    file.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    table = [b"0000000000 65535 f \n"]
    for number, content in enumerate(objects, 1):
        table.append(b"%010d 00000 n \n" % file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n%s" % (len(table), b"".join(table)))
    file.write(b"trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%010d\n%%%%EOF\n" % (len(table), trailer, start))
    return file.getvalue()


def archive(members: Mapping[str, bytes | str], *, stored: tuple[str, ...] = ()) -> bytes:
    """A ZIP file, deflated except for the members named in `stored`."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            method = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            target.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def package(main: str, parts: Mapping[str, bytes | str], types: Mapping[str, str]) -> bytes:
    """An Office package; `main` is its main part, `types` are the media types by part."""
    overrides = "".join(f'<Override PartName="/{part}" ContentType="{kind}"/>' for part, kind in types.items())
    return archive(
        {
            "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types">'
            f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>',
            "_rels/.rels": relationships(("officeDocument", main, "Internal")),
            **parts,
        }
    )


def relationships(*relations: tuple[str, str, str]) -> str:
    """A relationships part, made of (type, target, mode)."""
    items = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}" TargetMode="{mode}"/>'
        for number, (kind, target, mode) in enumerate(relations, 1)
    )
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{items}</Relationships>'


def docx(
    text: str = TEXT,
    *,
    body: str = "",
    parts: Mapping[str, bytes | str] | None = None,
    types: Mapping[str, str] | None = None,
    media_type: str = WORD,
) -> bytes:
    """A Word document of one paragraph; `body` is more of its text, `parts` and `types` are more of the package."""
    paragraphs = f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>{body}"
    document = f'{XML}<w:document xmlns:w="{WORDS}"><w:body>{paragraphs}</w:body></w:document>'
    main = "word/document.xml"
    return package(main, {main: document, **(parts or {})}, {main: media_type, **(types or {})})


def docm() -> bytes:
    """A Word document with macros."""
    return docx(
        parts={
            "word/vbaProject.bin": ole({"VBA": {"dir": b"macros"}}),
            "word/_rels/document.xml.rels": relationships(("vbaProject", "vbaProject.bin", "Internal")),
        },
        types={"word/vbaProject.bin": MACROS},
        media_type=WORD_WITH_MACROS,
    )


def xlsx() -> bytes:
    """What can be told to be a spreadsheet."""
    main = "xl/workbook.xml"
    return package(main, {main: XML + "<workbook/>"}, {main: SHEET})


def pptx() -> bytes:
    """What can be told to be a presentation."""
    main = "ppt/presentation.xml"
    return package(main, {main: XML + "<presentation/>"}, {main: SLIDES})


def odt(
    text: str = TEXT, *, kind: str = "text", manifest: str = "", members: Mapping[str, bytes | str] | None = None
) -> bytes:
    """An OpenDocument file of one paragraph; `manifest` stands in its manifest's entry for the content."""
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    names = "urn:oasis:names:tc:opendocument:xmlns"
    return archive(
        {
            "mimetype": media_type,
            "META-INF/manifest.xml": f'{XML}<m:manifest xmlns:m="{MANIFEST}" m:version="1.3">'
            f'<m:file-entry m:full-path="/" m:media-type="{media_type}"/>'
            f'<m:file-entry m:full-path="content.xml" m:media-type="text/xml">{manifest}</m:file-entry></m:manifest>',
            "content.xml": f'{XML}<o:document-content xmlns:o="{names}:office:1.0" xmlns:t="{names}:text:1.0" '
            f'o:version="1.3"><o:body><o:text><t:p>{text}</t:p></o:text></o:body></o:document-content>',
            **(members or {}),
        },
        stored=("mimetype",),
    )


def rtf(text: str = TEXT) -> bytes:
    """A rich text of one ASCII paragraph."""
    return b"{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Arial;}}\n\\f0\\fs24 " + text.encode("ascii") + b"\\par\n}"


def doc(*, encrypted: bool = False, beside: Storage | None = None) -> bytes:
    """The frame of a Word document before 2007, with streams and storages `beside` its text."""
    fib = struct.pack("<6H", 0xA5EC, 0x00C1, 0, 0x0409, 0, 0x1000 | encrypted << 8)
    return ole({"WordDocument": fib, "1Table": b"", **(beside or {})})


def xls() -> bytes:
    """The frame of a spreadsheet before 2007."""
    return ole({"Workbook": b"\x09\x08"})


def ppt() -> bytes:
    """The frame of a presentation before 2007."""
    return ole({"PowerPoint Document": b"", "Current User": b""})


def encrypted_docx() -> bytes:
    """The frame that Office puts around an encrypted package."""
    return ole({"EncryptionInfo": b"\4\0\4\0", "EncryptedPackage": random.Random(1).randbytes(5_000)})


FREE, END, TABLE, MORE_TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
SECTOR_BYTES = 512


def ole(root: Storage) -> bytes:
    """An OLE compound file of at most 14 MB; its streams are filled up with NUL to at least 4,096 bytes."""
    sectors = bytearray()
    table: list[int] = []
    entries = [b""]

    def store(content: bytes) -> int:
        first = len(table)
        sectors.extend(content + bytes(-len(content) % SECTOR_BYTES))
        table.extend((*range(first + 1, len(sectors) // SECTOR_BYTES), END))
        return first

    def enter(storage: Storage) -> int:
        names = sorted(storage, key=lambda name: (len(name), name.upper()))
        first = len(entries)
        entries.extend([b""] * len(names))
        for number, name in enumerate(names, first):
            right = FREE if name == names[-1] else number + 1
            content = storage[name]
            if isinstance(content, bytes):
                stream = content.ljust(4_096, b"\0")
                entries[number] = _ole_entry(name, 2, right, (FREE, store(stream), len(stream)))
            else:
                entries[number] = _ole_entry(name, 1, right, (enter(content), 0, 0))
        return first if names else FREE

    entries[0] = _ole_entry("Root Entry", 5, FREE, (enter(root), END, 0))
    directory = store(b"".join(entries))
    used = len(table)
    places = range(used, used + 1 + used // 126)
    spilt = places[109:]
    table.extend([TABLE] * len(places) + [MORE_TABLE] * bool(spilt))
    table.extend([FREE] * (128 * len(places) - len(table)))
    header = struct.pack("<8s16xHHHHH6x", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6)
    chain = (places.stop, 1) if spilt else (END, 0)
    header += struct.pack("<9L", 0, len(places), directory, 0, 4_096, END, 0, *chain)
    header += struct.pack("<109L", *places[:109], *[FREE] * (109 - len(places)))
    more = struct.pack("<128L", *spilt, *[FREE] * (127 - len(spilt)), END) if spilt else b""
    return header + sectors + struct.pack(f"<{len(table)}L", *table) + more


def _ole_entry(name: str, kind: int, right: int, content: tuple[int, int, int]) -> bytes:
    child, start, size = content
    encoded = name.encode("utf-16-le") + b"\0\0"
    return struct.pack("<64sHBBLLL36xLQ", encoded, len(encoded), kind, 1, FREE, right, child, start, size)
