import io
import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import documents

from leadintake.adapters.documents.inspection import inspect
from leadintake.domain.resume import Finding, Flag, Kind

DOCUMENTS = {
    Kind.PDF: documents.pdf(),
    Kind.DOC: documents.doc(),
    Kind.DOCX: documents.docx(),
    Kind.ODT: documents.odt(),
    Kind.RTF: documents.rtf(),
    Kind.TXT: b"Ada Lovelace\r\n\tAnalyst\f",
}
EXTERNAL = "External"
INTERNAL = "Internal"


def look(content: bytes) -> Finding:
    """What is found in the bytes."""
    return inspect(io.BytesIO(content))


def flags(content: bytes) -> set[Flag]:
    """The flags of a file that is taken."""
    finding = look(content)
    assert finding.kind is not None, finding.why
    return set(finding.flags)


def related(kind: str, target: str, mode: str = INTERNAL) -> bytes:
    """A Word document whose main part has one relationship."""
    return documents.docx(parts={"word/_rels/document.xml.rels": documents.relationships((kind, target, mode))})


def with_action(action: bytes) -> bytes:
    """A PDF with one more object."""
    return documents.pdf(objects=(b"<< /Type /Action /S " + action + b" >>",))


SCRIPT = b"7 0 << /S /JavaScript /JS (app.alert(1)) >>"
HARMLESS = b"7 0 8 30 << /Type /Font /BaseFont /Helvetica >> << /Type /StructElem /S /P /K [1 2 3 4 5] >> "


def object_stream(packed: bytes, filters: bytes = b"/FlateDecode") -> bytes:
    """A stream of compressed objects."""
    return documents.pdf_stream(packed, b"/Type /ObjStm /N 1 /First 4 /Filter " + filters)


def replaced(name: str, change: Callable[[str], str | bytes]) -> bytes:
    """A Word document with one member changed."""
    with zipfile.ZipFile(io.BytesIO(documents.docx())) as source:
        members = {info.filename: source.read(info).decode() for info in source.infolist()}
    return documents.archive({**members, name: change(members[name])})


def patched(content: bytes, signature: bytes, offset: int, layout: str, value: int) -> bytes:
    """The file with a number changed in every structure that begins with the signature."""
    changed = bytearray(content)
    at = changed.find(signature)
    while at >= 0:
        struct.pack_into(layout, changed, at + offset, value)
        at = changed.find(signature, at + 4)
    return bytes(changed)


@pytest.mark.attack(102)
@pytest.mark.parametrize("kind", Kind)
def test_a_plain_document_is_told_by_its_content(kind: Kind) -> None:
    """Every kind is recognised, and a harmless document has no flag."""
    assert look(DOCUMENTS[kind]) == Finding(kind)


