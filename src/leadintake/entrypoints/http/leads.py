"""One lead: read it, change it, open its resume, see its timeline, erase it."""

import re
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from msgspec import UNSET, Meta, Struct, UnsetType

from leadintake.application.desk import Change
from leadintake.application.views import EventView, LeadView
from leadintake.domain.errors import FileUnavailable, IllegalTransition, Malformed, NotAllowed, NotQuarantined, Stale
from leadintake.domain.lead import NOTES_MAX_CHARACTERS, State
from leadintake.domain.resume import Kind
from leadintake.entrypoints.attachment import attachment
from leadintake.entrypoints.http.document import describe
from leadintake.entrypoints.http.guard import SignedIn, signed_in
from leadintake.entrypoints.http.reading import AnyRequest, parsed_id, read_json, read_query, said
from leadintake.entrypoints.http.serving import serving

TAG = r'(?:W/)?"[!#-~]*"'
TAGS = rf"\*|{TAG}(?:[ \t]*,[ \t]*{TAG})*"
"""RFC 9110 sections 8.8.3 and 13.1.1, in ASCII."""

EVENT_CURSOR = re.compile("^[1-9][0-9]{0,17}$")
"""The id of the last event of a part, below 2 to the 63rd."""

VERSION = re.compile('"([1-9][0-9]{0,9})"')

IF_MATCH = {
    "type": "string",
    "pattern": rf"^(\*|{TAG}(, {TAG})*)$",
    "description": "Change the lead only if this is still its ETag.",
}
ETAG = {"ETag": "Names this version of the lead, for If-Match."}


class LeadChange(Struct):
    """What to change of a lead: all of it happens, or nothing."""

    state: Annotated[State, Meta(description="Either PENDING or REACHED_OUT.")] | UnsetType = UNSET
    notes: (
        Annotated[
            str,
            Meta(
                description=f"The new notes, as text of at most {NOTES_MAX_CHARACTERS:,} characters.",
                max_length=NOTES_MAX_CHARACTERS,
            ),
        ]
        | UnsetType
    ) = UNSET


class TimelinePart(Struct):
    """Which part of a timeline."""

    limit: Annotated[int, Meta(description="How many: a whole number from 1 to 100.", ge=1, le=100)] = 100
    cursor: (
        Annotated[
            str,
            Meta(
                description="The next_cursor of the part before.", extra_json_schema={"pattern": EVENT_CURSOR.pattern}
            ),
        ]
        | None
    ) = None


class Timeline(Struct):
    """What happened, the oldest first. `next_cursor` leads to what happened next; it is null on the last part."""

    items: list[EventView]
    next_cursor: str | None


@get("/leads/{lead_id:str}", operation_id="getLead", summary="Read a lead", opt=describe(answers=ETAG))
async def lead(request: SignedIn, lead_id: FromPath[str]) -> Response[LeadView]:
    """One lead. Send its `ETag` as `If-Match` with a change, and nothing newer is overwritten."""
    return _tagged(await serving(request).app.desk.view(request.user, parsed_id(lead_id)))


@patch(
    "/leads/{lead_id:str}",
    operation_id="changeLead",
    summary="Change a lead",
    opt=describe(IllegalTransition, Stale, json=LeadChange, headers={"If-Match": IF_MATCH}, answers=ETAG),
)
async def change(request: SignedIn, lead_id: FromPath[str]) -> Response[LeadView]:
    """Mark a lead as reached out, replace its notes, or both.

    The only move is from PENDING to REACHED_OUT, once. Whoever comes second is told who was first, and when.
    """
    wished = Change(**said(await read_json(request, LeadChange)), versions=_versions(request))
    return _tagged(await serving(request).app.desk.change(request.user, parsed_id(lead_id), wished))


@post(
    "/leads/{lead_id:str}/release",
    status_code=HTTPStatus.OK,
    operation_id="releaseLead",
    summary="Release a lead from quarantine",
    opt=describe(NotQuarantined, answers=ETAG),
)
async def release(request: SignedIn, lead_id: FromPath[str]) -> Response[LeadView]:
    """Make it a lead like any other, once: its mails are owed from now on."""
    return _tagged(await serving(request).app.desk.release(request.user, parsed_id(lead_id)))


