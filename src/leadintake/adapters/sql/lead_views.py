"""Leads as they are shown: what is selected of them, and the views that come of it."""

from dataclasses import fields
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from leadintake.adapters.sql.as_json import JSON
from leadintake.adapters.sql.hot import Row, run, scalar
from leadintake.adapters.sql.tables import leads, users
from leadintake.application.views import LeadView

COLUMNS = [field.name for field in fields(LeadView)]
LISTS = ("resume_flags", "quarantine")

_views = msgspec.json.Decoder(list[LeadView])


def select_views(found: sa.FromClause) -> sa.Select[Any]:
    """All that is shown of leads, which are found by their table or a join of it."""
    columns = (*(leads.c[name] for name in COLUMNS), users.c.full_name.label("reached_out_name"))
    return sa.select(*columns).select_from(found.outerjoin(users, leads.c.reached_out_by == users.c.id))


def fetch_views(connection: sa.Connection, statement: sa.Select[Any], values: Row) -> list[LeadView]:
    """The leads of a statement, which is made once, by `select_views`."""
    return _views.decode(scalar(run(connection, _as_json(statement, connection.dialect.name), values)))


@cache
def _as_json(statement: sa.Select[Any], database: str) -> sa.Select[Any]:
    json, found = JSON[database], statement.subquery("found")
    values = {name: json.of(found.c[name]) for name in COLUMNS}
    values |= {name: json.words(str(found.c[name])) for name in LISTS}
    by = json.named({"id": values["reached_out_by"], "full_name": "found.reached_out_name"})
    values["reached_out_by"] = f"CASE WHEN found.reached_out_by IS NOT NULL THEN {by} END"
    return sa.select(sa.literal_column(json.rows(json.named(values)))).select_from(found)