@pytest.mark.asvs("V5.2.2")
@pytest.mark.attack(84, 92, 93)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (documents.docm(), "is a macro-enabled Word document"),
        (documents.docx(media_type=documents.WORD_WITH_MACROS), "is a macro-enabled Word document"),
        (
            documents.docx(media_type="application/vnd.ms-word.template.macroEnabledTemplate.main+xml"),
            "is a macro-enabled Word document",
        ),
        (
            documents.docx(parts={"word/x.dat": b""}, types={"word/x.dat": documents.MACROS}),
            "is a macro-enabled Word document",
        ),
        (documents.docx(parts={"word/vbaProject.bin": b""}), "is a macro-enabled Word document"),
        (documents.docx(media_type=documents.WORD.replace("document.main", "template.main")), "is not a Word document"),
        (documents.xlsx(), "is a spreadsheet"),
        (documents.pptx(), "is a presentation"),
        (documents.xls(), "is a spreadsheet"),
        (documents.ppt(), "is a presentation"),
        (documents.ole({"__properties_version1.0": b""}), "is not a Word document"),
        (documents.ole({"Book": b"", "Embedded": {"WordDocument": b""}}), "is a spreadsheet"),
        (documents.odt(kind="spreadsheet"), "is a spreadsheet"),
        (documents.odt(kind="presentation"), "is a presentation"),
        (documents.odt(kind="graphics"), "is not a text document"),
        (documents.archive({"cv.pdf": documents.pdf()}), "is a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(32), "is an image"),
        (b"\xff\xd8\xff\xe0" + bytes(32), "is an image"),
        (b"GIF89a" + bytes(32), "is an image"),
        (b"MZ\x90\0\3\0", "is neither a document nor plain text"),
        (b"\x7fELF\2\1\1\0", "is neither a document nor plain text"),
        (b"#!/bin/sh\nrm -rf /\n", "is a web page or a script"),
        (b"\n <!DOCTYPE html><p>", "is a web page or a script"),
        (b"\xef\xbb\xbf<HTML>", "is a web page or a script"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is a web page or a script"),
        (b"<?php phpinfo();", "is a web page or a script"),
        (b"<script>alert(1)</script>", "is a web page or a script"),
        (b"", "is empty of content"),
        (bytes(300_000), "is empty of content"),
        (b"\xef\xbb\xbf \r\n", "is empty of content"),
        (b"caf\xe9", "is neither a document nor plain text"),
        ("caf\u0085".encode(), "is neither a document nor plain text"),
        ("Ada".encode("utf-16"), "is neither a document nor plain text"),
        (b"bell\a", "is neither a document nor plain text"),
        (b"a" * 300_000 + b"\0", "is neither a document nor plain text"),
        (b"a" * 300_000 + b"\xe2\x82", "is neither a document nor plain text"),
    ],
)
def test_what_is_no_resume_is_named(content: bytes, why: str) -> None:
    """A file of no accepted kind has none, and the finding says what it is instead."""
    assert look(content) == Finding(None, why=why)


@pytest.mark.asvs("V5.2.2")
@pytest.mark.attack(82)
@pytest.mark.parametrize("kind", [Kind.DOC, Kind.DOCX, Kind.ODT, Kind.RTF])
def test_a_beginning_alone_is_no_document(kind: Kind) -> None:
    """A file that has only the first bytes of its format is refused."""
    for length in (1, 4, 5, 8, 16):
        finding = look(DOCUMENTS[kind][:length])

        assert finding.kind in {None, Kind.TXT}


@pytest.mark.attack(86)
@pytest.mark.parametrize("junk", [1, 1_000, 1_019])
def test_a_pdf_may_begin_late(junk: int) -> None:
    """The header of a PDF counts when it lies in the first 1,024 bytes."""
    assert look(b"\xff" * junk + documents.pdf()).kind is Kind.PDF


@pytest.mark.attack(86)
def test_a_pdf_that_begins_too_late_is_none() -> None:
    """Past 1,024 bytes the header of a PDF is no longer looked for."""
    assert look(b"\xff" * 1_020 + documents.pdf()).kind is None
    assert look(b"\xff" * 2_000 + documents.pdf()).kind is None


@pytest.mark.attack(87)
def test_a_byte_order_mark_does_no_harm() -> None:
    """Some programs put one before a PDF or a text."""
    assert look(b"\xef\xbb\xbf" + documents.pdf()) == Finding(Kind.PDF)
    assert look("\ufeffAda Lovelace".encode()) == Finding(Kind.TXT)


def test_a_text_is_read_across_borders() -> None:
    """A character may lie across the border of two pieces that are read."""
    assert look(b"a" + "é".encode() * 400_000) == Finding(Kind.TXT)


