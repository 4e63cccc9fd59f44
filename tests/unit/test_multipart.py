import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.domain.errors import Invalid, Malformed, Refused
from leadintake.entrypoints.errors import UnsupportedMediaType
from leadintake.entrypoints.http.multipart import TEXT_MAX_BYTES, TEXTS, boundary_of, read_form

BOUNDARY = "----form0123"
FILE = b"%PDF-1.7\r\n--" + BOUNDARY[:-1].encode() + b"\r\n\r\n--\n\r%%EOF"
"""A file with almost-boundaries inside."""


class Spool:
    """An upload that is kept in memory."""

    def __init__(self) -> None:
        self.content = b""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.content += chunk


def part(name: str, value: bytes, *, file_name: str | None = None, headers: str = "") -> bytes:
    """One part with its delimiter."""
    file = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{headers}\r\n'
    return head.encode() + value + b"\r\n"


FIRST = part("first_name", "Zoë".encode())
LAST = part("last_name", b"King, Jr.")
EMAIL = part("email", b"zoe@example.org")
RESUME = part("resume", FILE, file_name="Zoë.pdf", headers="Content-Type: application/pdf\r\n")
END = f"--{BOUNDARY}--\r\n".encode()
GOOD = FIRST + LAST + EMAIL + RESUME + END
FORM = {"first_name": "Zoë", "last_name": "King, Jr.", "email": "zoe@example.org"}, "Zoë.pdf"


def read(pieces: Iterable[bytes]) -> tuple[tuple[dict[str, str], str], bytes]:
    """Read a body in these pieces: its texts and the name of its file, and the file."""
    spool = Spool()
    texts = dict.fromkeys(TEXTS, "")

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    file_name = asyncio.run(read_form(stream(), BOUNDARY, texts, spool.write))
    return (texts, file_name), spool.content


def outcome(pieces: Iterable[bytes]) -> object:
    """What came of it, comparable."""
    try:
        return read(pieces)
    except Invalid as error:
        return error.errors
    except Refused as error:
        return type(error)


def bytewise(body: bytes) -> list[bytes]:
    """The body a byte at a time."""
    return [body[i : i + 1] for i in range(len(body))]


@pytest.mark.asvs("V15.3.3")
@pytest.mark.attack(6, 13, 39)
@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        RESUME + FIRST + LAST + EMAIL + END,
        b"\r\n" + GOOD,
        GOOD + b"anything after the end" + GOOD,
        FIRST + LAST + EMAIL + RESUME + part("state", b"REACHED_OUT") + part("id", b"\xff") + END,
        FIRST + LAST + EMAIL + RESUME + part("_charset_", b"utf-8") + part("First_Name", b"x") + END,
        FIRST + LAST + EMAIL + RESUME + part("topic", b"wills") + part("topic", b"trusts") + END,
        part("first_name", "Zoë".encode(), headers="Content-Type: text/plain; charset=UTF-8\r\n")
        + LAST
        + EMAIL
        + RESUME
        + END,
        FIRST
        + part("last_name", b"King, Jr.", headers="Content-Type: text/plain; charset=us-ascii\r\n")
        + EMAIL
        + RESUME
        + END,
        FIRST + part("last_name", b"King, Jr.", headers="Content-Transfer-Encoding: 8bit\r\n") + EMAIL + RESUME + END,
        FIRST + part("last_name", b"King, Jr.", headers="Content-Transfer-Encoding: 8BIT\r\n") + EMAIL + RESUME + END,
        FIRST + LAST + EMAIL + RESUME.replace(b"application/pdf", b"text/plain; charset=windows-1252") + END,
        FIRST + part("last_name", b"King, Jr.", headers="Content-Length: 9\r\n") + EMAIL + RESUME + END,
    ],
)
def test_good_forms(body: bytes) -> None:
    """Order, harmless headers, unknown texts and what follows the end do not matter; the file arrives byte for byte."""
    assert read([body]) == (FORM, FILE)
    assert read(bytewise(body)) == (FORM, FILE)


def test_pieces_without_bytes() -> None:
    """A piece of a body that has no bytes is not its end."""
    assert read(piece for byte in bytewise(GOOD) for piece in (b"", byte)) == (FORM, FILE)


