"""The submission's form, read as it streams in: fields are kept in memory up to a limit, the file goes to its store.

The rules are those of RFC 7578, and where it leaves a choice, the strict one. However a body is cut, it is read alike.
"""

import re
from collections.abc import AsyncIterable

from multipart import MultipartError, MultipartSegment, PushMultipartParser, StrictParserError, parse_options_header

from leadintake.application.intake import Form
from leadintake.application.ports import Upload
from leadintake.domain.errors import FieldError, Invalid, Malformed
from leadintake.entrypoints.errors import UnsupportedMediaType
from leadintake.entrypoints.http.reading import shown

TEXTS = ("first_name", "last_name", "email")
FILE = "resume"

MOST_PARTS = 20
MOST_HEADERS = 8
HEADER_MAX_CHARACTERS = 4096
TEXT_MAX_BYTES = 16 * 1024
"""Far above what any field may hold, so that the limits of the fields speak first for what a person may have typed."""

CONTENT_TYPE_MAX_CHARACTERS = 1000

BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
"""RFC 2046 section 5.1.1."""

CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii"}
PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
CONTROLS = re.compile("[\0-\x08\x0a-\x1f\x7f]")


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type names; raises UnsupportedMediaType or Malformed."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType("Send the form as Content-Type: multipart/form-data.")
    parameters = parse_options_header(content_type)[1] if len(content_type) <= CONTENT_TYPE_MAX_CHARACTERS else {}
    boundary: str = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise Malformed("The Content-Type has no boundary that is valid.")
    return boundary


async def read_form(pieces: AsyncIterable[bytes], boundary: str, upload: Upload) -> Form:
    """Read the form and write its file to the upload.

    Raises Malformed when the framing is broken, Invalid when parts are missing, repeated, too long or of the wrong
    sort, and what the upload raises.
    """
    reader = _Reader(upload)
    parser = PushMultipartParser(
        boundary,
        strict=True,
        max_segment_count=MOST_PARTS,
        max_header_count=MOST_HEADERS,
        max_header_size=HEADER_MAX_CHARACTERS + 2,  # the parser may count the line break
    )
    try:
        async for piece in _without_preamble(pieces, boundary):
            for event in parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    reader.begin(event)
                elif event is None:
                    reader.end()
                else:
                    await reader.take(event)
        parser.close()
    except StrictParserError as error:
        if "after end" not in str(error):  # An epilogue may follow the last part, and means nothing.
            raise Malformed("The form is not framed as multipart/form-data.") from None
    except MultipartError:
        raise Malformed("The form is not framed as multipart/form-data, or has too many parts or headers.") from None
    return reader.form()


async def _without_preamble(pieces: AsyncIterable[bytes], boundary: str) -> AsyncIterable[bytes]:
    """Refuse text before the first boundary, which no client sends and parsers disagree about."""
    head: bytes | None = b""
    starts = (f"--{boundary}".encode(), f"\r\n--{boundary}".encode())
    async for piece in pieces:
        if head is None:
            if piece:
                yield piece
            continue
        head += piece
        if len(head) > len(starts[1]):
            if not head.startswith(starts):
                break
            yield head
            head = None
    if head is not None:
        raise Malformed("The body does not begin with the boundary of its Content-Type, or ends there.")


class _Reader:
    """Takes the parts one by one."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._names: list[str] = []
        self._texts: dict[str, str] = {}
        self._file_name = ""
        self._wrong: list[FieldError] = []
        self._charset = "utf-8"
        self._text: bytearray | None = None
        self._is_kept = False

    def begin(self, part: MultipartSegment) -> None:
        """Decide what becomes of a part."""
        _check_headers(part)
        name = part.name or ""
        is_file = part.filename is not None
        error = self._refusal(name, part.filename)
        if error:
            self._wrong.append(FieldError(shown(name), error))
        self._names.append(name)
        self._charset = "utf-8" if is_file else CHARSETS.get((part.charset or "utf-8").lower(), "")
        if not self._charset:
            raise Malformed("Send text as UTF-8.")
        self._text = None if is_file else bytearray()
        self._is_kept = not error and name in {*TEXTS, FILE}
        if self._is_kept and part.filename is not None:
            self._file_name = part.filename

    def _refusal(self, name: str, file_name: str | None) -> str | None:
        if name in self._names and (name in {*TEXTS, FILE}):
            return "Send this once."
        if name == FILE:
            return None if file_name else "Choose a file."
        if file_name is None:
            return None
        return "Send this as text, not as a file." if name in TEXTS else "No file of this name is expected."

    async def take(self, data: bytes | bytearray) -> None:
        """Keep the next bytes of a part, or let them go."""
        if self._text is None:
            if self._is_kept:
                await self._upload.write(data)
            return
        self._text += data
        if len(self._text) > TEXT_MAX_BYTES:
            raise Invalid(*self._wrong, FieldError(shown(self._names[-1]), "This is far too long."))

    def end(self) -> None:
        """Finish a part."""
        if self._text is None or not self._is_kept:
            return
        try:
            self._texts[self._names[-1]] = self._text.decode(self._charset)
        except UnicodeDecodeError:
            raise Malformed(f"The field {self._names[-1]} is not encoded as it says.") from None

    def form(self) -> Form:
        """The whole form."""
        if not self._names:
            raise Malformed("The form has no parts.")
        missing = [FieldError(name, "Fill in this field.") for name in TEXTS if name not in self._names]
        if FILE not in self._names:
            missing.append(FieldError(FILE, "Choose a file."))
        if missing or self._wrong:
            raise Invalid(*missing, *self._wrong)
        return Form(**self._texts, file_name=self._file_name)


def _check_headers(part: MultipartSegment) -> None:
    names = [name for name, _ in part.headerlist]
    if len(set(names)) < len(names):
        raise Malformed("A part has a header twice.")
    for name, value in part.headerlist:
        if len(name) + len(value) > HEADER_MAX_CHARACTERS or CONTROLS.search(value):
            raise Malformed("A header of a part is too long or has control characters.")
    if part.header("Content-Transfer-Encoding", "binary").lower() not in PLAIN_ENCODINGS:
        raise Malformed("Send parts as they are, without Content-Transfer-Encoding (RFC 7578 section 4.7).")
    if (part.content_type or "").startswith("multipart/"):
        raise Malformed("A part must not be multipart itself.")
