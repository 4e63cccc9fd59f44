"""Who is erased, on demand or when the time is over, leaves nothing behind, whenever the process that erases dies."""

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path

import httpx
import pytest
from tests.deployment import Deployment, Running, running, soon
from tests.integration.test_end_to_end import ADMIN, first_password, sign_in
from tests.postgres import Postgres
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import PAUSE, Prospects, email_of, key_of, name_of, resume_of
from tests.soak.setups import LAUNCH
from tests.soak.store import Store
from tests.soak.test_crash import AT_ONCE
from tests.soak.traces import Traces, make_older

from leadintake.adapters.sql.tables import EPOCH, MICROSECOND

RETENTION_DAYS = "30"
AGE = timedelta(days=31)
YOUNG = AGE / 2
NEWCOMERS = 100_000
STRAYS = 0.05
"""The share that SQLite may leave behind where it has moved a row within a page; it overwrites the rest itself."""

OFTEN = ("EXPIRE_EVERY=0.1", "SWEEP_EVERY=1", "PRUNE_EVERY=1")


@pytest.fixture(params=["on_sqlite", "on_postgres"])
def traces(request: pytest.FixtureRequest) -> Traces:
    """One process on SQLite; two servers and two workers on PostgreSQL."""
    if request.param == "on_sqlite":
        on_sqlite: Deployment = request.getfixturevalue("on_sqlite")
        return Traces(on_sqlite, bytes, lambda: Store(on_sqlite.environ).change("VACUUM"))
    server: Postgres = request.getfixturevalue("server")
    on_postgres = request.getfixturevalue("on_postgres")(2, 2)
    return Traces(on_postgres, lambda: "\n".join(server.dump("postgres")).encode(), lambda: None)


