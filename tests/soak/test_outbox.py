"""Many workers at once, and a worker that sleeps through its lease."""

import asyncio
import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.deployment import Deployment, Running, running, soon
from tests.documents import pdf
from tests.smtp import Fault, MailServer
from tests.soak.ledger import Row, Scale
from tests.soak.setups import SHORT_LEASE, OnPostgres, submit
from tests.soak.store import Store

from leadintake.application.intake import Form
from leadintake.domain.people import Role
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.settings.environment import load

WORKERS = 4
ATTORNEYS = 7
ANSWER_TAKES = 0.01

NOTE_CLAIMS = (
    "CREATE TABLE claims (n bigserial, delivery uuid, status text)",
    """
    CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO claims (delivery, status) VALUES (NEW.id, NEW.status); RETURN NEW; END'
    """,
    "CREATE TRIGGER note_claim AFTER UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION note_claim()",
)
"""Has the database itself keep a record of who claims and settles, in the order in which it happens."""


@pytest.mark.promises("P5 P6")
def test_four_workers(
    on_postgres: OnPostgres,
    mail: MailServer,
    row: Row,
    scale: Scale,
    progress: Callable[[float, float], None],
) -> None:
    """Four workers share an outbox before a slow mail server: each mail once, and no claim beside another."""
    deployment = on_postgres(1, WORKERS)
    store = Store(deployment.environ)
    mail.delay = ANSWER_TAKES
    with running(replace(deployment, workers=0)):
        owed = asyncio.run(_owe(deployment, scale.deliveries))
    for statement in NOTE_CLAIMS:
        store.query(statement)
    begin = time.monotonic()
    with running(deployment) as service:
        while soon(lambda: len(mail.mails)) < owed and time.monotonic() - begin < 300:
            progress(len(mail.mails), owed)
            time.sleep(0.1)
        soon(lambda: {one.status for one in store.owed()} == {"sent"})
        took = time.monotonic() - begin
        shares = [worker.output.read_text().count('"delivery_sent"') for worker in service.workers]
        assert service.end(signal.SIGTERM) == {0}
    copies = Counter(one["Message-ID"] for one in deployment.mails())
    held: dict[str, str] = {}
    overlaps = 0
    for delivery, status in store.query("SELECT delivery::text, status FROM claims ORDER BY n"):
        overlaps += status == "sending" and held.get(delivery) == "sending"
        held[delivery] = status

    row.trials = row.acknowledged = owed
    row.lost, row.duplicates = owed - len(copies), len(deployment.mails()) - len(copies)
    row.note(f"{owed} mails in {took:.0f} s, shared as {shares}; {overlaps} claims while another held the delivery")

    assert (row.lost, row.duplicates, overlaps) == (0, 0, 0)
    assert {one.status for one in store.owed()} == {"sent"}
    assert min(shares) > 0


@pytest.mark.promises("P7 P5")
def test_a_worker_sleeps_through_its_lease(on_postgres: OnPostgres, mail: MailServer, row: Row, scale: Scale) -> None:
    """SIGSTOP beyond the lease (of eight seconds here); another sends; SIGCONT: the first changes nothing more."""
    deployment = replace(on_postgres(1, 1), program=SHORT_LEASE)
    store = Store(deployment.environ)
    with running(deployment) as service:
        changed = sum(_sleep_through(service, mail, store, number) for number in range(scale.rounds))
        row.faults = scale.rounds
        owed = store.owed()
    copies: dict[str, set[bytes]] = {}
    for one in deployment.mails():
        copies.setdefault(one["Message-ID"], set()).add(one.as_bytes())

    row.trials = row.acknowledged = len(owed)
    row.lost, row.duplicates = len(owed) - len(copies), len(mail.mails) - len(copies)
    row.note("the duplicates are what the first worker had handed in before it was stopped")

    assert changed == row.lost == 0
    assert {len(same) for same in copies.values()} == {1}
    assert row.duplicates == AT_ONCE * scale.rounds


EVERYTHING = "SELECT id, status, attempts, sent_at, due_at, last_error, xmin::text FROM deliveries ORDER BY id"
AT_ONCE = 8


def _sleep_through(service: Running, mail: MailServer, store: Store, number: int) -> bool:
    """Stop a worker that has handed eight mails in and was not answered; returns whether it changes anything later."""
    mail.next["KEPT"] = [Fault.SAY_NOTHING] * AT_ONCE
    enough = len(mail.mails) + AT_ONCE
    for each in range(AT_ONCE // 2):
        submit(service, f"round-{number}-{each}@example.org")
    assert soon(lambda: len(mail.mails) == enough)
    first = service.workers.pop()
    first.popen.send_signal(signal.SIGSTOP)
    service.start()
    assert soon(lambda: {one.status for one in store.owed()} == {"sent"})
    settled = store.query(EVERYTHING)
    first.popen.send_signal(signal.SIGCONT)
    assert soon(lambda: first.output.read_text().count('"delivery_claim_lost"') == AT_ONCE)
    is_changed = store.query(EVERYTHING) != settled
    submit(service, f"after-{number}@example.org")
    assert soon(lambda: {one.status for one in store.owed()} == {"sent"})
    assert first.end(signal.SIGTERM) == 0
    return is_changed


async def _owe(deployment: Deployment, count: int) -> int:
    """Owe so many mails or a few more; returns how many."""
    people = 1 + ATTORNEYS + 1
    async with opened(load(deployment.environ, {}), lambda: None) as app:
        for number in range(ATTORNEYS):
            await app.staff.add(app.operator, f"attorney-{number}@example.org", "Grace Hopper", Role.ATTORNEY)

        async def submit(number: int) -> None:
            async with app.files.receive() as upload:
                await upload.write(pdf())
                await app.intake.submit(Form("Ada", "Lovelace", f"p{number}@example.org", "cv.pdf"), upload)

        leads = math.ceil(count / people)
        for first in range(0, leads, 8):
            await asyncio.gather(*(submit(number) for number in range(first, min(first + 8, leads))))
    return leads * people
