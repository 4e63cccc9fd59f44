"""How PostgreSQL finds what a page shows among many leads: by indexes. Figures are in docs/adr/0009."""

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.fakes import FixedClock
from tests.records import FIRST_FIRM, user

from leadintake.adapters.sql.listing import FEW, NEAREST
from leadintake.adapters.sql.postgres import PostgresDatabase, connect
from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.adapters.sql.tables import EPOCH, MICROSECOND
from leadintake.application.inbox import COUNT_MAX, Inbox, Trouble
from leadintake.application.ports.database import LeadQuery, Position
from leadintake.application.views import LeadView
from leadintake.domain.delivery import GIVE_UP_AFTER, Status
from leadintake.domain.lead import State

pytestmark = pytest.mark.long

GRACE = user()
MANY = FEW + 5_000
SUSPICIOUS = 5_000
FEW_MAILS = 50
MISSED = FEW_MAILS // 2
"""Of the mails that failed, those of leads that nobody has reached out to."""

TAKEN = 8
TOKEN = UUID(int=7)
ADD_MANY = f"""
INSERT INTO leads (id, firm_id, reference, first_name, last_name, email, words, state, notes, resume_path, resume_name,
                   resume_kind, resume_size, resume_sha256, resume_flags, created_at, updated_at, version, quarantine)
SELECT lpad(n::text, 32, '0')::uuid, '{FIRST_FIRM}', 'LD-' || n, 'Every', 'Body', 'every@body.example',
       ' everybody word' || n, CASE n % 2 WHEN 0 THEN 'PENDING' ELSE 'REACHED_OUT' END, '', n || '.pdf', 'cv.pdf',
       'pdf', 1, '', '', n, n, 1, CASE WHEN n > {MANY} THEN 'trap' END
FROM generate_series(1, {MANY + SUSPICIOUS}) AS n;
INSERT INTO lead_words (firm_id, word, created_at, lead_id)
SELECT firm_id, unnest(string_to_array(trim(words), ' ')), created_at, id FROM leads
WHERE quarantine IS NULL;
ANALYZE leads, lead_words
"""
ADD_ONE_OLD = f"""
INSERT INTO lead_words (firm_id, word, created_at, lead_id)
SELECT firm_id, 'old' || n, created_at, id FROM leads, generate_series(1, {FEW + 1}) AS n WHERE reference = 'LD-1';
UPDATE leads SET words = words || ' old1' WHERE reference = 'LD-1';
ANALYZE leads, lead_words
"""
"""What makes the oldest lead the only one with a word that is too frequent for the index to tell."""

OWE_MAILS = f"""
INSERT INTO events (firm_id, lead_id, kind, at, actor_kind, data)
SELECT firm_id, id, 'lead.submitted', created_at, 'prospect', '{{}}' FROM leads WHERE quarantine IS NULL;
INSERT INTO deliveries (id, firm_id, lead_id, event_id, channel, purpose, recipient, mailbox, status, message_id,
                        attempts, due_at, give_up_at, created_at)
SELECT gen_random_uuid(), firm_id, lead_id, id, 'email', purpose, 'every@body.example', 'every@body.example', status,
       '', 1, CASE status WHEN 'pending' THEN at END, at + {GIVE_UP_AFTER // MICROSECOND}, at
FROM events, (VALUES ('confirmation'), ('notification')) AS owed (purpose),
LATERAL (SELECT CASE WHEN purpose = 'confirmation' THEN 'sent' WHEN id <= {FEW_MAILS} THEN 'failed'
                     WHEN id <= 2 * {FEW_MAILS} THEN 'held' ELSE 'pending' END) AS became (status);
ANALYZE events, deliveries
"""


@dataclass
class Crowd:
    """A database of many leads, each with a mail that was sent and one that was not, and what is asked of it.

    On top of them is a flood in quarantine, newer than any.
    """

    database: PostgresDatabase
    connection: Any
    statements: list[tuple[str, Any]] = field(default_factory=list)

    async def page(self, query: LeadQuery) -> list[LeadView]:
        """The leads of a query."""
        return await self.database.read(FIRST_FIRM, lambda tx: tx.leads.page(query))

    async def looks(self) -> list[tuple[str, str, int]]:
        """How each statement so far looks at each table, and at how many rows; then they are forgotten."""
        plans = [
            json.loads(await self.connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters))
            for statement, parameters in self.statements
        ]
        self.statements.clear()
        return [scan for plan in plans for scan in scans(plan[0]["Plan"])]