@pytest.mark.attack(87, 89)
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (documents.pdf(500_000), set()),
        (documents.pdf().replace(b"%%EOF", b""), {Flag.NO_END_MARK}),
        (documents.pdf() + bytes(20_000), set()),
        (documents.pdf() + bytes(600_000), set()),
        (documents.pdf() + b"<script>alert(1)</script>", {Flag.TRAILING_DATA}),
        (documents.pdf() + bytes(600_000) + b"x", {Flag.TRAILING_DATA}),
        (documents.pdf(trailer=b"/Encrypt 6 0 R "), {Flag.ENCRYPTED}),
        (documents.pdf(trailer=b"/#45ncrypt<</V 4>>"), {Flag.ENCRYPTED}),
        (documents.pdf(trailer=b"/EncryptMetadata true "), set()),
        (with_action(b"/JavaScript /JS (app.alert(1))"), {Flag.ACTIVE_CONTENT}),
        (with_action(b"/J#61vaScript/JS(app.alert(1))"), {Flag.ACTIVE_CONTENT}),
        (with_action(b"".join(b"#%02x" % c for c in b"JavaScript").join([b"/", b" "])), {Flag.ACTIVE_CONTENT}),
        (with_action(b"/Launch /F (calc.exe)"), {Flag.ACTIVE_CONTENT}),
        (with_action(b"/GoToR /F (\\\\host\\x.pdf)"), {Flag.ACTIVE_CONTENT}),
        (with_action(b"/GoTo /D [3 0 R /Fit]"), set()),
        (with_action(b"/URI /URI (https://example.org/)"), set()),
        (with_action(b"/Launched"), set()),
        (documents.pdf(objects=(b"<< /Names << /EmbeddedFiles 7 0 R >> >>",)), {Flag.EMBEDDED_FILE}),
        (documents.pdf(objects=(documents.pdf_stream(b"x", b"/Type /EmbeddedFile"),)), {Flag.EMBEDDED_FILE}),
        (documents.pdf(400_000, objects=(b"<< /S /Launch >>",)), {Flag.ACTIVE_CONTENT}),
    ],
)
def test_a_pdf_is_taken_and_flagged(content: bytes, expected: set[Flag]) -> None:
    """What is worth knowing about a PDF is a flag, never a refusal."""
    assert flags(content) == expected


def test_a_name_across_a_border_is_seen() -> None:
    """A name that lies across two pieces that are read is found all the same."""
    start = documents.pdf()
    for shift in range(12):
        content = start + b" " * (256 * 1024 - len(start) - shift) + b"/JavaScript "

        assert Flag.ACTIVE_CONTENT in flags(content)


@pytest.mark.attack(89)
def test_the_names_in_object_streams_count() -> None:
    """Newer PDFs keep their objects in compressed streams, which are looked into."""
    assert flags(documents.pdf(objects=(object_stream(zlib.compress(SCRIPT)),))) == {Flag.ACTIVE_CONTENT}


@pytest.mark.attack(89)
@pytest.mark.parametrize(
    "objects",
    [
        (object_stream(zlib.compress(SCRIPT)[:-4] + bytes(4)),),
        (object_stream(zlib.compress(SCRIPT).hex().encode() + b">", b"[/ASCIIHexDecode /FlateDecode]"),),
        (object_stream(zlib.compress(zlib.compress(SCRIPT)), b"[/FlateDecode /FlateDecode]"),),
        (*(object_stream(zlib.compress(HARMLESS)) for _ in range(2_000)), object_stream(zlib.compress(SCRIPT))),
        (b"/ObjStm stream\n" * 256, object_stream(zlib.compress(SCRIPT))),
        (b"/ObjStm stream\n" + zlib.compress(SCRIPT),),
        (object_stream(b" " * 20_000 + zlib.compress(SCRIPT).hex().encode(), b"/ASCIIHexDecode"),),
        (object_stream(zlib.compress(bytes(100_000_000))), object_stream(zlib.compress(SCRIPT))),
        (object_stream(zlib.compress(b"7 0 " + b" " * 100_000_000 + SCRIPT)),),
        (object_stream(zlib.compress(SCRIPT), b"/FlateDecode /X (" + b" " * 100_000 + b")"),),
        (object_stream(zlib.compress(SCRIPT)).replace(b"/ObjStm", b"/Obj#53tm"),),
        (object_stream(zlib.compress(HARMLESS)[:-20]),),
        (object_stream(b"7 0 " + zlib.compress(SCRIPT), b"/ASCII85Decode"),),
        (object_stream(b"7 0 " + zlib.compress(SCRIPT)).replace(b"/Filter", b"/F#69lter"),),
        (documents.pdf_stream(b"7 0 " + zlib.compress(SCRIPT), b"/Filter /ASCII85Decode /Type /ObjStm"),),
        (object_stream(zlib.compress(SCRIPT), b"/FlateDecode % >>stream\n" + zlib.compress(HARMLESS) + b"\n"),),
    ],
    ids=[
        "wrong checksum",
        "in hexadecimal",
        "packed twice",
        "behind others",
        "behind what is none",
        "without a dictionary",
        "behind blanks",
        "behind a bomb",
        "in a bomb",
        "long dictionary",
        "escaped name",
        "cut short",
        "as if it were not packed",
        "with an escaped filter",
        "with the filter before the type",
        "behind a comment",
    ],
)
def test_an_object_stream_that_cannot_be_looked_through_counts(objects: tuple[bytes, ...]) -> None:
    """What hides there from us, or may, is active content."""
    assert flags(documents.pdf(objects=objects)) == {Flag.ACTIVE_CONTENT}


