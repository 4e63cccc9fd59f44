"""Pages of leads, by keyset, so that every page costs the same; searched by the beginnings of words."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.hot import run, scalar
from leadintake.adapters.sql.tables import IN_QUARANTINE, NOT_IN_QUARANTINE, lead_words, leads, users
from leadintake.application.database import LeadQuery
from leadintake.application.views import LeadView, ReachedOutBy
from leadintake.domain.lead import State
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.suspicion import Reason

Found = TypeVar("Found", bound=sa.Select[Any])

FEW = 20_000
"""So many matches of a word are sorted and looked up; above, walking the leads in order and filtering is faster."""

SHOWN_OF_A_LEAD = (
    "id", "reference", "first_name", "last_name", "email", "state", "notes",
    "resume_path", "resume_name", "resume_kind", "resume_size", "resume_sha256", "resume_flags",
    "created_at", "updated_at", "reached_out_at", "reached_out_by", "version", "quarantine",
)  # fmt: skip
SHOWN = sa.select(
    *(leads.c[name] for name in SHOWN_OF_A_LEAD), users.c.full_name.label("reached_out_name"), leads.c.words
).select_from(leads.outerjoin(users, leads.c.reached_out_by == users.c.id))

MATCHES = (
    lead_words.c.firm_id == sa.bindparam("firm"),
    lead_words.c.word >= sa.bindparam("word"),
    lead_words.c.word <= sa.bindparam("end"),
)
PROBE = sa.select(sa.func.count()).select_from(
    sa.select(sa.literal_column("1")).select_from(lead_words).where(*MATCHES).limit(FEW + 1).subquery()
)


def page(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> list[LeadView]:
    """The leads of a query, at most its limit."""
    word = _rarest(connection, firm_id, query)
    if word is not None:
        ids = connection.scalars(_with_word(query, word), _prefix(firm_id, word)).all()
        by_id = {row.id: view(row) for row in connection.execute(SHOWN.where(leads.c.id.in_(ids))).all()}
        return [by_id[lead_id] for lead_id in ids]
    return [view(row) for row in connection.execute(_walked(SHOWN, query), {"firm": firm_id}).all()]


def count(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> int:
    """How many leads a query has, counted up to its limit."""
    word = _rarest(connection, firm_id, query)
    found = _walked(sa.select(leads.c.id), query) if word is None else _with_word(query, word)
    counted = sa.select(sa.func.count()).select_from(found.subquery())
    return connection.scalar(counted, _prefix(firm_id, word or "")) or 0


def view(row: Sequence[Any]) -> LeadView:
    """A row of SHOWN as it is shown. To ask for its columns by name would take two fifths of the time of a page."""
    (
        lead_id, reference, first_name, last_name, email, state, notes,
        path, name, kind, size, sha256, found,
        created_at, updated_at, reached_out_at, reached_out_by, version, quarantine, by_name, _,
    ) = row  # fmt: skip
    return LeadView(
        lead_id, reference, first_name, last_name, email, State(state), notes,
        path, name, Kind(kind), size, sha256, flags(found),
        created_at, updated_at, reached_out_at, ReachedOutBy(reached_out_by, by_name) if reached_out_by else None,
        version, reasons(quarantine),
    )  # fmt: skip


def flags(found: str) -> list[Flag]:
    """The flags of a resume, as they are stored."""
    return [Flag(flag) for flag in found.split()]


def reasons(quarantine: str | None) -> list[Reason]:
    """Why a lead is in quarantine, as it is stored; empty where it is not."""
    return [Reason(reason) for reason in quarantine.split()] if quarantine else []


def _rarest(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> str | None:
    """The word of a query that the fewest leads have, or None when each of them has more than FEW.

    None in quarantine too: its leads have no words in the index, so that no flood of them makes searches slow.
    """
    if query.quarantined:
        return None
    counts = {word: scalar(run(connection, PROBE, _prefix(firm_id, word))) for word in query.words}
    rarest = min(counts, key=counts.__getitem__, default=None)
    return rarest if rarest is not None and counts[rarest] <= FEW else None


def _walked(found: Found, query: LeadQuery) -> Found:
    """The leads of a query, met by walking all of them in order."""
    part = IN_QUARANTINE if query.quarantined else NOT_IN_QUARANTINE
    conditions = [leads.c.firm_id == sa.bindparam("firm"), *_span(leads.c.created_at, leads.c.id, query)]
    order = _order(leads.c.created_at, leads.c.id, query=query)
    return found.where(part, *conditions, *_filter(query)).order_by(*order).limit(query.limit)


def _with_word(query: LeadQuery, word: str) -> sa.Select[tuple[UUID]]:
    """The ids of the leads of a query that has this word. Keys are matched and sorted first, because rows are wide.

    Where the word is all that is asked for, thousands of leads need not be looked at to show fifty.
    """
    key = (lead_words.c.created_at, lead_words.c.lead_id)
    matches = sa.select(*key).distinct().where(*MATCHES, *_span(*key, query)).cte("matches")
    order = _order(*matches.c, query=query)
    ids = sa.select(matches.c.lead_id).order_by(*order).limit(query.limit)
    conditions = _filter(query, word)
    return ids.join(leads, leads.c.id == matches.c.lead_id).where(*conditions) if conditions else ids


def _filter(query: LeadQuery, matched: str | None = None) -> list[sa.ColumnElement[bool]]:
    """The conditions of words and state that are not met by having matched a word."""
    conditions = [leads.c.words.contains(f" {word}") for word in query.words if word != matched]
    return conditions if query.state is None else [*conditions, leads.c.state == query.state]


def _prefix(firm_id: UUID, word: str) -> dict[str, object]:
    """All words that begin with this one; none holds the last code point, which is no letter, mark or number."""
    return {"firm": firm_id, "word": word, "end": word + "\U0010ffff"}


def _span(created_at: sa.Column[object], lead_id: sa.Column[object], query: LeadQuery) -> list[sa.ColumnElement[bool]]:
    """The conditions of time and of the page before."""
    conditions: list[sa.ColumnElement[bool]] = []
    if query.created_from is not None:
        conditions.append(created_at >= query.created_from)
    if query.created_to is not None:
        conditions.append(created_at < query.created_to)
    if query.after is not None:
        here = sa.tuple_(created_at, lead_id)
        last = sa.tuple_(query.after.created_at, query.after.id, types=[created_at.type, lead_id.type])
        conditions.append(here > last if query.oldest_first else here < last)
    return conditions


def _order(*key: sa.ColumnElement[Any], query: LeadQuery) -> list[sa.UnaryExpression[Any]]:
    return [column.asc() if query.oldest_first else column.desc() for column in key]
