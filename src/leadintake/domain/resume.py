"""What a resume may be: its kind, what to tell an attorney of it, its name, and the rule that takes or refuses it."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leadintake.domain.errors import WrongKind

NAME_MAX_CHARACTERS = 150
EXTENSION_MAX_CHARACTERS = 20
"""A longer ending is no extension, and a name that is cut may lose some of it."""

KIB = 1024
MIB = 1024 * KIB

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that show nothing, reorder what is beside them, or cannot be stored."""

WINDOWS_STREAM = "::$DATA"
"""Windows opens `cv.pdf::$DATA` as `cv.pdf`, and drops dots and spaces at the end as well."""


class Kind(StrEnum):
    """A kind of document. The value is also its file extension."""

    PDF = "pdf"
    DOC = "doc"
    DOCX = "docx"
    ODT = "odt"
    RTF = "rtf"
    TXT = "txt"

    @property
    def media_type(self) -> str:
        """The media type registered for the kind."""
        return MEDIA_TYPES[self]


MEDIA_TYPES = {
    Kind.PDF: "application/pdf",
    Kind.DOC: "application/msword",
    Kind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Kind.ODT: "application/vnd.oasis.opendocument.text",
    Kind.RTF: "application/rtf",
    Kind.TXT: "text/plain",
}

WORD_FAMILY = frozenset({Kind.DOC, Kind.DOCX, Kind.RTF})
"""Word opens each of these under the extension of another, and people do name them so."""


class Flag(StrEnum):
    """What is worth telling an attorney about a file before it is opened. None of it is a reason to refuse the file."""

    ENCRYPTED = "encrypted"
    """It needs a password, or its contents cannot be looked through."""
    NO_END_MARK = "no-end-mark"
    """A PDF without %%EOF: perhaps cut off on its way."""
    TRAILING_DATA = "trailing-data"
    """Something other than white space and NUL follows the end of the document."""
    ACTIVE_CONTENT = "active-content"
    """It may do something by itself: a script, a macro, a launch, a fetch; or too tangled to tell."""
    EMBEDDED_FILE = "embedded-file"
    """Another file or object is carried inside it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the content of a file is.

    `why` is for people: what a file of no known kind is instead. It follows the file's name: "is a spreadsheet".
    """

    kind: Kind | None
    flags: frozenset[Flag] = frozenset()
    why: str = ""


def display_name(raw: str) -> str:
    """Return the name of a client's file as it may be shown: its last path component in NFC, all visible.

    At most 150 code points, the extension kept; "resume" when nothing is left.
    """
    name = _cleaned(raw)
    if len(name) > NAME_MAX_CHARACTERS:
        start = max(name.rfind("."), len(name) - EXTENSION_MAX_CHARACTERS)
        ending = name[start:]
        name = unicodedata.normalize("NFC", name[: NAME_MAX_CHARACTERS - len(ending)] + ending)
    return name or "resume"


def accept(file_name: str, finding: Finding, allowed: frozenset[Kind]) -> Kind:
    """Return the kind to store a file as, or raise WrongKind with what to do about it.

    The content decides. The extension must agree with it, except within the Word family.
    """
    _, dot, extension = _cleaned(file_name).lower().rpartition(".")
    kind = finding.kind
    if kind in allowed and dot and (extension == kind or {extension, kind} <= WORD_FAMILY):
        return kind
    name, wanted = display_name(file_name), f"{_one_of(allowed)} file"
    if kind is None:
        raise WrongKind(f"The file {name} {finding.why}. Send {wanted}.")
    if kind not in allowed:
        raise WrongKind(f"The file {name} contains {_one_of({kind})}, which is not accepted. Send {wanted}.")
    if not dot:
        raise WrongKind(f"The name of the file, {name}, has no extension. Add .{kind} to it or send {wanted}.")
    raise WrongKind(f"The file is named {name} but contains {_one_of({kind})}. Rename it or send {wanted}.")


def _cleaned(raw: str) -> str:
    """The last component of a path, visible characters only, without the endings that Windows drops from a name."""
    visible = "".join(c for c in raw if unicodedata.category(c) not in INVISIBLE)
    last = unicodedata.normalize("NFC", visible).replace("\\", "/").rpartition("/")[2]
    name = last.strip().rstrip(". ")
    return name[: -len(WINDOWS_STREAM)].rstrip(". ") if name.upper().endswith(WINDOWS_STREAM) else name


def listed(kinds: Collection[Kind]) -> str:
    """Kinds as one names them: PDF, DOC or DOCX."""
    return either([kind.upper() for kind in Kind if kind in kinds])


def either(names: Sequence[str]) -> str:
    """Names as one gives a choice of them: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def rounded_down(count: int) -> str:
    """A limit of so many bytes as people say it, never more than it is."""
    for size, unit in ((MIB, "MB"), (KIB, "kB")):
        if count >= size:
            return f"{count * 10 // size / 10:g} {unit}"
    return f"{count} bytes"


def _one_of(kinds: Collection[Kind]) -> str:
    names = listed(kinds)
    return f"{'an' if names.startswith(('O', 'R')) else 'a'} {names}"