@pytest.mark.parametrize(
    "objects",
    [
        (object_stream(zlib.compress(HARMLESS)),) * 500,
        (object_stream(zlib.compress(HARMLESS * 15_000)),),
        (object_stream(zlib.compress(HARMLESS)).replace(b"stream\n", b"stream \r\n", 1),),
        (object_stream(zlib.compress(b"")),),
        (documents.pdf_stream(HARMLESS, b"/Type /ObjStm /N 2 /First 8"),),
        (b"(ObjStm)", b"<< /ObjStms 1 >>"),
    ],
    ids=["many", "large", "blank before its end of line", "empty", "not packed", "others"],
)
def test_an_object_stream_without_harm(objects: tuple[bytes, ...]) -> None:
    """As many and as large ones as long documents have are looked through."""
    assert flags(documents.pdf(objects=objects)) == set()


def test_the_object_streams_of_an_encrypted_pdf_are_noise() -> None:
    """They tell nothing, and their flag says that already."""
    noise = object_stream(random.Random(1).randbytes(500))

    assert flags(documents.pdf(objects=(noise,), trailer=b"/Encrypt 6 0 R ")) == {Flag.ENCRYPTED}


@pytest.mark.attack(91, 98)
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (related("hyperlink", "https://example.org/", EXTERNAL), set()),
        (related("attachedTemplate", "https://example.org/x.dotm", EXTERNAL), {Flag.ACTIVE_CONTENT}),
        (related("attachedTemplate", r"file:///\\host\x.dotm", EXTERNAL), {Flag.ACTIVE_CONTENT}),
        (related("attachedTemplate", "file:///C:/Users/ada/cv.dotx", EXTERNAL), set()),
        (related("attachedTemplate", "Resume%20Template.dotx", EXTERNAL), set()),
        (related("oleObject", "embeddings/oleObject1.bin"), {Flag.EMBEDDED_FILE}),
        (related("package", "embeddings/sheet.xlsx"), {Flag.EMBEDDED_FILE}),
        (related("control", "activeX/activeX1.xml"), {Flag.ACTIVE_CONTENT}),
        (related("image", "media/photo.png"), set()),
        (documents.docx(body="<w:p><w:instrText> DDEAUTO c:\\cmd</w:instrText></w:p>"), {Flag.ACTIVE_CONTENT}),
        (documents.docx(body='<w:fldSimple w:instr="DDE cmd"/>'), {Flag.ACTIVE_CONTENT}),
        (documents.docx("I know DDE and instrText"), set()),
        (documents.docx() + bytes(512), set()),
        (documents.docx() + b"more", {Flag.TRAILING_DATA}),
        (documents.encrypted_docx(), {Flag.ENCRYPTED}),
        (documents.doc(encrypted=True), {Flag.ENCRYPTED}),
        (documents.doc(beside={"Macros": {"VBA": {"dir": b""}}}), {Flag.ACTIVE_CONTENT}),
        (documents.doc(beside={"ObjectPool": {"_1": {"Package": b""}}}), {Flag.EMBEDDED_FILE}),
        (documents.doc(beside={"ObjectPool": {}}), set()),
        (documents.odt(manifest="<m:encryption-data/>"), {Flag.ENCRYPTED}),
        (documents.odt(members={"Basic/Standard/Module1.xml": ""}), {Flag.ACTIVE_CONTENT}),
        (documents.odt(members={"Object 1/content.xml": ""}), {Flag.EMBEDDED_FILE}),
        (documents.rtf() + b"\0\r\n", set()),
        (documents.rtf() + b"MZ", {Flag.TRAILING_DATA}),
        (documents.rtf(r"{\object{\*\objdata 01}}"), {Flag.EMBEDDED_FILE}),
        (documents.rtf(r"{\*\template http://example.org/x}"), {Flag.ACTIVE_CONTENT}),
    ],
)
def test_an_office_document_is_taken_and_flagged(content: bytes, expected: set[Flag]) -> None:
    """What is worth knowing about an office document is a flag, never a refusal."""
    assert flags(content) == expected


