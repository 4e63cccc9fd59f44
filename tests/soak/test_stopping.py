"""SIGTERM under load."""

import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest
from tests.deployment import Deployment, Running, running, soon
from tests.smtp import MailServer
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects
from tests.soak.setups import OnPostgres
from tests.soak.store import Store

LONGEST_STOP = 30.0
Progress = Callable[[float, float], None]


@pytest.mark.promises("P12")
def test_stopped_and_started(
    on_sqlite: Deployment, row: Row, scale: Scale, progress: Callable[[float, float], None]
) -> None:
    """One machine is stopped and started again and again under load: no mail under way, every 201 there."""
    _stop_again_and_again(on_sqlite, row, scale.restarts, progress)


@pytest.mark.promises("P12")
def test_many_machines_are_stopped(
    on_postgres: OnPostgres, mail: MailServer, row: Row, scale: Scale, progress: Callable[[float, float], None]
) -> None:
    """Two servers and two workers are stopped at once under load, before a slow mail server."""
    mail.delay = 0.05
    _stop_again_and_again(on_postgres(2, 2), row, max(2, scale.rounds), progress)


def _stop_again_and_again(
    deployment: Deployment, row: Row, times: int, progress: Callable[[float, float], None]
) -> None:
    store, slowest, problems = Store(deployment.environ), 0.0, list[str]()
    with running(deployment) as service:
        prospects = Prospects(lambda: service.port() if service.servers else None)
        with prospects.sending(0):
            for time_ in range(times):
                progress(time_, times)
                prospects.wait_for(20)
                took, found = _stop(service, store)
                slowest = max(slowest, took)
                problems += found
                row.faults += 1
                service.start()
        for _ in range(4):
            if soon(lambda: not _unsent(store)):
                break
        assert not _unsent(store), _unsent(store)
        leads, owed = {lead.id for lead in store.leads()}, store.owed()
    lost = {lead_id.replace("-", "") for lead_id in prospects.acknowledged.values()} - leads
    mails = [one["Message-ID"] for one in deployment.mails()]
    row.trials = row.acknowledged = len(prospects.acknowledged)
    row.lost, row.duplicates = len(lost) + len({one.message_id for one in owed} - {*mails}), len(mails) - len({*mails})
    row.note(f"the slowest stop took {slowest:.1f} s; answers beside 201: {prospects.answers}")

    assert not problems, problems
    assert not prospects.unasked, prospects.unasked[:5]
    assert row.lost == row.duplicates == 0
    assert len(leads) == len(prospects.acknowledged)
    assert slowest < LONGEST_STOP


def _unsent(store: Store) -> Counter[tuple[str, int]]:
    """How many mails are left, by status and tries."""
    return Counter((one.status, one.attempts) for one in store.owed() if one.status != "sent")


def _stop(service: Running, store: Store) -> tuple[float, list[str]]:
    """Stop all processes; returns how long that took, and what is wrong then."""
    begin = time.monotonic()
    codes = service.end(signal.SIGTERM)
    took = time.monotonic() - begin
    under_way = [one.id for one in store.owed() if one.status == "sending"]
    problems = [f"exit codes {codes}"] if codes != {0} else []
    return took, [*problems, *(f"delivery {one} was left under way" for one in under_way)]
