"""A transaction sees the firm it is opened for, and no other, through whatever method."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, delivery, lead, session, user

from leadintake.application.ports.database import (
    Database,
    Events,
    LeadQuery,
    Leads,
    Submission,
    Submissions,
    Transaction,
)
from leadintake.application.ports.deliveries import Deliveries, Outbox
from leadintake.application.ports.people import People
from leadintake.application.record import record
from leadintake.application.views import Receipt
from leadintake.domain.errors import NotFound
from leadintake.domain.lead import State
from leadintake.domain.people import Role

PORTS = {
    "leads": Leads,
    "events": Events,
    "outbox": Outbox,
    "deliveries": Deliveries,
    "submissions": Submissions,
    "people": People,
}
LATER = NOW + timedelta(days=100)
TOKEN, OTHER = UUID(int=901), UUID(int=902)
MINE, THEIRS = lead(1), lead(2, reference=lead(1).reference)
DONE = lead(3, state=State.REACHED_OUT)


def submission(lead_id: UUID) -> Submission:
    """The submission of a lead, always with the same key."""
    return Submission("key", "fingerprint", Receipt(lead_id, "LD-1", NOW))


def arrange(tx: Transaction) -> None:
    """What the first firm has: a user, a session, two leads, a key, and deliveries in three states."""
    tx.people.add(user(1, role=Role.ADMIN), "hash")
    tx.people.open_session(session(1))
    tx.submissions.claim(submission(MINE.id), NOW)
    tx.leads.add(MINE)
    tx.leads.add(DONE)
    record(tx, MINE.submitted(), owed=[delivery(number, lead_id=MINE.id) for number in (1, 2, 3)])
    tx.outbox.claim(NOW, 1, TOKEN)


def everything(tx: Transaction) -> list[object]:
    """All that a firm can see of what was arranged."""
    return [
        tx.leads.page(LeadQuery()),
        tx.leads.page(LeadQuery(words=["ada"])),
        tx.events.of_lead(MINE.id),
        tx.deliveries.of_lead(MINE.id),
        tx.outbox.next_due(),
        tx.outbox.count_confirmations(NOW, None, 100),
        tx.people.everybody(),
        tx.people.with_password(user(1).email),
        tx.people.session(session(1).id),
    ]


THERE_IS: dict[str, tuple[object, Callable[[Transaction], object]]] = {
    "leads.get": (NotFound, lambda tx: tx.leads.get(MINE.id)),
    "leads.view": (NotFound, lambda tx: tx.leads.view(MINE.id)),
    "leads.save": (None, lambda tx: tx.leads.save(lead(1, notes="changed", state=State.REACHED_OUT))),
    "leads.release": (NotFound, lambda tx: tx.leads.release(lead(1, notes="changed"))),
    "leads.remove": (NotFound, lambda tx: tx.leads.remove(MINE)),
    "leads.count": ([0, 0], lambda tx: [tx.leads.count(LeadQuery(words=words)) for words in ([], ["ada"])]),
    "leads.of_mailbox": ([], lambda tx: tx.leads.of_mailbox("ada@client.example", 100)),
    "leads.expired": ([], lambda tx: tx.leads.expired(LATER, 100)),
    "leads.page": ([], lambda tx: tx.leads.page(LeadQuery()) + tx.leads.page(LeadQuery(words=["ada"]))),
    # These look at all firms: they share a folder, and a sweep must not take another's files for unused.
    "database_created_at": (True, lambda tx: tx.database_created_at() < LATER),
    "leads.paths_in_use": ({MINE.resume.path}, lambda tx: tx.leads.paths_in_use([MINE.resume.path])),
    "events.of_lead": ([], lambda tx: tx.events.of_lead(MINE.id)),
    "events.removed": (None, lambda tx: tx.events.removed(MINE.reference)),
    "events.latest": ([], lambda tx: tx.events.latest(MINE.id, 100)),
    "outbox.count_confirmations": (
        [0, 0],
        lambda tx: [tx.outbox.count_confirmations(NOW, to, 9) for to in (None, MINE.email)],
    ),
    "outbox.mark_sent": (0, lambda tx: tx.outbox.mark_sent([delivery(1).id], TOKEN, NOW)),
    "outbox.postpone": (False, lambda tx: tx.outbox.postpone(delivery(1).id, TOKEN, LATER, "error")),
    "outbox.give_back": (False, lambda tx: tx.outbox.give_back(delivery(1).id, TOKEN, NOW, "error")),
    "outbox.fail": (False, lambda tx: tx.outbox.fail(delivery(1).id, TOKEN, "error")),
    "outbox.next_due": (None, lambda tx: tx.outbox.next_due()),
    "deliveries.waiting_since": (None, lambda tx: tx.deliveries.waiting_since()),
    "deliveries.of_lead": ([], lambda tx: tx.deliveries.of_lead(MINE.id)),
    "deliveries.find": (NotFound, lambda tx: tx.deliveries.find(delivery(1).id)),
    "deliveries.unsettled": ([], lambda tx: tx.deliveries.unsettled(100)),
    "outbox.retry": (None, lambda tx: tx.outbox.retry(delivery(1).id, LATER)),
    "deliveries.count_unsettled": ({}, lambda tx: tx.deliveries.count_unsettled()),
    "deliveries.count_failed": (0, lambda tx: tx.deliveries.count_failed(100)),
    "deliveries.statuses": ({}, lambda tx: tx.deliveries.statuses([MINE.id])),
    "submissions.claim": (None, lambda tx: tx.submissions.claim(submission(THEIRS.id), LATER)),
    "submissions.prune": (None, lambda tx: tx.submissions.prune(LATER)),
    "people.save": (None, lambda tx: tx.people.save(user(1, full_name="Changed", is_active=False))),
    "people.set_password": (None, lambda tx: tx.people.set_password(user(1).id, "other hash", None)),
    "people.get": (NotFound, lambda tx: tx.people.get(user(1).id)),
    "people.with_password": (None, lambda tx: tx.people.with_password(user(1).email)),
    "people.everybody": ([], lambda tx: tx.people.everybody()),
    "people.told_of_leads": ([], lambda tx: tx.people.told_of_leads()),
    "people.active_admins": ([], lambda tx: tx.people.active_admins()),
    "people.session": (None, lambda tx: tx.people.session(session(1).id)),
    "people.save_session": (None, lambda tx: tx.people.save_session(session(1, refresh_hash="other"))),
    "people.sessions_of": ([], lambda tx: tx.people.sessions_of(user(1).id)),
    "people.end_session": (False, lambda tx: tx.people.end_session(user(1).id, session(1).id)),
    "people.end_sessions": (0, lambda tx: tx.people.end_sessions(user(1).id)),
    "people.prune_sessions": (None, lambda tx: tx.people.prune_sessions(LATER)),
    "leads.add": (None, lambda tx: tx.leads.add(THEIRS)),
    "events.add": (None, lambda tx: tx.events.add(MINE.submitted()) and None),
    "outbox.add": (None, lambda tx: record(tx, THEIRS.submitted(), owed=[delivery(9, lead_id=THEIRS.id)])),
    "people.add": (None, lambda tx: tx.people.add(user(2, email=user(1).email), "other hash")),
    "people.open_session": (None, lambda tx: tx.people.open_session(session(2))),
    "outbox.claim": ([delivery(9).id], lambda tx: [due.delivery_id for due in tx.outbox.claim(LATER, 100, OTHER)]),
}  # fmt: skip
"""For each method, what the second firm gets when it asks for what the first one has; last, what gives it rows."""


@pytest.mark.asvs("V8.2.2")
def test_no_method_is_left_out() -> None:
    """Whoever adds a method says what it gives another firm."""
    methods = {f"{port}.{name}" for port, kind in PORTS.items() for name in vars(kind) if not name.startswith("_")}

    assert THERE_IS.keys() == {"database_created_at", *methods}


@pytest.mark.asvs("V8.2.2")
@pytest.mark.attack(129)
async def test_another_firm_sees_and_changes_nothing(database: Database) -> None:
    """Whatever the second firm asks of the first one's rows, it gets nothing, and they stay as they are."""
    await database.write(FIRST_FIRM, arrange)
    before = await database.read(FIRST_FIRM, everything)

    for name, (expected, ask) in THERE_IS.items():
        if expected is NotFound:
            with pytest.raises(NotFound):
                await database.write(SECOND_FIRM, ask)
        else:
            asked: list[object] = []

            def work(tx: Transaction, ask: Callable[[Transaction], object] = ask, asked: list[object] = asked) -> None:
                asked.append(ask(tx))

            await database.write(SECOND_FIRM, work)
            assert asked == [expected], name
        assert await database.read(FIRST_FIRM, everything) == before, name