LIMITS: dict[str, Callable[[int], bytes]] = {
    "parts": lambda more: FIRST + LAST + EMAIL + RESUME + part("x", b"") * (16 + more) + END,
    "headers of a part": lambda more: part("x", b"", headers="".join(f"X-{i}: 1\r\n" for i in range(7 + more))) + GOOD,
}


@pytest.mark.parametrize("body", LIMITS.values(), ids=LIMITS)
def test_limits(body: Callable[[int], bytes]) -> None:
    """A form may have 20 parts, of 8 headers, and not one more, however it is cut."""
    assert read([body(0)]) == read(bytewise(body(0))) == (FORM, FILE)
    assert outcome([body(1)]) is outcome(bytewise(body(1))) is Malformed


OTHERS = LAST + EMAIL + RESUME + END
BROKEN = {
    "empty": b"",
    "terminator only": END,
    "no terminator": GOOD[: -len(END)],
    "cut in a header": GOOD[:40],
    "cut in the file": GOOD[:-60],
    "cut in the terminator": GOOD[:-4],
    "no boundary at all": b"first_name=Ada&last_name=Lovelace" * 9,
    "text before the first boundary": b"Dear server,\r\n" + GOOD,
    "another boundary": GOOD.replace(BOUNDARY.encode(), b"----form9999"),
    "bare line feeds": GOOD.replace(b"\r\n", b"\n"),
    "bare carriage returns": GOOD.replace(b"\r\n", b"\r"),
    "a bare line feed in a header": part("first_name", b"Zoe", headers="X: a\nY: b\r\n") + OTHERS,
    "a carriage return in a header": part("first_name", b"Zoe", headers="X: a\rb\r\n") + OTHERS,
    "no headers": f"--{BOUNDARY}\r\n\r\nZoe\r\n".encode() + OTHERS,
    "no disposition": f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nZoe\r\n".encode() + OTHERS,
    "no name": f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nZoe\r\n".encode() + OTHERS,
    "disposition attachment": FIRST.replace(b"form-data", b"attachment") + OTHERS,
    "disposition twice": part("x", b"Zoe", headers='Content-Disposition: form-data; name="first_name"\r\n') + OTHERS,
    "header without a colon": part("first_name", b"Zoe", headers="Strange\r\n") + OTHERS,
    "NUL in a header name": part("first_name", b"Zoe", headers="X\0Y: 1\r\n") + OTHERS,
    "NUL in a header value": part("first_name", b"Zoe", headers="X: 1\0\r\n") + OTHERS,
    "DEL in a header value": part("first_name", b"Zoe", headers="X: 1\x7f\r\n") + OTHERS,
    "folded header": part("first_name", b"Zoe", headers="X: 1\r\n 2\r\n") + OTHERS,
    "folded header after all that is known": GOOD[: -len(END)] + part("x", b"", headers="X: 1\r\n 2\r\n") + END,
    "no name after all that is known": GOOD[: -len(END)] + part("", b"").replace(b'; name=""', b"") + END,
    "64 KiB of header": part("first_name", b"Zoe", headers=f"X: {'y' * 65536}\r\n") + OTHERS,
    "1000 headers": part("first_name", b"Zoe", headers="".join(f"X-{i}: 1\r\n" for i in range(1000))) + OTHERS,
    "64 KiB of name": part("n" * 65536, b"Zoe") + OTHERS,
    "name not UTF-8": FIRST.replace(b"first_name", b"first_\xff") + OTHERS,
    "file name not UTF-8": FIRST + LAST + EMAIL + RESUME.replace("Zoë".encode(), b"\xff") + END,
    "nested multipart": part("first_name", b"Zoe", headers="Content-Type: multipart/mixed; boundary=x\r\n") + OTHERS,
    "base64": part("first_name", b"Wm9l", headers="Content-Transfer-Encoding: base64\r\n") + OTHERS,
    "quoted-printable file": FIRST
    + LAST
    + EMAIL
    + part("resume", FILE, file_name="a.pdf", headers="Content-Transfer-Encoding: quoted-printable\r\n")
    + END,
    "Content-Length too small": part("first_name", b"Zoe", headers="Content-Length: 2\r\n") + OTHERS,
    "Content-Length too large": part("first_name", b"Zoe", headers="Content-Length: 4\r\n") + OTHERS,
    "the boundary inside the file": FIRST
    + LAST
    + EMAIL
    + RESUME.replace(b"%%EOF", b"\r\n--" + BOUNDARY.encode() + b"x")
    + END,
    "1000 parts": part("x", b"") * 1000 + GOOD,
    "200 files": part("x", b"", file_name="x.pdf") * 200 + GOOD,
    "charset bogus": part("first_name", b"Zoe", headers="Content-Type: text/plain; charset=bogus\r\n") + OTHERS,
    "charset rot13": part("first_name", b"Zoe", headers="Content-Type: text/plain; charset=rot13\r\n") + OTHERS,
    "charset hex": part("first_name", b"Zoe", headers="Content-Type: text/plain; charset=hex\r\n") + OTHERS,
    "charset idna": part("first_name", b"Zoe", headers="Content-Type: text/plain; charset=idna\r\n") + OTHERS,
    "charset utf-16": part("first_name", b"Zoe", headers="Content-Type: text/plain; charset=utf-16\r\n") + OTHERS,
    "charset ascii that is not": part(
        "first_name", "Zoë".encode(), headers="Content-Type: text/plain; charset=ascii\r\n"
    )
    + OTHERS,
    "invalid UTF-8": part("first_name", b"Zo\xeb") + OTHERS,
    "overlong UTF-8": part("first_name", b"\xc0\xaf") + OTHERS,
    "surrogate in UTF-8": part("first_name", b"\xed\xa0\x80") + OTHERS,
}


