"""How PostgreSQL finds leads by words that nobody has, or everybody: by indexes. Figures are in docs/adr/0009."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.records import FIRST_FIRM

from leadintake.adapters.sql.listing import FEW
from leadintake.adapters.sql.postgres import PostgresDatabase, connect
from leadintake.application.database import LeadQuery, Position
from leadintake.domain.lead import State

MANY = FEW + 5_000
ADD_MANY = f"""
INSERT INTO leads (id, firm_id, reference, first_name, last_name, email, words, state, notes, resume_path, resume_name,
                   resume_kind, resume_size, resume_sha256, resume_flags, created_at, updated_at, version)
SELECT lpad(n::text, 32, '0')::uuid, '{FIRST_FIRM}', 'LD-' || n, 'Every', 'Body', 'every@body.example',
       ' everybody word' || n, CASE n % 2 WHEN 0 THEN 'PENDING' ELSE 'REACHED_OUT' END, '', n || '.pdf', 'cv.pdf',
       'pdf', 1, '', '', n, n, 1
FROM generate_series(1, {MANY}) AS n;
INSERT INTO lead_words (firm_id, word, created_at, lead_id)
SELECT firm_id, unnest(string_to_array(trim(words), ' ')), created_at, id FROM leads;
ANALYZE leads, lead_words
"""


@pytest.fixture
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the server while the test runs."""
    seen: list[tuple[str, Any]] = []

    def see(_1: object, _2: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", see)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", see)


def scans(plan: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Each look at a table: how, at which, and how many rows came of it and were thrown away."""
    own = []
    if "Relation Name" in plan and plan["Relation Name"] != "users":
        looked_at = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        own = [(plan["Node Type"], plan["Relation Name"], round(looked_at))]
    return own + [scan for part in plan.get("Plans", []) for scan in scans(part)]


async def test_no_search_looks_at_every_lead(url: str, statements: list[tuple[str, Any]]) -> None:
    """For a page of fifty, some hundred rows are looked at, all by an index."""
    queries = [
        LeadQuery(),
        LeadQuery(state=State.PENDING),
        LeadQuery(words=["nobody"]),
        LeadQuery(words=["everybody"]),
        LeadQuery(words=["every"], oldest_first=True),
        LeadQuery(words=["word777"]),
        LeadQuery(words=["everybody", "word77"]),
        LeadQuery(words=["everybody"], state=State.REACHED_OUT),
        LeadQuery(words=["everybody", "nobody"], state=State.PENDING),
    ]
    connection = await connect(url)
    await connection.execute(ADD_MANY)
    database = PostgresDatabase(url)
    first = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery()))
    deep = Position(first[-1].created_at.replace(microsecond=MANY // 2), first[-1].id)
    looks: list[tuple[LeadQuery, str, str, int]] = []
    for query in [*queries, LeadQuery(after=deep), LeadQuery(words=["everybody"], after=deep)]:
        statements.clear()
        await database.read(FIRST_FIRM, lambda tx, query=query: tx.leads.page(query))  # type: ignore[misc] # mypy cannot infer a lambda with a default
        for statement, parameters in statements:
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters)
            looks += [(query, *scan) for scan in scans(json.loads(found)[0]["Plan"])]
    await database.close()
    await connection.close()

    assert len(looks) > len(queries)
    assert [look for look in looks if look[1] not in {"Index Scan", "Index Only Scan"}] == []
    assert [look for look in looks if look[3] > 300] == []
