"""The list of leads: filters, search, pages."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, cast

import msgspec
from litestar import Response, Router, get
from litestar.serialization import encode_json
from msgspec import Meta, Struct

from leadintake.application.desk import Page
from leadintake.application.ports.database import LeadQuery
from leadintake.application.views import LeadView
from leadintake.domain.errors import FieldError, Invalid
from leadintake.domain.lead import State
from leadintake.domain.search import QUERY_MAX_CHARACTERS, QUERY_MAX_WORDS, query_words
from leadintake.entrypoints.http.cursor import CURSOR_CHARACTERS, seal, unseal
from leadintake.entrypoints.http.document import describe
from leadintake.entrypoints.http.guard import SignedIn, signed_in
from leadintake.entrypoints.http.reading import read_query
from leadintake.entrypoints.http.serving import serving

WORD, BETWEEN = r"[\p{L}\p{M}\p{N}]", r"[^\p{L}\p{M}\p{N}]"
WORDS = f"^{BETWEEN}*{WORD}+(?:{BETWEEN}+{WORD}+){{0,{QUERY_MAX_WORDS - 1}}}{BETWEEN}*$"

Search = Annotated[
    str,
    Meta(
        description="Words that each begin a word of name, address or reference; case and accents do not count.",
        extra_json_schema={"maxLength": QUERY_MAX_CHARACTERS, "pattern": WORDS},
    ),
]
Moment = Annotated[str, Meta(extra_json_schema={"anyOf": [{"format": "date-time"}, {"format": "date"}]})]
Cursor = Annotated[
    str,
    Meta(
        description="The next_cursor of the page before, all else the same.",
        extra_json_schema={"pattern": f"^[A-Za-z0-9_-]{{{CURSOR_CHARACTERS}}}$"},
    ),
]
WithOffset = Annotated[datetime, Meta(tz=True)]


class Sort(StrEnum):
    """The order of a list."""

    NEWEST_FIRST = "-created_at"
    OLDEST_FIRST = "created_at"


class Filters(Struct):
    """Which leads to list, and how."""

    state: Annotated[State, Meta(description="Either PENDING or REACHED_OUT.")] | None = None
    q: Search | None = None
    created_from: Annotated[Moment, Meta(description="From then on: a date, or RFC 3339 with an offset.")] | None = None
    created_to: Annotated[Moment, Meta(description="Before then: a date, or RFC 3339 with an offset.")] | None = None
    quarantined: Annotated[bool, Meta(description="true for those in quarantine, false for all others.")] = False
    sort: Annotated[Sort, Meta(description="Either -created_at, the newest first, or created_at.")] = Sort.NEWEST_FIRST
    limit: Annotated[int, Meta(description="How many: a whole number from 1 to 100.", ge=1, le=100)] = 50
    cursor: Cursor | None = None


class LeadPage(Struct):
    """Some leads. `next_cursor` leads to the next page; it is null on the last."""

    items: list[LeadView]
    next_cursor: str | None


@get("/leads", operation_id="listLeads", summary="List and search", opt=describe(query=Filters))
async def leads(request: SignedIn) -> Response[LeadPage]:
    """The leads that pass all filters. While new ones arrive, following `next_cursor` skips and repeats none."""
    app, user = serving(request).app, request.user
    filters = read_query(request, Filters)
    query = LeadQuery(
        state=filters.state,
        words=tuple(query_words(filters.q)) if filters.q is not None else (),
        created_from=_moment(filters.created_from, "created_from"),
        created_to=_moment(filters.created_to, "created_to"),
        oldest_first=filters.sort is Sort.OLDEST_FIRST,
        limit=filters.limit,
        quarantined=filters.quarantined,
    )
    after = None if filters.cursor is None else unseal(filters.cursor, query, user.id, app.sealing_keys)

    def show(page: Page) -> bytes:
        cursor = seal(page.next, query, user.id, app.sealing_keys) if page.next else None
        return encode_json(LeadPage(page.items, cursor))

    shown = await app.desk.page(user, replace(query, after=after), show)
    return Response(cast("LeadPage", shown))  # Bytes go out as they are.


def _moment(text: str | None, field: str) -> datetime | None:
    """A date, which means its first moment in UTC, or a time with its offset; raises Invalid."""
    if text is None:
        return None
    try:
        return datetime.combine(msgspec.convert(text, date), time.min, UTC)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(text, WithOffset).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        advice = "Give a date (2026-01-31), or a time with its offset (2026-01-31T09:00:00Z; in a query, + is %2B)."
        raise Invalid(FieldError(field, advice)) from None


routes = Router("/", route_handlers=[leads], before_request=signed_in, tags=["Leads"])
