"""The leads that benchmarks run on are those that the service itself would have."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from math import gcd
from pathlib import Path

import pytest
from benchmarks.leads import REFERENCES_APART, Maker, Rows, owe
from benchmarks.prospects import prospects
from tests.documents import pdf
from tests.machine import Machine

from leadintake.application.app import App
from leadintake.application.intake import Form
from leadintake.application.ports.database import LeadQuery, Transaction
from leadintake.application.views import LeadView
from leadintake.domain.delivery import Status
from leadintake.domain.events import EventKind
from leadintake.domain.search import words
from leadintake.domain.values import REFERENCE_BITS

LEADS = 30


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one user and no leads."""
    made = Machine(tmp_path / "data")
    made.run("migrate")
    made.run("users", "add", "admin@example.com", "--name", "Admin", "--role", "admin")
    return made


def opened(machine: Machine) -> sqlite3.Connection:
    """The database, behind everybody's back."""
    return sqlite3.connect(machine.settings.database_path)


def insert(machine: Machine) -> list[Rows]:
    """Store leads of last year, in several batches."""
    with closing(opened(machine)) as database, database:
        ((admin_id,),) = database.execute("SELECT id FROM users")
        since = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**6
        batches = [*Maker(since=since, apart=60 * 10**6, admin_id=admin_id).batches(LEADS, 7)]
        for rows in batches:
            rows.insert(database)
    return batches


def test_no_reference_comes_twice() -> None:
    """They go around all that there are, and so meet none again before the last."""
    made = Maker(since=0, apart=1, admin_id=b"")
    codes = [lead[2] for rows in made.batches(LEADS, 7) for lead in rows.leads]

    assert len(set(codes)) == LEADS
    assert gcd(REFERENCES_APART, 2**REFERENCE_BITS) == 1


def test_they_are_listed_and_found(machine: Machine) -> None:
    """Each is on the list, is found by each of its words, and has its events and two mails that were sent."""
    insert(machine)

    async def look(app: App) -> None:
        def work(tx: Transaction) -> None:
            listed = tx.leads.page(LeadQuery(limit=100))
            assert len(listed) == LEADS
            for lead in listed:
                assert all(lead in tx.leads.page(LeadQuery(words=[word], limit=100)) for word in of(lead))
                assert tx.events.of_lead(lead.id)[0].kind is EventKind.SUBMITTED
                assert [mail.status for mail in tx.deliveries.of_lead(lead.id)] == [Status.SENT] * 2
            assert tx.outbox.next_due() is None

        await app.database.read(app.firm_id, work)

    machine.do(look)


def of(lead: LeadView) -> list[str]:
    """The words that a lead is found by."""
    return words(f"{lead.first_name} {lead.last_name} {lead.email} {lead.reference}")


def test_they_have_as_many_rows_as_a_lead_that_was_submitted(machine: Machine) -> None:
    """For the same person, the service writes as many search words, events and mails."""
    [batch, *_] = insert(machine)
    person = next(prospects(int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**6))

    async def submit(app: App) -> None:
        async with app.files.receive() as upload:
            await upload.write(pdf())
            await app.intake.submit(Form(*person, "cv.pdf"), upload)

    machine.do(submit)
    with closing(opened(machine)) as database:
        counts = [
            [
                count
                for _, count in database.execute(f"SELECT lead_id, count(*) FROM {table} GROUP BY 1 ORDER BY lead_id")
            ]
            for table in ("lead_words", "deliveries")
        ]

    for first, *_, submitted in counts:
        assert first == submitted
    assert batch.leads[0][3:6] == person


def test_a_backlog_is_due(machine: Machine) -> None:
    """Mails that are owed are claimed like any other."""
    insert(machine)
    with closing(opened(machine)) as database:
        owe(database, 5, 2)

    async def claim(app: App) -> int:
        return len(await app.dispatch.claim(100))

    assert machine.do(claim) == 10