@pytest.mark.attack(91)
def test_an_encrypted_package_counts_as_docx() -> None:
    """What is inside an encrypted package cannot be told, so its name has the say."""
    assert look(documents.encrypted_docx()).kind is Kind.DOCX


@pytest.mark.parametrize("size", [5_000_000, 9_000_000])
def test_a_large_word_document_is_followed(size: int) -> None:
    """Above 7 MB the table of an OLE file no longer fits its header and continues in a chain of sectors."""
    assert flags(documents.doc(encrypted=True, beside={"Data": bytes(size)})) == {Flag.ENCRYPTED}


@pytest.mark.attack(88)
def test_a_polyglot_is_what_a_viewer_would_open() -> None:
    """A file that is a PDF and something else as well is a PDF, and says that more follows."""
    zipped = documents.archive({"x.js": "alert(1)"})

    assert look(b"GIF89a" + documents.pdf()).kind is Kind.PDF
    assert look(b"<script>/*" + documents.pdf() + b"*/</script>").kind is Kind.PDF
    assert look(documents.pdf() + zipped) == Finding(Kind.PDF, frozenset({Flag.TRAILING_DATA}))


@pytest.mark.asvs("V1.5.1")
@pytest.mark.attack(97)
@pytest.mark.parametrize("part", ["[Content_Types].xml", "_rels/.rels"])
@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE t>",
        '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE t SYSTEM "http://example.org/x.dtd">',
        "<!DOCTYPE t [" + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 40)) + "]>",
    ],
)
def test_a_document_type_declaration_is_refused(part: str, declaration: str) -> None:
    """No office document has one, and without one there are no entities to expand or fetch."""
    content = replaced(part, lambda xml: xml.replace("?>", f"?>{declaration}"))

    assert look(content) == Finding(None, why="is damaged")


def test_the_main_part_may_be_anywhere() -> None:
    """A Word document is found by its relationship and media type, not by the usual name."""
    content = documents.package("a/b c.xml", {"a/b c.xml": "<w/>"}, {"a/b c.xml": documents.WORD})

    assert look(content) == Finding(Kind.DOCX)


def test_utf_16_is_xml_as_well() -> None:
    """Office documents may be in UTF-8 or UTF-16."""
    content = replaced("[Content_Types].xml", lambda xml: xml.replace("UTF-8", "UTF-16").encode("utf-16"))

    assert look(content) == Finding(Kind.DOCX)


@pytest.mark.attack(95)
@pytest.mark.parametrize(
    "content",
    [
        documents.docx()[:-30],
        documents.docx()[:200],
        patched(documents.docx(), b"PK\1\2", 8, "<H", 1),
        patched(documents.docx(), b"PK\1\2", 10, "<H", 99),
        patched(documents.docx(), b"PK\1\2", 16, "<L", 12_345),
        patched(documents.docx(), b"PK\1\2", 20, "<L", 5),
        patched(documents.docx(), b"PK\1\2", 24, "<L", 5),
        patched(documents.docx(), b"PK\1\2", 42, "<L", 0xFFFFFFF0),
        patched(documents.docx(), b"PK\5\6", 10, "<H", 50),
        patched(documents.docx(), b"PK\5\6", 12, "<L", 10),
        patched(documents.docx(), b"PK\5\6", 16, "<L", 0xFFFFFFFF),
        documents.docx(parts={"[CONTENT_TYPES].xml": ""}),
        replaced("_rels/.rels", lambda xml: xml.replace("</Relationships>", "")),
        replaced("_rels/.rels", lambda xml: xml.replace("<Relationships ", "&undefined;<Relationships ")),
        replaced("_rels/.rels", lambda _: ""),
        documents.package("word/document.xml", {}, {"word/document.xml": documents.WORD}),
        documents.odt()[:300],
        patched(documents.doc(), b"\xd0\xcf\x11\xe0", 30, "<H", 0xFFFF),
        patched(documents.doc(), b"\xd0\xcf\x11\xe0", 48, "<L", 0xFFFFFF00),
        documents.doc()[:700],
        documents.rtf()[:20],
        b"%PDF-1.7\n",
    ],
)
def test_what_contradicts_itself_is_damaged(content: bytes) -> None:
    """Truncated, encrypted, lying and double members, and offsets to nowhere are refused."""
    assert look(content) == Finding(None, why="is damaged")


