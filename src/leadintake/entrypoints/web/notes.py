"""The notes of a lead: nothing that somebody wrote is lost, whoever wrote at the same time, and whatever has ended."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus

from litestar import post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from leadintake.application.desk import Change
from leadintake.domain.errors import Invalid, NotFound, NotSignedIn, Stale, Unavailable
from leadintake.domain.lead import notes_seen
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.reading import AnyRequest, parsed_id, read_pairs
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web.errors import error_page
from leadintake.entrypoints.web.lead import lead_page
from leadintake.entrypoints.web.pages import redirect, saying
from leadintake.entrypoints.web.selection import Selection
from leadintake.entrypoints.web.session import inbox_path, sign_in_form, signed_in


@dataclass(frozen=True, slots=True)
class Draft:
    """Notes as somebody wrote them for a lead, and the fingerprint of those that stood there before."""

    lead: str
    notes: str
    seen: str

    @classmethod
    def read(cls, form: Mapping[str, str]) -> "Draft | None":
        """The draft in a form, if it has one. Browsers send line breaks as CR LF (WHATWG HTML 4.10.22.4)."""
        if not {"lead", "notes", "seen"} <= form.keys():
            return None
        return cls(form["lead"], form["notes"].replace("\r\n", "\n"), form["seen"])


@post("/inbox/leads/{lead_id:str}/notes")
async def keep(request: AnyRequest, lead_id: FromPath[str]) -> Template | Redirect:
    """Save notes. Where the session has ended meanwhile, a sign-in is asked for that saves them."""
    form = await read_pairs(request)
    draft = Draft.read({**form, "lead": lead_id})
    address = f"/inbox/leads/{lead_id}{Selection.read(request).parameters()}"
    if draft is None:
        return redirect(request, inbox_path(address))
    wants_both = "both" in form
    try:
        await signed_in(request, request.route_handler)
    except NotSignedIn:  # Saved as if it had seen nothing, both are shown again.
        kept = replace(draft, seen="") if wants_both else draft
        return sign_in_form(inbox_path(address), kept=asdict(kept), status=HTTPStatus.UNAUTHORIZED)
    if wants_both:
        with suppress(NotFound):  # Then `save` says so, and shows the draft.
            draft = await _with_theirs(request, draft)
    return await save(request, draft, address)


async def save(request: SignedIn, draft: Draft, address: str) -> Template | Redirect:
    """Save a draft and show the lead; where that cannot be, show both, or of a lead that is gone the draft."""
    try:
        return await _saved(request, draft, address)
    except NotFound as error:
        return error_page(request, error, draft=draft.notes)


async def _with_theirs(request: SignedIn, draft: Draft) -> Draft:
    """A draft below the notes that were seen beside it; as it is where others stand there meanwhile."""
    theirs = (await serving(request).app.desk.view(request.user, parsed_id(draft.lead))).notes
    return replace(draft, notes=f"{theirs}\n\n{draft.notes}") if notes_seen(theirs) == draft.seen else draft


async def _saved(request: SignedIn, draft: Draft, address: str) -> Template | Redirect:
    lead_id = parsed_id(draft.lead)
    change = Change(notes=draft.notes, seen_notes=draft.seen)
    try:
        await serving(request).app.desk.change(request.user, lead_id, change)
    except Stale:
        return await lead_page(request, lead_id, status=HTTPStatus.CONFLICT, draft=draft.notes)
    except Invalid as error:
        return await lead_page(
            request, lead_id, status=HTTPStatus.UNPROCESSABLE_ENTITY, draft=draft.notes, wrong=error.errors[0].message
        )
    except Unavailable as error:
        return await lead_page(
            request, lead_id, status=HTTPStatus.SERVICE_UNAVAILABLE, draft=draft.notes, wrong=error.detail
        )
    return redirect(request, f"{inbox_path(saying(address, 'saved'))}#notes")