@pytest.mark.attack(5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 41, 42, 43, 79)
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_broken_framing_is_malformed(body: bytes) -> None:
    """Whatever is not a well-formed form is a 400, in one piece and byte by byte."""
    assert outcome([body]) is Malformed
    assert outcome(bytewise(body)) is Malformed


WRONG = {
    "a field twice": (FIRST + FIRST + OTHERS, ["first_name"]),
    "two files": (FIRST + LAST + EMAIL + RESUME + RESUME + END, ["resume"]),
    "a field as a file": (part("first_name", b"Zoe", file_name="a.txt") + OTHERS, ["first_name"]),
    "an unknown file": (FIRST + part("photo", b"", file_name="me.png") + OTHERS, ["photo"]),
    "many things": (
        FIRST + FIRST + part("email", b"", file_name="x") + part("photo", b"", file_name="y") + END,
        ["first_name", "email", "photo"],
    ),
    "a name that is long and not ASCII": (
        part(f"é{'x' * 200}", b"", file_name="me.png") + GOOD,
        ["\\xe9" + "x" * 99],
    ),
    "a field of 9 MiB": (part("first_name", b"x" * 9_000_000) + OTHERS, ["first_name"]),
    "an unknown text that is too long": (part("essay", b"x" * (TEXT_MAX_BYTES + 1)) + GOOD, ["essay"]),
    "too long under a name that is not ASCII": (part("é", b"x" * (TEXT_MAX_BYTES + 1)) + GOOD, ["\\xe9"]),
    "something before what is too long": (FIRST + FIRST + part("x", b"x" * (TEXT_MAX_BYTES + 1)), ["first_name", "x"]),
}


@pytest.mark.asvs("V15.3.5-7")
@pytest.mark.attack(35, 36, 37, 47)
@pytest.mark.parametrize(("body", "fields"), WRONG.values(), ids=WRONG)
def test_wrong_parts_are_named(body: bytes, fields: list[str]) -> None:
    """One answer names every part that is repeated, too long or of the wrong sort."""
    with pytest.raises(Invalid) as caught:
        read(body[i : i + 65536] for i in range(0, len(body), 65536))

    assert [error.field for error in caught.value.errors] == fields