@post(
    "/leads/{lead_id:str}/discard",
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="discardLead",
    summary="Discard a lead in quarantine",
    opt=describe(NotQuarantined),
)
async def discard(request: SignedIn, lead_id: FromPath[str]) -> None:
    """Delete it with its file and notes, for good. Its timeline stays, without personal data."""
    await serving(request).app.desk.discard(request.user, parsed_id(lead_id))


@delete("/leads/{lead_id:str}", operation_id="eraseLead", summary="Erase a lead", opt=describe(NotAllowed))
async def erase(request: SignedIn, lead_id: FromPath[str]) -> None:
    """Erase a lead with its file, notes and owed mail; for admins. Its timeline stays, without personal data."""
    await serving(request).app.desk.erase(request.user, parsed_id(lead_id))


@get(
    "/leads/{lead_id:str}/events",
    operation_id="listEvents",
    summary="See the timeline of a lead",
    opt=describe(query=TimelinePart),
)
async def events(request: SignedIn, lead_id: FromPath[str]) -> Timeline:
    """Who did what, and when, the oldest first; also of a lead that was erased."""
    part = read_query(request, TimelinePart)
    if part.cursor is not None and not EVENT_CURSOR.fullmatch(part.cursor):
        raise Malformed("The cursor is not from a timeline. Start again without one.")
    found = await serving(request).app.desk.events(
        request.user, parsed_id(lead_id), after=int(part.cursor or 0), limit=part.limit + 1
    )
    items = found[: part.limit]
    return Timeline(items, str(items[-1].id) if len(found) > part.limit else None)


@get(
    "/leads/{lead_id:str}/resume",
    operation_id="getResume",
    summary="Open the resume of a lead",
    opt=describe(
        FileUnavailable,
        content={kind.media_type: {"type": "string", "format": "binary"} for kind in Kind},
        answers={
            "Content-Disposition": "The name of the file, as an attachment.",
            "Content-Length": "Its size in bytes.",
        },
        redirect="An address that hands out the file for a minute to whoever has it, without a token.",
    ),
)
async def resume(request: SignedIn, lead_id: FromPath[str]) -> Response[Any]:
    """The file as it was uploaded, byte for byte. The timeline keeps who opened it.

    With `LEADINTAKE_FILES_REDIRECT=on` the answer is 302, and the file comes from the object store itself.
    """
    return await hand_out(request, parsed_id(lead_id))


async def hand_out(request: SignedIn, lead_id: UUID) -> Response[Any]:
    """The resume of a lead, as an attachment that runs nothing; raises NotFound or FileUnavailable."""
    here = serving(request)
    found, content = await here.app.desk.open_resume(request.user, lead_id, by_link=here.settings.files_redirect)
    if isinstance(content, str):
        return Redirect(content)
    headers = {
        "Content-Disposition": attachment(found.name),
        "Content-Length": str(found.size),
        "Content-Security-Policy": "sandbox",
    }
    return Stream(content, media_type=found.kind.media_type, headers=headers)


def _tagged(lead: LeadView) -> Response[LeadView]:
    return Response(lead, headers={"ETag": f'"{lead.version}"'})


def _versions(request: AnyRequest) -> frozenset[int] | None:
    """The versions that If-Match names, None for any. Weak tags never match; raises Malformed for what are no tags."""
    given: list[Any] = request.headers.getall("If-Match", [])
    if not given:
        return None
    listed = ", ".join(given).strip()
    if not re.fullmatch(TAGS, listed):
        raise Malformed('The If-Match header must be *, or the ETag of the lead in its quotes, such as "3".')
    if listed == "*":
        return None
    return frozenset(int(tag[1:-1]) for tag in re.findall(TAG, listed) if VERSION.fullmatch(tag))


routes = Router(
    "/",
    route_handlers=[lead, change, release, discard, erase, events, resume],
    before_request=signed_in,
    tags=["Leads"],
)