@pytest.mark.asvs("V14.2.7")
@pytest.mark.promises("P20")
def test_killed_while_erasing(traces: Traces, row: Row, scale: Scale, chance: random.Random) -> None:
    """Kill -9 while leads are erased, by age and on demand, under load: no byte of them is left, and all else is."""
    deployment = replace(traces.deployment, program=(sys.executable, str(LAUNCH), *OFTEN))
    store = Store(deployment.environ)
    with running(deployment) as service:
        password = first_password(service)
        sign_in(service.client, username=ADMIN, password=password)
        old = _past(service, store, scale.erasures)
        numbers = chance.sample([*old.acknowledged], scale.erasures + scale.erasures // 4)
        due, asked_for = numbers[: scale.erasures], numbers[scale.erasures :]
        _reach_out(service.client, {number: old.acknowledged[number] for number in due})
        assert service.end(signal.SIGTERM) == {0}
    make_older(store, AGE)
    gone = {*due, *asked_for}
    of_gone = {trace for number in gone for trace in (name_of(number).lower(), email_of(number))}
    references = {found[0]: found[1] for found in store.query("SELECT email, reference FROM leads")}
    assert traces.found() >= of_gone, "the search does not find what is there"

    deployment.environ["LEADINTAKE_RETENTION_DAYS"] = RETENTION_DAYS
    with running(deployment) as service:
        sign_in(service.client, username=ADMIN, password=password)
        new = Prospects(lambda: service.port() if service.servers else None, numbers=count(NEWCOMERS))
        with new.sending(0), ThreadPoolExecutor(1) as admin:
            erasing = admin.submit(_erase, service.client, [old.acknowledged[number] for number in asked_for])
            for portion in range(scale.rounds):
                emails = {email_of(number) for number in due[portion :: scale.rounds]}
                killed, left = _kill_while_erasing(service, store, emails, chance)
                row.faults += killed
                row.note(f"killed {killed} with {left} of {len(emails)} left to be erased by age")
            erasing.result()
        _finish(service, store)
    written = traces.remove_mails({references[email_of(number)] for number in gone})
    strays = traces.found() & of_gone
    traces.rewrite()
    found = traces.found() & of_gone
    store.sweep()

    kept = {number: lead for number, lead in (old.acknowledged | new.acknowledged).items() if number not in gone}
    problems = [*_lost(kept, store)]
    erasures = Counter(lead for (lead,) in store.query("SELECT lead_id FROM events WHERE kind = 'lead.erased'"))
    copies = Counter(mail["Message-ID"] for mail in deployment.mails())
    row.trials, row.acknowledged = len(gone), len(old.acknowledged) + len(new.acknowledged)
    row.lost, row.duplicates = len(problems), copies.total() - len(copies)
    row.note(f"{len(due)} erased by age, {len(asked_for)} on demand; the operator removed {written} mails about them")
    row.note(f"of {len(of_gone)} names and addresses, {len(strays)} were left until the database was written anew")

    assert not found, sorted(found)[:10]
    assert len(strays) <= STRAYS * len(of_gone), sorted(strays)[:10]
    assert not problems, problems[:10]
    assert not new.unasked, new.unasked[:5]
    assert store.files().keys() == {lead.path for lead in store.leads()}
    assert (len(erasures), {*erasures.values()}) == (len(gone), {1})
    assert store.keys() == {key_of(number) for number in new.acknowledged}
    assert not [at for (at,) in store.query("SELECT created_at FROM sessions") if _age(at) > YOUNG]
    assert row.duplicates <= row.faults * max(AT_ONCE.values())


def _past(service: Running, store: Store, erasures: int) -> Prospects:
    """Take in twice as many leads as are to be erased by age, and have all their mails sent."""
    prospects = Prospects(service.port)
    with prospects.sending(2 * erasures):
        pass
    assert any(soon(lambda: _all_sent(store)) for _ in range(4))
    return prospects


def _reach_out(client: httpx.Client, ids: dict[int, str]) -> None:
    """Move leads, with notes that name the prospect."""

    def move(number: int) -> None:
        change = {"state": "REACHED_OUT", "notes": f"{name_of(number)} called from {email_of(number)}"}
        client.patch(f"/leads/{ids[number]}", json=change).raise_for_status()

    with ThreadPoolExecutor(4) as attorneys:
        [*attorneys.map(move, ids)]


def _kill_while_erasing(service: Running, store: Store, due: set[str], chance: random.Random) -> tuple[int, int]:
    """Have the time of some run out, kill who erases when some are erased, and start again; until nobody is left.

    Returns how many processes were killed, and how many were left then.
    """

    def left() -> int:
        return len(due & {lead.email for lead in store.leads()})

    enough = len(due) - chance.randint(1, max(1, len(due) // 2))
    among = ", ".join(f"'{email}'" for email in due)
    store.change(f"UPDATE leads SET updated_at = created_at WHERE email IN ({among})")
    assert soon(lambda: left() <= enough), "what is too old is not erased"
    processes = service.workers or service.servers
    killed = chance.randint(1, len(processes))
    for _ in range(killed):
        service.kill_one_of(processes)
    then = left()
    service.start()
    assert soon(lambda: not left()), "what a kill has left is not erased"
    return killed, then


def _erase(client: httpx.Client, ids: Iterable[str]) -> None:
    """Erase leads; who gets no answer asks again."""
    for lead_id in ids:
        while True:
            try:
                status = client.delete(f"/leads/{lead_id}").status_code
            except httpx.TransportError:
                time.sleep(PAUSE)
                continue
            if status != httpx.codes.SERVICE_UNAVAILABLE:
                assert status in {httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND}
                break


def _finish(service: Running, store: Store) -> None:
    """Stop, let the claims of the dead run out, start for what is left to be sent or swept, and stop."""
    assert service.end(signal.SIGTERM) == {0}
    service.deployment.let_leases_end()
    service.start()
    assert any(soon(lambda: _all_sent(store)) for _ in range(4))
    assert soon(lambda: not _old_orphans(store)), "files of who was erased are left"
    assert service.end(signal.SIGTERM) == {0}


def _all_sent(store: Store) -> bool:
    return all(one.status == "sent" for one in store.owed())


def _old_orphans(store: Store) -> set[str]:
    """The files without a lead that are as old as those of who was erased."""
    unused = store.files().keys() - {lead.path for lead in store.leads()}
    uploads = Path(store.environ["LEADINTAKE_DATA_DIR"]) / "uploads"
    return {name for name in unused if time.time() - (uploads / name).stat().st_mtime > YOUNG.total_seconds()}


def _age(microseconds: int) -> timedelta:
    """How long a moment of the database is ago."""
    return datetime.now(UTC) - EPOCH - MICROSECOND * microseconds


def _lost(kept: dict[int, str], store: Store) -> Iterable[str]:
    """Whose lead is not there once, whole, with its file byte for byte; and how many are there beside these."""
    there = {lead.id: lead for lead in store.leads()}
    files = store.files()
    for number, lead_id in kept.items():
        lead = there.pop(lead_id.replace("-", ""), None)
        if lead is None or lead.email != email_of(number):
            yield f"lead {lead_id} of prospect {number} is not there"
        elif lead.path not in files or store.sha256(lead.path) != sha256(resume_of(number)).hexdigest():
            yield f"lead {lead_id} of prospect {number} has another file, or none"
    yield from (f"lead {lead.id} was acknowledged to nobody, or erased" for lead in there.values())
    yield from (f"delivery {one.id} is {one.status}" for one in store.owed() if one.status != "sent")