NOTHING = dict.fromkeys(TEXTS, "")
MISSING = {
    "nothing that is known": (part("x", b"") + END, NOTHING, ""),
    "no first name": (OTHERS, {**FORM[0], "first_name": ""}, FORM[1]),
    "other names": (
        part("First_Name", b"Z") + part("first_name[]", b"Z") + OTHERS,
        {**FORM[0], "first_name": ""},
        FORM[1],
    ),
    "no file": (FIRST + LAST + EMAIL + END, FORM[0], ""),
    "no file chosen in a browser": (FIRST + LAST + EMAIL + part("resume", b"", file_name="") + END, FORM[0], ""),
    "the file as text": (FIRST + LAST + EMAIL + part("resume", FILE) + END, FORM[0], ""),
    "only an extended file name": (
        FIRST + LAST + EMAIL + part("resume", FILE).replace(b'"resume"', b"\"resume\"; filename*=utf-8''a.pdf") + END,
        FORM[0],
        "",
    ),
}


@pytest.mark.attack(34, 37, 40, 78, 80)
@pytest.mark.parametrize(("body", "texts", "file_name"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_empty(body: bytes, texts: dict[str, str], file_name: str) -> None:
    """Whether that is wrong is for others to say, together with all else that is."""
    (read_texts, read_name), _ = read([body])

    assert (read_texts, read_name) == (texts, file_name)


def test_only_the_texts_asked_for_are_read() -> None:
    """Under another list of names, another form is read, and what came before an error is there."""

    async def stream() -> AsyncIterator[bytes]:
        yield FIRST + part("ticket", b"x") + part("photo", b"", file_name="me.png") + LAST + END

    texts = {"ticket": "", "last_name": "", "notice": ""}
    with pytest.raises(Invalid):
        asyncio.run(read_form(stream(), BOUNDARY, texts, Spool().write))

    assert texts == {"ticket": "x", "last_name": "King, Jr.", "notice": ""}


@pytest.mark.asvs("V1.1.1", "V1.5.3")
@given(st.data())
def test_any_cut_reads_alike(data: st.DataObject) -> None:
    """How the network cut the body into pieces changes nothing, whether the body is good or not."""
    bodies = [
        GOOD,
        *(body for body in BROKEN.values() if len(body) < 5000),
        *(body for body, _ in WRONG.values() if len(body) < 5000),
    ]
    body = data.draw(st.sampled_from(bodies))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=30)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert outcome(pieces) == outcome([body])


@given(st.integers(0, len(GOOD) - len(END) - 1), st.binary(max_size=3))
def test_damaged_forms_never_surprise(index: int, damage: bytes) -> None:
    """A form with some bytes changed is read or refused, and cut up it comes to the same."""
    body = GOOD[:index] + damage + GOOD[index + len(damage) :]

    assert outcome(bytewise(body)) == outcome([body])


@pytest.mark.attack(3)
@pytest.mark.parametrize(
    "content_type",
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        f'Multipart/Form-Data; charset=utf-7; boundary="{BOUNDARY}"',
        f"multipart/form-data;boundary={BOUNDARY};boundary={BOUNDARY}",
        f"multipart/form-data; boundary={BOUNDARY}; x=".ljust(1000, "x"),
    ],
)
def test_boundaries(content_type: str) -> None:
    """A boundary may be quoted, and other parameters do not matter."""
    assert boundary_of(content_type) == BOUNDARY


@pytest.mark.attack(1)
@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x"],
)
def test_other_types_are_not_read(content_type: str) -> None:
    """Only multipart/form-data is a form with a file."""
    with pytest.raises(UnsupportedMediaType):
        boundary_of(content_type)


@pytest.mark.asvs("V1.3.12")
@pytest.mark.attack(2, 3, 4)
@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        "; boundary=é",
        f"; boundary={'x' * 71}",
        f"; boundary={'x' * 4096}",
        '; boundary="a\\\r\nb"',
        "; boundary=" + "\\" * 3000,
        ";" * 4000,
        '; boundary="' + "\\a" * 1500,
        f"; boundary={BOUNDARY}; x=".ljust(1001 - len("multipart/form-data"), "x"),
    ],
)
def test_bad_boundaries(parameters: str) -> None:
    """A boundary that RFC 2046 does not allow is refused, in no time."""
    with pytest.raises(Malformed):
        boundary_of(f"multipart/form-data{parameters}")