@pytest.mark.attack(99)
def test_a_circle_in_an_ole_table_is_damage() -> None:
    """A chain of sectors that never ends is refused, in the directory and in the text."""
    content = documents.doc()
    table = content.index(struct.pack("<3L", 1, 2, 3))
    for sectors in (range(8, 16), range(16, 17), range(128)):
        looped = bytearray(content)
        for sector in sectors:
            struct.pack_into("<L", looped, table + 4 * sector, sectors.start)

        assert look(bytes(looped)) == Finding(None, why="is damaged")


@pytest.mark.asvs("V5.2.3")
@pytest.mark.attack(95)
def test_an_archive_that_unpacks_to_far_too_much_is_refused() -> None:
    """A bomb is told by what its directory says, or by what comes out against what it says."""
    bomb = patched(documents.docx(), b"PK\1\2", 24, "<L", 100_000_000)
    liar = patched(documents.docx(body=" " * 2_000_000), b"PK\1\2", 24, "<L", 1_000)
    crowd = patched(documents.docx(), b"PK\5\6", 10, "<H", 50_000)

    assert look(bomb).why == "unpacks to far more than a resume"
    assert look(liar).why == "is damaged"
    assert look(crowd).why == "unpacks to far more than a resume"


@pytest.mark.attack(95)
def test_a_comment_in_an_archive_is_no_trailing_data() -> None:
    """The longest comment a ZIP file can have belongs to it."""
    content = patched(documents.docx(), b"PK\5\6", 20, "<H", 0xFFFF) + b"c" * 0xFFFF

    assert look(content) == Finding(Kind.DOCX)


@pytest.mark.asvs("V5.2.5", "V5.3.3")
@pytest.mark.attack(96)
def test_members_are_never_extracted() -> None:
    """Names that would lead out of a folder are only names."""
    content = documents.docx(parts={"../../etc/cron.d/x": "x", "/abs": "x", "C:\\x": "x"})

    assert look(content) == Finding(Kind.DOCX)


