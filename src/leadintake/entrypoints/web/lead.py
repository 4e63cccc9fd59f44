"""One lead: all that is known of it, and what can be done with it."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypedDict, Unpack
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from leadintake.application.desk import Change
from leadintake.domain.errors import IllegalTransition, NotQuarantined, NotRetryable
from leadintake.domain.events import EventKind
from leadintake.domain.lead import NOTES_MAX_CHARACTERS, State, notes_seen
from leadintake.domain.people import GRANTED, Permission
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.leads import EVENT_CURSOR, hand_out
from leadintake.entrypoints.http.reading import parsed_id, read_pairs
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web.pages import desk_page, just_done, redirect, saying
from leadintake.entrypoints.web.selection import Selection
from leadintake.entrypoints.web.session import RECORDS, inbox_path

EARLIER = "before"
"""What the address of a page has that shows an earlier part of the timeline: the event that it ends before."""

DONE = {
    "marked": "The lead is marked as reached out.",
    "released": "The lead is out of quarantine, and its mails go out.",
}
"""What was done just before, by what the address of the page says."""


@get("/inbox/leads/{lead_id:str}")
async def lead(request: SignedIn, lead_id: FromPath[str]) -> Template:
    """One lead, between its neighbours in the list that it was opened from."""
    return await lead_page(request, parsed_id(lead_id))


@post("/inbox/leads/{lead_id:str}/reach-out")
async def reach_out(request: SignedIn, lead_id: FromPath[str]) -> Template | Redirect:
    """Mark the lead; or say who was first."""
    try:
        await serving(request).app.desk.change(request.user, parsed_id(lead_id), Change(state=State.REACHED_OUT))
    except IllegalTransition as error:
        return await lead_page(request, parsed_id(lead_id), status=HTTPStatus.CONFLICT, first=error)
    return _back(request, lead_id, "marked")


@post("/inbox/leads/{lead_id:str}/release")
async def release(request: SignedIn, lead_id: FromPath[str]) -> Redirect:
    """Take the lead out of quarantine; where somebody else has done so, nothing more is needed."""
    with suppress(NotQuarantined):
        await serving(request).app.desk.release(request.user, parsed_id(lead_id))
    return _back(request, lead_id, "released")


@get("/inbox/leads/{lead_id:str}/discard")
async def ask_to_discard(request: SignedIn, lead_id: FromPath[str]) -> Template:
    """Say that nobody can bring it back, before it is discarded."""
    return await lead_page(request, parsed_id(lead_id), template="discard")


@post("/inbox/leads/{lead_id:str}/discard")
async def discard(request: SignedIn, lead_id: FromPath[str]) -> Template | Redirect:
    """Discard the lead; one that somebody has released meanwhile is shown instead."""
    try:
        await serving(request).app.desk.discard(request.user, parsed_id(lead_id))
    except NotQuarantined:
        return await lead_page(request, parsed_id(lead_id), status=HTTPStatus.CONFLICT, kept=True)
    return redirect(request, saying("/inbox" + Selection.read(request).parameters(), "discarded"))


@get("/inbox/leads/{lead_id:str}/resume", opt=RECORDS)
async def resume(request: SignedIn, lead_id: FromPath[str]) -> Response[Any]:
    """The file as it was uploaded."""
    return await hand_out(request, parsed_id(lead_id))


@get("/inbox/leads/{lead_id:str}/erase")
async def ask_to_erase(request: SignedIn, lead_id: FromPath[str]) -> Template:
    """Say what an erasure takes away, before it does."""
    request.user.require(Permission.ERASE_LEADS)
    return await lead_page(request, parsed_id(lead_id), template="erase")


@post("/inbox/leads/{lead_id:str}/erase")
async def erase(request: SignedIn, lead_id: FromPath[str]) -> Redirect:
    """Erase the lead."""
    await serving(request).app.desk.erase(request.user, parsed_id(lead_id))
    return redirect(request, saying("/inbox" + Selection.read(request).parameters(), "erased"))


@post("/inbox/deliveries/{delivery_id:str}/resend")
async def resend(request: SignedIn, delivery_id: FromPath[str]) -> Redirect:
    """Send a mail again; one that somebody else has sent again already needs nothing more."""
    form = await read_pairs(request)
    with suppress(NotRetryable):
        await serving(request).app.desk.retry(request.user, parsed_id(delivery_id))
    return redirect(request, inbox_path(form.get("next", "")))


class Told(TypedDict, total=False):
    """What the page of a lead may tell of a request that did not succeed.

    `first` says who had moved the lead before. `draft` are notes that could not be saved, and `wrong` is why, empty
    where somebody else has saved others meanwhile. `kept` says that the lead was not discarded, since it is not in
    quarantine.
    """

    first: IllegalTransition
    draft: str
    wrong: str
    kept: bool


async def lead_page(
    request: SignedIn, lead_id: UUID, *, template: str = "lead", status: int = HTTPStatus.OK, **told: Unpack[Told]
) -> Template:
    """The page of a lead."""
    app, selection = serving(request).app, Selection.read(request)
    before = request.query_params.get(EARLIER, "")
    found = await app.inbox.lead(
        request.user, lead_id, selection.query, int(before) if EVENT_CURSOR.fullmatch(before) else None
    )
    changes = [event for event in found.events if event.kind is EventKind.NOTES_CHANGED]
    return desk_page(
        request,
        template,
        found.trouble,
        status=status,
        place="lead",
        selection=selection,
        found=found,
        is_earlier=bool(before),
        lead=found.lead,
        now=app.inbox.now(),
        kept_until=app.retention.kept_until(found.lead),
        notes_changed=changes[-1] if changes else None,
        notes_seen=notes_seen(found.lead.notes),
        notes_max=NOTES_MAX_CHARACTERS,
        is_saved="saved" in request.query_params,
        done=just_done(request, DONE),
        may_erase=Permission.ERASE_LEADS in GRANTED[request.user.role],
        **{"first": None, "draft": None, "wrong": "", "kept": False, **told},
    )


def _back(request: SignedIn, lead_id: str, done: str) -> Redirect:
    return redirect(request, saying(f"/inbox/leads/{lead_id}{Selection.read(request).parameters()}", done))