def scans(plan: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Each look at a table: how, at which, and how many rows came of it and were thrown away."""
    own = []
    if "Relation Name" in plan and plan["Relation Name"] != "users":
        looked_at = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        own = [(plan["Node Type"], plan["Relation Name"], round(looked_at))]
    return own + [scan for part in plan.get("Plans", []) for scan in scans(part)]


@pytest.fixture
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the server while the test runs, but for counts of a word: they end at FEW, however it is read."""
    seen: list[tuple[str, Any]] = []

    def see(_1: object, _2: object, statement: str, parameters: object, *_: object) -> None:
        if not ("count(*)" in statement and "lead_words" in statement):
            seen.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", see)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", see)


@pytest.fixture
async def crowd(url: str, statements: list[tuple[str, Any]]) -> AsyncIterator[Crowd]:
    """A database of many leads."""
    connection = await connect(url)
    await connection.execute(ADD_MANY)
    database = PostgresDatabase(url)
    yield Crowd(database, connection, statements)
    await database.aclose()
    await connection.execute("TRUNCATE leads CASCADE")  # The next test would delete so many one by one.
    await connection.close()


@pytest.mark.attack(133, 178)
async def test_no_search_looks_at_every_lead(crowd: Crowd) -> None:
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
        LeadQuery(quarantined=True),
        LeadQuery(quarantined=True, oldest_first=True),
        LeadQuery(quarantined=True, words=["everybody"]),
    ]
    first = await crowd.page(LeadQuery())
    deep = Position(first[-1].created_at.replace(microsecond=MANY // 2), first[-1].id)
    looks: list[tuple[LeadQuery, str, str, int]] = []
    for query in [*queries, LeadQuery(after=deep), LeadQuery(words=["everybody"], after=deep)]:
        crowd.statements.clear()
        await crowd.page(query)
        looks += [(query, *look) for look in await crowd.looks()]

    assert len(looks) > len(queries)
    assert [look for look in looks if look[1] not in {"Index Scan", "Index Only Scan"}] == []
    assert [look for look in looks if look[3] > 300] == []


async def test_all_matches_are_looked_at_where_the_nearest_are_too_few(crowd: Crowd) -> None:
    """More than NEAREST leads have a word, and what else is asked for is not in the index."""
    pending = await crowd.page(LeadQuery(words=["word1"], state=State.PENDING, limit=NEAREST))
    both = await crowd.page(LeadQuery(words=["word1", "word12", "everybody"], limit=NEAREST))
    await crowd.connection.execute(ADD_ONE_OLD)
    old = await crowd.page(LeadQuery(words=["word1", "old"]))

    assert len(pending) == NEAREST
    assert pending == sorted(pending, key=lambda view: view.created_at, reverse=True)
    assert len(both) == 1 + 10 + 100 + 1_000
    assert [view.reference for view in old] == ["LD-1"]


async def test_frequent_words_are_matched_in_the_index(crowd: Crowd) -> None:
    """More than FEW leads have each of them. Were all leads walked, it might take all to find some that have both."""
    crowd.statements.clear()
    found = await crowd.page(LeadQuery(words=["everybody", "word"]))
    looks = await crowd.looks()

    assert [view.reference for view in found] == [f"LD-{MANY - n}" for n in range(50)]
    assert [table for _, table, _ in looks].count("lead_words") == 2
    assert sum(rows for _, table, rows in looks if table == "leads") <= 51


async def test_no_lead_is_looked_at_for_being_too_new(crowd: Crowd) -> None:
    """Which leads are to be erased is found by the indexes of the lists, among those that are old enough."""
    before = EPOCH + 41 * MICROSECOND
    crowd.statements.clear()
    found = await crowd.database.read(FIRST_FIRM, lambda tx: tx.leads.expired(before, 100))
    looks = await crowd.looks()

    assert len(found) == 20
    assert [look for look in looks if look[0] not in {"Index Scan", "Index Only Scan"}] == []
    assert sum(look[2] for look in looks) < 100


@pytest.mark.attack(178)
async def test_the_inbox_looks_at_what_it_shows(crowd: Crowd) -> None:
    """Counts end at a thousand, and all else that a page needs costs some hundred rows, each found by an index."""
    await crowd.connection.execute(OWE_MAILS)
    inbox = Inbox(crowd.database, FixedClock())
    [newest] = await crowd.page(LeadQuery(limit=1))
    pending = LeadQuery(state=State.PENDING, oldest_first=True)
    middle = UUID(f"{MANY // 2:032}")
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "page": lambda: inbox.page(GRACE, pending),
        "lead": lambda: inbox.lead(GRACE, middle, pending),
        "lead of a search": lambda: inbox.lead(GRACE, middle, replace(pending, words=["everybody"])),
        "new": lambda: inbox.arrived_since(GRACE, Position(newest.created_at, newest.id)),
        "all are new": lambda: inbox.arrived_since(GRACE, None),
        "trouble": lambda: inbox.trouble(GRACE),
        "mails": lambda: inbox.unsettled(GRACE),
        "lead in quarantine": lambda: inbox.lead(GRACE, UUID(f"{MANY + 2:032}"), LeadQuery(quarantined=True)),
    }
    looks: list[tuple[str, str, str, int]] = []
    for name, ask in questions.items():
        crowd.statements.clear()
        await ask()
        looks += [(name, *look) for look in await crowd.looks()]

    counts = [look for look in looks if look[3] > 300]
    assert {look[0] for look in looks} == questions.keys()
    assert [look for look in looks if look[1] not in {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}] == []
    assert counts == [("page", "Index Only Scan", "leads", COUNT_MAX)] * (len(State) + 1)
    assert await inbox.trouble(GRACE) == Trouble(MISSED, EPOCH + (2 * FEW_MAILS + 1) * MICROSECOND)


@pytest.mark.attack(178)
async def test_failed_mails_are_found_among_many_that_are_held(crowd: Crowd) -> None:
    """Each page counts those that failed, and the list of mails begins with them; no other is looked at for that."""
    await crowd.connection.execute(OWE_MAILS)
    await crowd.connection.execute("UPDATE deliveries SET status = 'held', due_at = NULL WHERE status = 'pending'")
    await crowd.connection.execute("ANALYZE deliveries")
    inbox = Inbox(crowd.database, FixedClock())
    crowd.statements.clear()
    trouble, listed = await inbox.trouble(GRACE), await inbox.unsettled(GRACE)
    looks = await crowd.looks()

    assert trouble.failed == MISSED
    assert [mail.delivery.status for mail in listed[: FEW_MAILS + 1]] == [Status.FAILED] * FEW_MAILS + [Status.HELD]
    assert [look for look in looks if look[0] not in {"Index Scan", "Index Only Scan"}] == []
    assert [look for look in looks if look[2] > 300] == []


@pytest.mark.attack(178)
async def test_a_claim_looks_at_what_it_takes(crowd: Crowd) -> None:
    """However many mails are due, neither them nor those whose claims run out later are looked through."""
    await crowd.connection.execute(OWE_MAILS)
    crowd.statements.clear()
    claimed = await crowd.database.write(FIRST_FIRM, lambda tx: tx.outbox.claim(datetime.now(UTC), TAKEN, TOKEN))
    looks = await crowd.looks()

    assert len(claimed) == TAKEN
    assert {look[0] for look in looks} == {"Index Scan", "ModifyTable"}
    assert [look for look in looks if look[2] > 2 * TAKEN] == []


async def test_sqlite_claims_likewise(path: Path, statements: list[tuple[str, Any]]) -> None:
    """Claims that ran out have an index of their own, and all others the one of what is due, in its order."""
    database = SqliteDatabase(path)
    await database.write(FIRST_FIRM, lambda tx: tx.outbox.claim(datetime.now(UTC), TAKEN, TOKEN))
    await database.aclose()
    with closing(sqlite3.connect(path)) as connection:
        plans = [
            " ".join(line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in statements
            if "UPDATE deliveries" in statement
        ]

    assert [("ix_deliveries_sending" in plan, "ix_deliveries_unsettled" in plan) for plan in plans] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert "TEMP B-TREE" not in "".join(plans)


async def test_sqlite_finds_failed_mails_likewise(path: Path, statements: list[tuple[str, Any]]) -> None:
    """By the index, in its order, though it has no figures about the table."""
    database = SqliteDatabase(path)
    inbox = Inbox(database, FixedClock())
    await inbox.trouble(GRACE)
    await inbox.unsettled(GRACE)
    await database.aclose()
    with closing(sqlite3.connect(path)) as connection:
        plans = [
            [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in statements
            if "FROM deliveries" in statement
        ]
    by_index = [plan for plan in plans if any("ix_deliveries_for_a_person" in line for line in plan)]

    assert len(plans) == 4
    assert len(by_index) == 2
    assert [line for plan in by_index for line in plan if "ORDER BY" in line] == []
