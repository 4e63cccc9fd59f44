"""Mails that do harm: to whoever sends them, or to the whole process."""

import random
import signal
import time
from dataclasses import replace

import pytest
from tests.deployment import Deployment, Running, running, soon
from tests.postgres import Postgres
from tests.soak.ledger import Row, Scale
from tests.soak.setups import LEASE, SHORT_LEASE, OnPostgres, submit

BESIDE = 4
LEASES = 4
"""How often what was claimed beside such a mail may be claimed again until it is there."""

POISONS = ("raises", "hangs", "cancels", "memory", "unicode", "stops")
BAD_ADDRESSES = (
    "",
    "@",
    "a@\u202cexample.org",
    "a@b\r\nRCPT TO:<c@example.org>",
    "ä@ü",
    f"{'x' * 5000}@example.org",
    "\u0001",
)


@pytest.mark.promises("P10")
def test_poisoned_mails(
    on_postgres: OnPostgres, server: Postgres, row: Row, scale: Scale, chance: random.Random
) -> None:
    """Mails that raise, hang, cancel, use up memory or end the process: the next mail is there within five seconds."""
    deployment = replace(on_postgres(1, 1), program=SHORT_LEASE)
    deployment.environ["POISONED"] = "on"
    slowest = 0.0
    with running(deployment) as service:
        for number in range(2 * scale.rounds):
            worker = service.workers.pop()
            assert worker.end(signal.SIGTERM) == 0
            for poison in chance.sample(POISONS, len(POISONS)):
                submit(service, f"{poison}@example.org")
            for bad in BAD_ADDRESSES:
                lead = submit(service, "bad@example.org")
                quoted = bad.replace("'", "''")
                server.execute(
                    f"UPDATE deliveries SET recipient = '{quoted}' "
                    f"WHERE lead_id = '{lead}' AND purpose = 'confirmation'"
                )
            service.start()
            begin = time.monotonic()
            submit(service, f"next-{number}@example.org")
            slowest = max(slowest, _seconds_until_there(service, deployment, begin, f"next-{number}@example.org"))
            row.trials += len(POISONS) + len(BAD_ADDRESSES)
            row.faults = row.trials
        worker = service.workers[0]

        assert worker.popen.poll() is None
        assert slowest < 5

        row.note(f"the next mail took {slowest:.1f} s at most")
        row.acknowledged = 2 * scale.rounds


@pytest.mark.promises("P10")
def test_a_mail_that_ends_the_process(on_postgres: OnPostgres, row: Row, scale: Scale) -> None:
    """A mail ends each process that tries it: those claimed with it go out all the same, and so do later ones."""
    deployment = replace(on_postgres(1, 1), program=SHORT_LEASE)
    deployment.environ["POISONED"] = "on"
    slowest = 0.0
    with running(deployment) as service:
        for number in range(scale.rounds):
            later, beside = _deadly(service, deployment, number)
            row.faults += 1
            row.trials += 1 + BESIDE
            row.lost += BESIDE - beside
            slowest = max(slowest, later)
    row.acknowledged = row.trials - row.lost
    row.note(f"what came later took {slowest:.1f} s; lost is what was not there after {LEASES} leases")

    assert slowest < 2 * LEASE
    assert row.lost == 0, "what is claimed with a mail that ends the process is claimed with it each time"


def _deadly(service: Running, deployment: Deployment, number: int) -> tuple[float, int]:
    """Owe a mail that ends the process, and some beside it; returns when a later one came, and how many of those."""
    assert service.workers.pop().end(signal.SIGTERM) in (0, 70)
    submit(service, "exits@example.org")
    beside = {f"beside-{number}-{each}@example.org" for each in range(BESIDE)}
    for email in beside:
        submit(service, email)
    service.start()
    assert soon(lambda: service.workers[0].popen.poll() == 70)
    begin = time.monotonic()
    submit(service, f"later-{number}@example.org")
    later = _seconds_until_there(service, deployment, begin, f"later-{number}@example.org")
    _seconds_until_there(service, deployment, begin, *beside, patience=LEASES * LEASE)
    return later, len(beside & {one["To"] for one in deployment.mails()})


def _seconds_until_there(
    service: Running, deployment: Deployment, begin: float, *emails: str, patience: float = 30
) -> float:
    """Wait for mails, and start a worker again when it has ended, as a service manager does."""

    def are_there() -> bool:
        if service.workers[0].popen.poll() is not None:
            service.workers.clear()
            service.start()
        return set(emails) <= {one["To"] for one in deployment.mails()}

    while not are_there() and time.monotonic() - begin < patience:
        time.sleep(0.05)
    return time.monotonic() - begin
