"""Pages of leads, by keyset, so that every page costs the same; searched by the beginnings of words."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.hot import Row, run, scalar
from leadintake.adapters.sql.lead_views import fetch_views, select_views
from leadintake.adapters.sql.tables import EPOCH, IN_QUARANTINE, NOT_IN_QUARANTINE, lead_words, leads
from leadintake.application.ports.database import LeadQuery, Position
from leadintake.application.views import LeadView
from leadintake.domain.search import words
from leadintake.domain.values import meant_reference

FEW = 20_000
"""So many matches of a word are sorted and looked up; above, walking the leads in order and filtering is faster."""

MANY = 200_000
"""The same where other words are asked for too, and more leads have to be walked to find them all in one."""

NEAREST = 4_000
"""So many matches are looked at first for what the index does not tell; all, where too few of them are meant."""

CHEAPER = 10
"""Before all are looked at, words of ten times as many matches are compared in the index, which is so much cheaper."""

NOWHERE = Position(EPOCH, UUID(int=0))
LIMIT, MOST = (sa.bindparam(name, type_=sa.Integer) for name in ("limit", "most"))


class Shape(NamedTuple):
    """What of a query its statement depends on; all else is a parameter. Each statement is made once and kept.

    `indexed` is how many words are found by the index, and `filtered` how many are looked for in each lead.
    """

    indexed: int
    filtered: int
    has_state: bool
    has_from: bool
    has_to: bool
    has_after: bool
    oldest_first: bool
    quarantined: bool


def page(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> list[LeadView]:
    """The leads of a query, at most its limit. Words that no lead has may be a reference that was misheard."""
    found = _page_of_words(connection, firm_id, query)
    meant = None if found or query.after else _misheard(query)
    return _page_of_words(connection, firm_id, meant) if meant else found


def count(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> int:
    """How many leads a query has, counted up to its limit; as `page` finds them."""
    counted = _count_of_words(connection, firm_id, query)
    meant = None if counted or query.after else _misheard(query)
    return _count_of_words(connection, firm_id, meant) if meant else counted


def _misheard(query: LeadQuery) -> LeadQuery | None:
    reference = meant_reference(" ".join(query.words))
    meant = replace(query, words=words(reference)) if reference else query
    return None if [*meant.words] == [*query.words] else meant


def _page_of_words(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> list[LeadView]:
    found: list[LeadView] = []
    for shape, values in _tries(connection, firm_id, query):
        found = fetch_views(connection, _page(shape), values)
        if len(found) >= query.limit:
            break
    return found


def _count_of_words(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> int:
    counted = 0
    for shape, values in _tries(connection, firm_id, query):
        counted = scalar(run(connection, _count(shape), values))
        if counted >= query.limit:
            break
    return counted


def _tries(connection: sa.Connection, firm_id: UUID, query: LeadQuery) -> Iterator[tuple[Shape, Row]]:
    """A query as the shape and the parameters of its statement, and once more where the first may find too little.

    In quarantine no word is indexed, so that no flood makes searches slow.
    """
    probed = [] if query.quarantined else query.words

    def count_up_to(most: int) -> dict[str, int]:
        """The words of at most so many matches, by how many they have."""
        parameters = {"firm": firm_id, "most": most + 1}
        counts = {word: scalar(run(connection, _probe(), parameters | _range(0, word))) for word in probed}
        return {word: found for word, found in counts.items() if found <= most}

    counts = count_up_to(FEW) or (count_up_to(MANY) if len(probed) > 1 else {})
    shape, values = _asked(firm_id, query, counts)
    yield shape, {**values, "most": NEAREST}
    matches = min(counts.values(), default=0)
    if matches > NEAREST and (shape.filtered or shape.has_state):
        shape, values = _asked(firm_id, query, count_up_to(matches * CHEAPER))
        yield shape, {**values, "most": matches}


def _asked(firm_id: UUID, query: LeadQuery, counts: Mapping[str, int]) -> tuple[Shape, Row]:
    """What is asked for, where these words are found by the index: that of the most matches first, see `_by_words`."""
    indexed = sorted(counts, key=counts.__getitem__, reverse=True)
    filtered = [word for word in query.words if word not in counts]
    shape = Shape(
        len(indexed), len(filtered), query.state is not None,
        query.created_from is not None, query.created_to is not None, query.after is not None,
        query.oldest_first, query.quarantined,
    )  # fmt: skip
    after = query.after or NOWHERE
    values: dict[str, object] = {
        "firm": firm_id,
        "state": query.state,
        "from": query.created_from,
        "to": query.created_to,
        "after": after.created_at,
        "after_id": after.id,
        "limit": query.limit,
    }
    for number, word in enumerate(indexed):
        values |= _range(number, word)
    values |= {f"part_{number}": f" {word}" for number, word in enumerate(filtered)}
    return shape, values


def _range(number: int, word: str) -> dict[str, object]:
    """All words that begin with this one; none holds the last code point, which is no letter, mark or number."""
    return {f"word_{number}": word, f"end_{number}": word + "\U0010ffff"}


def _in_range(number: int, table: sa.FromClause = lead_words) -> tuple[sa.ColumnElement[bool], ...]:
    word = table.c.word
    firm = table.c.firm_id == sa.bindparam("firm")
    return firm, word >= sa.bindparam(f"word_{number}"), word <= sa.bindparam(f"end_{number}")


@cache
def _probe() -> sa.Select[Any]:
    """How many matches a word has, counted up to a limit."""
    some: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(lead_words).where(*_in_range(0)).limit(MOST)
    return sa.select(sa.func.count()).select_from(some.subquery())


@cache
def _page(shape: Shape) -> sa.Select[Any]:
    if not shape.indexed:
        return _walked(select_views(leads), shape)
    found = _by_words(shape).subquery()
    page = select_views(found.join(leads, leads.c.id == found.c.lead_id))
    return page.order_by(*_order(*found.c, shape=shape))


@cache
def _count(shape: Shape) -> sa.Select[Any]:
    found = _by_words(shape) if shape.indexed else _walked(sa.select(leads.c.id), shape)
    return sa.select(sa.func.count()).select_from(found.subquery())


def _walked(found: sa.Select[Any], shape: Shape) -> sa.Select[Any]:
    """The leads of a query, met by walking all of them in order."""
    part = IN_QUARANTINE if shape.quarantined else NOT_IN_QUARANTINE
    key = (leads.c.created_at, leads.c.id)
    found = found.where(part, leads.c.firm_id == sa.bindparam("firm"), *_span(*key, shape), *_filter(shape))
    return found.order_by(*_order(*key, shape=shape)).limit(LIMIT)


def _by_words(shape: Shape) -> sa.Select[Any]:
    """The keys of the leads of a query that have the indexed words. Keys are matched and sorted, because rows are wide.

    Where nothing else is asked for, thousands of leads need not be looked at to show fifty. One word may be of a lead
    several times: they are grouped, because SQLite sorts for that, and puts row by row into a B-tree for DISTINCT.
    The first word is that of the most matches, because SQLite makes a table of the matches of each of the others.
    """
    key = (lead_words.c.created_at, lead_words.c.lead_id)
    found = sa.select(*key).where(*_in_range(0), *_span(*key, shape))
    for number in range(1, shape.indexed):
        of_word = lead_words.alias()
        found = found.where(key[1].in_(sa.select(of_word.c.lead_id).where(*_in_range(number, of_word))))
    found = found.group_by(*key).order_by(*_order(*key, shape=shape))
    conditions = _filter(shape)
    if not conditions:
        return found.limit(LIMIT)
    nearest = found.limit(MOST).subquery("nearest")
    meant = sa.select(*nearest.c).join(leads, leads.c.id == nearest.c.lead_id).where(*conditions)
    return meant.order_by(*_order(*nearest.c, shape=shape)).limit(LIMIT)


def _filter(shape: Shape) -> list[sa.ColumnElement[bool]]:
    """The conditions of state, and of the words that are not indexed."""
    conditions = [leads.c.words.contains(sa.bindparam(f"part_{number}")) for number in range(shape.filtered)]
    return [*conditions, leads.c.state == sa.bindparam("state")] if shape.has_state else conditions


def _span(created_at: sa.Column[object], lead_id: sa.Column[object], shape: Shape) -> list[sa.ColumnElement[bool]]:
    """The conditions of time and of the page before."""
    conditions: list[sa.ColumnElement[bool]] = []
    if shape.has_from:
        conditions.append(created_at >= sa.bindparam("from"))
    if shape.has_to:
        conditions.append(created_at < sa.bindparam("to"))
    if shape.has_after:
        here = sa.tuple_(created_at, lead_id)
        last = sa.tuple_(sa.bindparam("after", type_=created_at.type), sa.bindparam("after_id", type_=lead_id.type))
        conditions.append(here > last if shape.oldest_first else here < last)
    return conditions


def _order(*key: sa.ColumnElement[Any], shape: Shape) -> list[sa.UnaryExpression[Any]]:
    return [column.asc() if shape.oldest_first else column.desc() for column in key]