def repeated(unit: bytes) -> bytes:
    """A PDF of 10 MB that is little else."""
    return b"%PDF-1.7\n1 0 obj\n" + unit * (10_000_000 // len(unit))


def broken_bomb(text: bytes) -> bytes:
    """A PDF of 3 kB, which names one stream 256 times. It inflates to nearly 1 MiB, and then breaks off."""
    packer = zlib.compressobj(9)
    packed = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 8
    return documents.pdf(objects=(b"/ObjStm" * 256 + b">>stream\n" + packed,))


def wide_extra() -> bytes:
    """An archive whose extra fields keep zipfile busy for most of a second."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for number in range(70):
            info = zipfile.ZipInfo(str(number))
            info.extra = b"\x77\x77\0\0" * 16_000
            target.writestr(info, b"")
    return file.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "plain": lambda: documents.pdf(10_000_000),
    "slashes": lambda: repeated(b"/"),
    "names": lambda: repeated(b"/Launch"),
    "escaped names": lambda: repeated(b"/AAA" + b"#41" * 12),
    "end marks": lambda: repeated(b"%%EO"),
    "nesting": lambda: repeated(b"[<<"),
    "object streams": lambda: repeated(b"/ObjStm>>stream\n"),
    "flate bombs": lambda: repeated(b"/ObjStm>>stream\n" + zlib.compress(bytes(10_000_000), 9)),
    "flate bombs of names": lambda: repeated(b"/ObjStm>>stream\n" + zlib.compress(b"/A#41" * 200_000)),
    "a broken flate bomb": lambda: broken_bomb(bytes(1024 * 1024 - 2_000)),
    "a broken flate bomb in an encrypted file": lambda: b"%PDF-1.7 /Encrypt " + broken_bomb(bytes(1024 * 1024 - 2_000)),
    "object streams of nothing": lambda: repeated(b"/ObjStm>>stream\n" + zlib.compress(b"")),
    "an object stream of nothing": lambda: documents.pdf(
        objects=(b"/ObjStm>>" * 256 + b"stream\nx\x9c" + b"\0\0\0\xff\xff" * 2_000_000,)
    ),
    "slashes in an object stream": lambda: repeated(b"/ObjStm>>stream\n" + zlib.compress(b"7 0 " + b"/" * 2_000_000)),
    "nothing after NULs": lambda: documents.pdf() + bytes(10_000_000),
    "lying zip bomb": lambda: patched(documents.docx(body=" " * 40_000_000), b"PK\1\2", 24, "<L", 1_000),
    "many members": lambda: documents.archive(dict.fromkeys(map(str, range(4_999)), b"")),
    "wide extra fields": wide_extra,
    "deep XML": lambda: documents.archive({"[Content_Types].xml": b"<a>" * 87_000}),
    "wide XML": lambda: documents.archive(
        {"[Content_Types].xml": b"<a " + b"".join(b"a%d='' " % n for n in range(25_000))}
    ),
    "long XML": lambda: documents.archive({"[Content_Types].xml": b"<a>" + b"<Default/>" * 26_000}),
    "XML bomb": lambda: documents.archive({"[Content_Types].xml": b" " * 50_000_000}),
    "many relationships": lambda: documents.docx(
        parts={f"{n}.rels": documents.relationships(*[("image", "a", INTERNAL)] * 100) for n in range(1_000)}
    ),
    "many OLE entries": lambda: documents.doc(beside={f"{n:05}": {} for n in range(60_000)}),
    "text": lambda: "\u00a0".encode() * 5_000_000,
    "blank": lambda: bytes(10_000_000),
    "RTF": lambda: b"{\\rtf1" + b"\\objdat{" * 1_200_000 + b"}",
}


@pytest.mark.long
@pytest.mark.asvs("V5.2.3")
@pytest.mark.attack(90)
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_work_is_bounded(make: Callable[[], bytes]) -> None:
    """Whatever 10 MB ask for, a look at them takes a moment and little memory; the limit leaves slow machines room."""
    file = io.BytesIO(make())
    tracemalloc.start()
    inspect(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    started = time.process_time()
    inspect(file)
    took = time.process_time() - started

    assert peak < 30_000_000
    assert took < 0.5


@given(
    st.sampled_from([b"", b"%PDF-1.7 obj", b"PK\3\4", b"{\\rtf", bytes.fromhex("d0cf11e0a1b11ae1")]),
    st.binary(max_size=2_000),
)
def test_no_bytes_make_it_raise(start: bytes, rest: bytes) -> None:
    """Any bytes at all end in a finding; one without a kind says why."""
    finding = look(start + rest)

    assert (finding.kind is None) is bool(finding.why)


@given(
    st.sampled_from([*DOCUMENTS.values(), documents.docm(), documents.encrypted_docx(), documents.doc(encrypted=True)]),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=4)), max_size=8),
    st.integers(0, 20_000),
)
@settings(max_examples=300)
def test_no_change_to_a_document_makes_it_raise(content: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    """A document that is overwritten in places and cut off ends in a finding as well."""
    changed = bytearray(content)
    for place, data in changes:
        at = place % len(content)
        changed[at : at + len(data)] = data
    finding = look(bytes(changed[: max(cut, len(content) // 2)]))

    assert (finding.kind is None) is bool(finding.why)
