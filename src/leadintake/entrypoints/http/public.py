"""What anyone may call: the form."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from litestar import Response, Router, post
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from leadintake.application.intake import Form
from leadintake.application.ports.files import Upload
from leadintake.application.views import Receipt
from leadintake.domain import values
from leadintake.domain.errors import Invalid, KeyReused, Malformed, TooLarge, Unavailable, WrongKind
from leadintake.domain.lead import Notice
from leadintake.domain.resume import rounded_down
from leadintake.domain.values import ADDRESS_MAX_CHARACTERS, KEY_MAX_CHARACTERS
from leadintake.entrypoints.errors import TooManyRequests, UnsupportedMediaType
from leadintake.entrypoints.http.document import NAME, describe
from leadintake.entrypoints.http.multipart import PARTS_MAX, TEXTS, boundary_of, read_form
from leadintake.entrypoints.http.reading import AnyRequest, client_of, header, pieces
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.settings import Settings

ROOM_FOR_FIELDS = 64 * 1024
"""Bytes of a request beside its file: the fields at their longest, their headers, and parts that are ignored."""

IDEMPOTENCY_KEY = {
    "type": "string",
    "pattern": f"^[!-~]{{1,{KEY_MAX_CHARACTERS}}}$",
    "description": "Makes it safe to send the same form again: within 24 hours, a repeat has no further effect.",
}

FORM = {
    "type": "object",
    "required": ["first_name", "last_name", "email", "resume"],
    "properties": {
        "first_name": {**NAME, "examples": ["Ada"]},
        "last_name": {**NAME, "examples": ["Lovelace"]},
        "email": {
            "type": "string",
            "format": "email",
            "maxLength": ADDRESS_MAX_CHARACTERS,
            "examples": ["ada@example.org"],
        },
        "resume": {
            "type": "string",
            "format": "binary",
            "description": "The file, with its name. Its content must be what the extension of the name says.",
        },
    },
    "propertyNames": {"pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$"},
    "maxProperties": PARTS_MAX,
}


@post(
    "/public/leads",
    operation_id="submitLead",
    summary="Send an enquiry",
    opt=describe(
        Malformed,
        TooLarge,
        WrongKind,
        UnsupportedMediaType,
        Invalid,
        KeyReused,
        TooManyRequests,
        Unavailable,
        body=("multipart/form-data", FORM),
        headers={"Idempotency-Key": IDEMPOTENCY_KEY},
        answers={"Idempotency-Replayed": "`true` where this repeats an earlier answer; nothing was stored again."},
    ),
)
async def submit(request: AnyRequest) -> Response[Receipt]:
    """Store an enquiry with its resume.

    The answer comes once both are safe on disk. Its reference is short enough to read out on the telephone.
    """
    given = header(request, "Idempotency-Key")
    key = None if given is None else values.idempotency_key(given)
    texts = dict.fromkeys(TEXTS, "")
    async with received(request, texts) as (file_name, upload):
        form = form_of(texts, file_name)
        receipt, is_repeat = await serving(request).app.intake.submit(form, upload, key)
    return Response(receipt, headers={"Idempotency-Replayed": "true"} if is_repeat else None)


@asynccontextmanager
async def received(request: AnyRequest, texts: dict[str, str]) -> AsyncIterator[tuple[str, Upload]]:
    """Let a submission in and read it: its texts into those that are named in `texts`. Its file has a name, if it came.

    Raises TooManyRequests, Busy, TooLarge, and what `read_form` raises.
    """
    here = serving(request)
    client = client_of(request)
    await here.submissions.count(client)
    boundary = boundary_of(header(request, "Content-Type") or "")
    with here.uploads.one(client):
        async with here.app.files.receive() as upload:
            try:
                file_name = await read_form(pieces(request), boundary, texts, upload.write)
            except RequestEntityTooLarge:
                largest = rounded_down(here.settings.max_resume_bytes)
                raise TooLarge(f"The request is too large. The file may have at most {largest}.") from None
            await here.megabytes.count(client, upload.size)
            yield file_name, upload


def form_of(texts: Mapping[str, str], file_name: str, notice: Notice | None = None, trap: str | None = None) -> Form:
    """The form that was read."""
    return Form(texts["first_name"], texts["last_name"], texts["email"], file_name, notice, trap)


def routes(settings: Settings) -> Router:
    """The call, with room for the largest file."""
    limit = settings.max_resume_bytes + ROOM_FOR_FIELDS
    return Router("/", route_handlers=[submit], request_max_body_size=limit, tags=["Public"])
