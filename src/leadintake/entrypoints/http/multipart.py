"""The submission's form, read as it streams in: fields are kept in memory up to a limit, the file goes to its store.

The rules are those of RFC 7578, and where it leaves a choice, the strict one. However a body is cut, it is read alike.
"""

import re
from collections.abc import AsyncIterable, Awaitable, Callable

from multipart import MultipartError, MultipartSegment, PushMultipartParser, StrictParserError, parse_options_header

from leadintake.domain.errors import FieldError, Invalid, Malformed
from leadintake.entrypoints.errors import UnsupportedMediaType
from leadintake.entrypoints.http.reading import printable

Write = Callable[[bytes], Awaitable[None]]
"""Takes the next bytes of the file."""

TEXTS = ("first_name", "last_name", "email")
FILE = "resume"

PARTS_MAX = 20
HEADERS_MAX = 8
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


async def read_form(pieces: AsyncIterable[bytes], boundary: str, texts: dict[str, str], write: Write) -> str:
    """Read the form: its texts into those that are named in `texts`, its file by `write`. Return the file's name.

    What is missing stays empty. Raises Malformed when the framing is broken, Invalid when parts are repeated, too long
    or of the wrong sort, and what `write` raises; then `texts` has what came before that.
    """
    reader = _Reader(texts, write)
    parser = PushMultipartParser(
        boundary,
        strict=True,
        max_segment_count=PARTS_MAX,
        max_header_count=HEADERS_MAX,
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
                    await reader.take(bytes(event))
        parser.close()
    except StrictParserError as error:
        if "after end" not in str(error):  # An epilogue may follow the last part, and means nothing.
            raise Malformed("The form is not framed as multipart/form-data.") from None
    except MultipartError:
        raise Malformed("The form is not framed as multipart/form-data, or has too many parts or headers.") from None
    return reader.file_name()


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

    def __init__(self, texts: dict[str, str], write: Write) -> None:
        self._texts = texts
        self._write = write
        self._names: list[str] = []
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
            self._wrong.append(FieldError(printable(name), error))
        self._names.append(name)
        self._charset = "utf-8" if is_file else CHARSETS.get((part.charset or "utf-8").lower(), "")
        if not self._charset:
            raise Malformed("Send text as UTF-8.")
        self._text = None if is_file else bytearray()
        self._is_kept = not error and (name == FILE if is_file else name in self._texts)
        if self._is_kept and part.filename is not None:
            self._file_name = part.filename

    def _refusal(self, name: str, file_name: str | None) -> str | None:
        if name in self._names and name in {*self._texts, FILE}:
            return "Send this once."
        if name == FILE or file_name is None:
            return None
        return "Send this as text, not as a file." if name in self._texts else f"The file has to be called {FILE}."

    async def take(self, data: bytes) -> None:
        """Keep the next bytes of a part, or let them go."""
        if self._text is None:
            if self._is_kept:
                await self._write(data)
            return
        self._text += data
        if len(self._text) > TEXT_MAX_BYTES:
            raise Invalid(*self._wrong, FieldError(printable(self._names[-1]), "This is far too long."))

    def end(self) -> None:
        """Finish a part."""
        if self._text is None or not self._is_kept:
            return
        try:
            self._texts[self._names[-1]] = self._text.decode(self._charset)
        except UnicodeDecodeError:
            raise Malformed(f"The field {self._names[-1]} is not encoded as it says.") from None

    def file_name(self) -> str:
        """The name of the file, empty when none was chosen; raises what is wrong with the form."""
        if not self._names:
            raise Malformed("The form has no parts.")
        if self._wrong:
            raise Invalid(*self._wrong)
        return self._file_name


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
