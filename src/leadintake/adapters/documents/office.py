"""Word documents since 2007 (Open Packaging Conventions, ECMA-376 part 2) and OpenDocument texts."""

import posixpath
import re
from collections.abc import Iterator

from leadintake.adapters.documents.archive import Archive
from leadintake.adapters.documents.source import Damaged, Source, Unfit
from leadintake.domain.resume import Finding, Flag, Kind

CONTENT_TYPES = "[content_types].xml"
WORD_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
MACROS = ("macroenabled", "vbaproject")
OTHERS = {
    "spreadsheet": "is a spreadsheet",
    "ms-excel": "is a spreadsheet",
    "presentation": "is a presentation",
    "ms-powerpoint": "is a presentation",
}
"""By a part of the media type, in Office and OpenDocument alike."""

CARRIES_A_FILE = ("/oleObject", "/package", "/aFChunk")
HERE = re.compile(r"(?:file:/*)?[a-z]:[\\/]|[^:\\/][^:]*\Z", re.IGNORECASE)
"""The target of an external relationship on the reader's own disk, as templates are, and not in the network."""

RELATIONSHIP_PARTS_MAX = 64
DDE_FIELD = re.compile(rb"""instr(?:Text[^<>]{0,40}>|=["'])\s{0,9}DDE""")
TEXT_SAMPLE_BYTES = 1024 * 1024

OPEN_DOCUMENT_TEXT = b"application/vnd.oasis.opendocument.text"
MEDIA_TYPE_MAX_BYTES = 256
MANIFEST_MAX_BYTES = 256 * 1024


def read_archive(source: Source) -> Finding:
    """Take a Word document or an OpenDocument text; raise Unfit for any other archive."""
    archive = Archive(source)
    if CONTENT_TYPES in archive.members:
        kind, flags = Kind.DOCX, _word(archive)
    elif "mimetype" in archive.members:
        kind, flags = Kind.ODT, _open_document(archive)
    else:
        raise Unfit("is a ZIP archive")
    if archive.trailing:
        flags.add(Flag.TRAILING_DATA)
    return Finding(kind, frozenset(flags))


def _word(archive: Archive) -> set[Flag]:
    types = {
        (element.get("PartName") or "." + element.get("Extension", "")).lower(): element.get("ContentType", "").lower()
        for element in archive.elements(CONTENT_TYPES, "Default", "Override")
    }
    main = _main_part(archive)
    media_type = types.get(main) or types.get(posixpath.splitext(main)[1], "")
    _refuse_others(media_type)
    if any(macro in text for macro in MACROS for text in (*types.values(), *archive.members)):
        raise Unfit("is a macro-enabled Word document")
    if media_type != WORD_MAIN:
        raise Unfit("is not a Word document")
    flags = set(_relations(archive))
    if DDE_FIELD.search(archive.read(main.lstrip("/"), TEXT_SAMPLE_BYTES)):
        flags.add(Flag.ACTIVE_CONTENT)
    return flags


def _main_part(archive: Archive) -> str:
    targets = [
        element.get("Target", "")
        for element in archive.elements("_rels/.rels", "Relationship")
        if element.get("Type", "").endswith("/officeDocument")
    ]
    if len(targets) != 1:
        raise Damaged
    return posixpath.normpath("/" + targets[0].lstrip("/")).lower()


def _relations(archive: Archive) -> Iterator[Flag]:
    parts = [name for name in archive.members if name.endswith(".rels")]
    if len(parts) > RELATIONSHIP_PARTS_MAX:
        yield Flag.ACTIVE_CONTENT  # more than is looked through
    for part in parts[:RELATIONSHIP_PARTS_MAX]:
        for element in archive.elements(part, "Relationship"):
            meaning = element.get("Type", "")
            if element.get("TargetMode") == "External":
                if not meaning.endswith("/hyperlink") and not HERE.match(element.get("Target", "")):
                    yield Flag.ACTIVE_CONTENT
            elif meaning.endswith("/control"):
                yield Flag.ACTIVE_CONTENT
            elif meaning.endswith(CARRIES_A_FILE):
                yield Flag.EMBEDDED_FILE


def _open_document(archive: Archive) -> set[Flag]:
    media_type = archive.read("mimetype", MEDIA_TYPE_MAX_BYTES).strip()
    _refuse_others(media_type.decode("latin-1"))
    if media_type != OPEN_DOCUMENT_TEXT:
        raise Unfit("is not a text document")
    flags: set[Flag] = set()
    if b"encryption-data" in archive.read("meta-inf/manifest.xml", MANIFEST_MAX_BYTES):
        flags.add(Flag.ENCRYPTED)
    if any(name.startswith(("basic/", "scripts/")) for name in archive.members):
        flags.add(Flag.ACTIVE_CONTENT)
    if any(name.startswith("object ") for name in archive.members):
        flags.add(Flag.EMBEDDED_FILE)
    return flags


def _refuse_others(media_type: str) -> None:
    for part, why in OTHERS.items():
        if part in media_type:
            raise Unfit(why)
