"""The list of leads, and the notice of new ones."""

from dataclasses import replace

from litestar import get
from litestar.response import Redirect, Template

from leadintake.application.inbox import COUNT_MAX
from leadintake.application.ports.database import LeadQuery, Position
from leadintake.application.views import LeadView
from leadintake.domain.errors import Malformed
from leadintake.entrypoints.http.cursor import seal, unseal
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web import words
from leadintake.entrypoints.web.pages import desk_page, just_done, page, redirect, saying
from leadintake.entrypoints.web.selection import Selection
from leadintake.entrypoints.web.session import POLLS

ARRIVALS = LeadQuery(oldest_first=True)
"""The list in which new leads are counted: all of them."""

ARRIVALS_MAX = 100

DONE = {"erased": "The lead is erased.", "discarded": "The enquiry is discarded."}
"""What was done just before, by what the address of the page says."""


@get("/inbox")
async def inbox(request: SignedIn) -> Template | Redirect:
    """One page of a list. An address that is spelled in another way than ours leads to ours."""
    app, selection = serving(request).app, Selection.read(request)
    turn = "before" if "before" in request.query_params else "after"
    query = _turned(selection.query) if turn == "before" else selection.query
    cursor, start = _start(request, query, request.query_params.get(turn, ""))
    found = await app.inbox.page(request.user, replace(query, after=start))
    if turn == "before" and not found.has_more:
        cursor = ""  # This is the first page, or less than that.
    address = "/inbox" + selection.parameters(**{turn: cursor})
    done = next((name for name in DONE if name in request.query_params), None)
    if done:
        address = saying(address, done)
    if request.url.query != address.partition("?")[2]:
        return redirect(request, address)
    leads = found.items if turn == "after" else found.items[::-1]

    def link(to: str, lead: LeadView, along: LeadQuery) -> str:
        edge = Position(lead.created_at, lead.id)
        return "/inbox" + selection.parameters(**{to: seal(edge, along, request.user.id, app.sealing_keys)})

    return desk_page(
        request,
        "inbox",
        found.trouble,
        place="inbox",
        selection=selection,
        done=just_done(request, DONE),
        leads=[] if selection.wrong else leads,
        found=found,
        count_max=COUNT_MAX,
        now=app.inbox.now(),
        previous_page=link("before", leads[0], _turned(selection.query)) if leads and cursor else None,
        next_page=link("after", leads[-1], selection.query) if leads and (found.has_more or turn == "before") else None,
        since=seal(found.newest, ARRIVALS, request.user.id, app.sealing_keys) if found.newest else "",
    )


@get("/inbox/new", opt=POLLS)
async def arrivals(request: SignedIn) -> Template:
    """How many leads have come since a page was made, as the part of it that says so."""
    app, since = serving(request).app, request.query_params.get("since", "")
    start = unseal(since, ARRIVALS, request.user.id, app.sealing_keys) if since else None
    count = await app.inbox.arrived_since(request.user, start, ARRIVALS_MAX)
    return page("arrivals", since=since, arrived=words.capped(count, ARRIVALS_MAX))


def _start(request: SignedIn, query: LeadQuery, cursor: str) -> tuple[str, Position | None]:
    """A cursor and the position in it; nothing for one that is not of this list."""
    try:
        return cursor, unseal(cursor, query, request.user.id, serving(request).app.sealing_keys)
    except Malformed:
        return "", None


def _turned(query: LeadQuery) -> LeadQuery:
    """The same list from its other end."""
    return replace(query, oldest_first=not query.oldest_first)
