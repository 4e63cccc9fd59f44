"""The form for prospects, and the page that says what was received."""

import secrets
from http import HTTPStatus

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from leadintake.domain import values
from leadintake.domain.errors import Malformed, NotFound, Unavailable
from leadintake.domain.lead import Notice
from leadintake.entrypoints.errors import TooManyRequests
from leadintake.entrypoints.http.multipart import TEXTS
from leadintake.entrypoints.http.public import ROOM_FOR_FIELDS, form_of, received
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.web import tickets
from leadintake.entrypoints.web.draining import DrainBody, read_texts
from leadintake.entrypoints.web.form_words import LABELS, MISSING, NO_ADDRESS, resume_words
from leadintake.entrypoints.web.pages import CSP, content_security_policy, page, redirect
from leadintake.entrypoints.web.refusal import Refusal, refusal

SENT_ALONG = ("submission", "notice")
"""Hidden fields: the ticket of the form, and the notice that it was shown with."""

KEPT_FOR_BACK = {"Cache-Control": "private, no-cache"}
"""Of the empty form: whoever comes back to it finds the same ticket, so that sending it again is safe."""

TRAP = "remark"
"""The honeypot. Its name tempts robots, means nothing to what fills in forms for people, and people do not see it."""

BODY_MAX_RESUMES = 10
"""A form of so many times the largest resume is read to its end before it is refused: else no browser shows why."""


@get("/")
async def show(request: AnyRequest) -> Template:
    """The empty form."""
    return _form(request, dict.fromkeys(TEXTS, ""))


@post("/", status_code=HTTPStatus.OK)
async def send(request: AnyRequest) -> Template | Redirect:
    """Store an enquiry, then lead to its receipt; or show the form again, with all that was typed."""
    texts = dict.fromkeys((*TEXTS, *SENT_ALONG, TRAP), "")
    intake, keys = serving(request).app.intake, serving(request).app.sealing_keys
    try:
        async with received(request, texts) as (file_name, upload):
            form = form_of(texts, file_name, tickets.notice_of(*_sent_along(texts), keys), texts[TRAP])
            receipt, _ = await intake.submit(form, upload, _idempotency_key(texts["submission"]))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, what was typed is not lost
        if isinstance(error, TooManyRequests | Unavailable) and not any(texts.values()):
            await read_texts(request, texts)
        return _form(request, texts, refusal(request, error, texts))
    address = f"/received/{receipt.reference}/{tickets.make_proof(receipt.reference, keys)}"
    return redirect(request, address, _framed(request))


@get("/received/{reference:str}/{proof:str}")
async def receipt(request: AnyRequest, reference: FromPath[str], proof: FromPath[str]) -> Template:
    """What was received, as often as one likes to see it."""
    here = serving(request)
    if not tickets.is_proof(proof, reference, here.app.sealing_keys):
        raise NotFound
    next_steps = _paragraphs(here.settings.form_next)
    return page("received", headers=_framed(request), reference=reference, what_is_next=next_steps)


def _form(request: AnyRequest, texts: dict[str, str], refused: Refusal | None = None) -> Template:
    """The form with what was typed. It keeps its ticket, so that sending it again is safe, until that is used up.

    The next ticket is as old, because whoever sends the same form as a second enquiry has long filled it in.
    """
    settings, keys = serving(request).settings, serving(request).app.sealing_keys
    ticket, notice = texts.get("submission", ""), tickets.notice_of(*_sent_along(texts), keys) if refused else None
    if notice is None or (refused and refused.ticket_is_used):
        notice = notice or Notice(settings.form_notice, serving(request).app.intake.now())
        ticket = tickets.make_ticket(notice, secrets.token_bytes(tickets.RANDOM_BYTES), keys)
    return page(
        "form",
        status=refused.status if refused else HTTPStatus.OK,
        headers={**_framed(request), **(refused.headers if refused else KEPT_FOR_BACK)},
        refused=refused,
        labels=LABELS,
        missing=MISSING,
        no_address=NO_ADDRESS,
        trap=TRAP,
        typed=texts,
        resume=resume_words(settings),
        introduction=_paragraphs(settings.form_introduction),
        notice=notice.text,
        notice_paragraphs=_paragraphs(notice.text),
        privacy_url=settings.privacy_url,
        ticket=ticket,
    )


def _framed(request: AnyRequest) -> dict[str, str]:
    """The header that lets the pages of some origins show the form."""
    origins = serving(request).settings.frame_origins
    return {CSP: content_security_policy(" ".join(origins))} if origins else {}


def _sent_along(texts: dict[str, str]) -> tuple[str, str]:
    return texts["submission"], texts["notice"]


def _idempotency_key(submission: str) -> str | None:
    """The ticket, or whatever a form of somebody's own has in its place; without a good one, none."""
    try:
        return values.idempotency_key(submission)
    except Malformed:
        return None


def _paragraphs(text: str) -> list[str]:
    return text.split("\n\n")


def routes(settings: Settings) -> Router:
    """The pages, with room for more than the largest file."""
    most_bytes = BODY_MAX_RESUMES * settings.max_resume_bytes + ROOM_FOR_FIELDS
    return Router(
        "/",
        route_handlers=[show, send, receipt],
        middleware=[DrainBody(most_bytes)],
        request_max_body_size=most_bytes,
        include_in_schema=False,
    )
