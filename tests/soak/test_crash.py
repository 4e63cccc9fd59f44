"""Processes die at random points under load; what was acknowledged is there, and everybody hears of it."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256

import pytest
from tests.deployment import Deployment, Process, Running, running, soon
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Attempt, Prospects, Stage, email_of, key_of, number_of, resume_of
from tests.soak.setups import NO_LIMITS
from tests.soak.store import Store

VICTIMS = (*("server", "server and worker") * 4, "server", "worker")
AT_ONCE = {"console": 128, "smtp": 8}
"""How many mails a process has under way at most, by where they go."""


@pytest.fixture(params=["one_machine", "two_processes", "many_machines"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each set of engines, without limits."""
    found: Deployment = request.getfixturevalue(request.param)
    found.environ.update(NO_LIMITS)
    return found


@pytest.mark.attack(173)
@pytest.mark.promises("P2 P4 P5 P14")
def test_killed_at_random_points(
    deployment: Deployment,
    row: Row,
    scale: Scale,
    chance: random.Random,
    progress: Callable[[float, float], None],
) -> None:
    """Kill -9 under load: every acknowledged lead is there with its file, and every mail went out."""
    store, struck_in_flight, killed = Store(deployment.environ), 0, 0
    with running(deployment) as service:
        prospects = Prospects(lambda: chance.choice([*service.servers]).port if service.servers else None)
        with prospects.sending(scale.submissions):
            for kill in range(scale.kills):
                due = (kill + 0.2 + 0.6 * chance.random()) * scale.submissions / scale.kills
                while len(prospects.acknowledged) < due:
                    time.sleep(0.005)
                    progress(len(prospects.acknowledged), scale.submissions)
                time.sleep(chance.uniform(0, 0.1))
                who = VICTIMS[kill % len(VICTIMS)] if service.workers else "server"
                busy = {attempt.port for attempt in [*prospects.under_way.values()]}
                victims = [
                    *_some([one for one in service.servers if one.port in busy], "server" in who, chance),
                    *_some(service.workers, "worker" in who, chance),
                ]
                struck, mails = _kill(victims, service, prospects, store)
                killed += len(victims)
                struck_in_flight += bool(struck)
                row.note(f"kill {kill + 1} of {who}: {_said(struck) or 'nothing in flight'}; {mails} mails claimed")
                service.start()
        all_mails_go_out(service, deployment, store)

    row.acknowledged, row.faults = len(prospects.acknowledged), killed
    row.trials = row.acknowledged + len(prospects.unasked)
    most = killed * AT_ONCE[deployment.environ.get("LEADINTAKE_MAIL_BACKEND", "console")]
    problems = [*prospects.unasked, *_lost(prospects, store), *_mails(deployment, store, row, most)]
    row.lost = len(problems)
    orphans = store.files().keys() - {lead.path for lead in store.leads()}
    removed = store.sweep()
    row.note(f"{len(orphans)} files without a lead were left by the kills, and the sweep removed {removed}")

    assert not problems, problems[:10]
    assert scale.submissions <= row.acknowledged
    assert struck_in_flight >= scale.kills_in_flight, "too few kills struck while something was in flight"
    assert removed == len(orphans)
    assert store.files().keys() == {lead.path for lead in store.leads()}


def _some(of: list[Process], wanted: bool, chance: random.Random) -> list[Process]:  # noqa: FBT001 - whether any
    return [chance.choice(of)] if wanted and of else []


def _kill(victims: list[Process], service: Running, prospects: Prospects, store: Store) -> tuple[Counter[str], int]:
    """Kill; returns at which steps the submissions in flight there were, and how many mails were claimed by anybody."""
    ports = {victim.port for victim in victims}
    for processes in (service.servers, service.workers):
        processes[:] = [one for one in processes if one not in victims]
    for victim in victims:
        victim.popen.send_signal(signal.SIGKILL)
    attempts = [(each, each.stage) for each in [*prospects.under_way.values()] if each.port in ports]
    for victim in victims:
        assert victim.popen.wait() == -signal.SIGKILL
    soon(lambda: not any(each.port in ports for each in [*prospects.under_way.values()]))
    struck = Counter(_steps(attempts, store))
    return struck, sum(delivery.status == "sending" for delivery in store.owed())


def _steps(attempts: list[tuple[Attempt, Stage]], store: Store) -> Iterable[str]:
    """Where each was: what its sender saw, and for what was sent whole, what the store has of it."""
    kept = store.files()
    used = {lead.path for lead in store.leads()}
    keys = store.keys()
    orphans = {number_of(size) for name, size in kept.items() if name not in used and not name.endswith(".part")}
    for attempt, stage in attempts:
        if attempt.stage is Stage.ANSWERED:
            yield "answer on its way"
        elif key_of(attempt.number) in keys:
            yield "committed, not answered"
        elif attempt.number in orphans:
            yield "file kept, commit pending"
        elif stage is Stage.WAITING:
            yield "all sent, nothing kept"
        else:
            yield stage


def _said(struck: Counter[str]) -> str:
    return ", ".join(f"{count} {step}" for step, count in struck.most_common())


def all_mails_go_out(service: Running, deployment: Deployment, store: Store) -> None:
    """Stop, let the claims of the dead run out, and start again until nothing is owed."""
    assert service.end(signal.SIGTERM) == {0}
    deployment.let_leases_end()
    service.start()
    for _ in range(4):
        if soon(lambda: all(delivery.status == "sent" for delivery in store.owed())):
            break
    assert service.end(signal.SIGTERM) == {0}


def _lost(prospects: Prospects, store: Store) -> Iterable[str]:
    """What was acknowledged and is not there once, whole, with its file byte for byte."""
    leads = {lead.id: lead for lead in store.leads()}
    files = store.files()
    of_address = Counter(lead.email for lead in leads.values())
    for number, lead_id in prospects.acknowledged.items():
        lead = leads.get(lead_id.replace("-", ""))
        if lead is None:
            yield f"lead {lead_id} of prospect {number} is not there"
        elif lead.path not in files:
            yield f"lead {lead_id} of prospect {number} has no file"
        elif store.sha256(lead.path) != lead.sha256 or lead.sha256 != sha256(resume_of(number)).hexdigest():
            yield f"lead {lead_id} of prospect {number} has another file"
        if of_address[email_of(number)] != 1:
            yield f"prospect {number} has {of_address[email_of(number)]} leads"
    if len(leads) != len(prospects.acknowledged):
        yield f"there are {len(leads)} leads, and {len(prospects.acknowledged)} were acknowledged"


def _mails(deployment: Deployment, store: Store, row: Row, most: int) -> Iterable[str]:
    """What was owed and did not go out, or went out in different words or too often."""
    copies: dict[str, list[bytes]] = {}
    for mail in deployment.mails():
        copies.setdefault(mail["Message-ID"], []).append(mail.as_bytes())
    owed = {delivery.message_id: delivery for delivery in store.owed()}
    row.duplicates = sum(len(same) - 1 for same in copies.values())
    yield from (
        f"delivery {owed[one].id} is {owed[one].status} and did not arrive" for one in owed.keys() - copies.keys()
    )
    yield from (f"{one} was owed by nobody" for one in copies.keys() - owed.keys())
    yield from (f"{one} went out in different words" for one, same in copies.items() if len(set(same)) > 1)
    yield from (f"delivery {one.id} is {one.status}" for one in owed.values() if one.status != "sent")
    if len(owed) != 2 * len(store.leads()):
        yield f"{len(owed)} mails are owed for {len(store.leads())} leads"
    if row.duplicates > most:
        yield f"{row.duplicates} duplicates are more than {most}"
