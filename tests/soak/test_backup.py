"""Backups are made, killed and repeated while people submit, move and erase; each is restored, and served."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.deployment import Deployment, parsed, running, soon
from tests.integration.test_backup_under_load import UNSAFE, command, outcome
from tests.integration.test_end_to_end import ADMIN, everything, first_password, sign_in
from tests.s3 import S3
from tests.smtp import MailServer
from tests.soak.desk import Desk
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects, email_of, name_of, resume_of
from tests.soak.setups import NO_LIMITS, sent_to, submit
from tests.soak.store import Store

NEWCOMER = "newcomer@example.org"
OWED_TO_NEWCOMER = 2
CLIENTS = 2
"""Enough to have something come in at any moment, and few enough that a backup does not grow to gigabytes."""


@dataclass(frozen=True)
class Setup:
    """What is backed up, and how to make an empty place of the same kind to restore to."""

    source: Deployment
    empty: Callable[[], Deployment]


@pytest.fixture
def on_one_machine(one_machine: Deployment, tmp_path: Path) -> Setup:
    """SQLite and a folder of files."""
    numbers = count()
    return Setup(one_machine, lambda: _target(tmp_path / f"target-{next(numbers)}"))


@pytest.fixture
def on_many_machines(many_machines: Deployment, tmp_path: Path, s3: S3) -> Setup:
    """Two servers and two workers on PostgreSQL and S3."""
    numbers = count()

    def empty() -> Deployment:
        name = f"target_{next(numbers)}"
        url = many_machines.environ["DATABASE_URL"]
        Store(many_machines.environ).change(f"CREATE DATABASE {name}")
        engines = {"DATABASE_URL": f"{url.rpartition('/')[0]}/{name}", "LEADINTAKE_FILES": s3.url(), **s3.environ}
        return _target(tmp_path / name, LEADINTAKE_SECRET_KEY=uuid4().hex, **engines)

    return Setup(many_machines, empty)


def _target(folder: Path, **environ: str) -> Deployment:
    """One server that writes its mails to a folder."""
    folder.mkdir()
    data = folder / "data"
    return Deployment(
        folder,
        {"LEADINTAKE_DATA_DIR": str(data), **NO_LIMITS, **environ},
        lambda: parsed([path.read_bytes() for path in (data / "mail").glob("[!.]*.eml")]),
        lambda: None,
    )


@pytest.fixture(params=["on_one_machine", "on_many_machines"])
def setup(request: pytest.FixtureRequest, mail: MailServer) -> Setup:
    """Each set of engines, without limits, before a mail server so slow that some mail is owed at any moment."""
    found: Setup = request.getfixturevalue(request.param)
    mail.delay = 0.1
    for name in ("LEADINTAKE_SMTP_USERNAME", "LEADINTAKE_SMTP_PASSWORD"):
        found.source.environ.pop(name, None)
    found.source.environ.update(NO_LIMITS, **sent_to(mail))
    return found


@dataclass(frozen=True)
class Backup:
    """A backup, and what was acknowledged before it began: the leads there, as they were moved, and those erased."""

    folder: Path
    leads: dict[int, str]
    moved: dict[int, Any]
    erased: dict[int, str]


@pytest.mark.attack(174)
@pytest.mark.promises("P21")
def test_backups_are_killed_and_restored(
    setup: Setup, row: Row, scale: Scale, chance: random.Random, progress: Callable[[float, float], None]
) -> None:
    """Backups are made under load, and some killed; each other one is restored whole, and sends nothing unasked."""
    problems: list[str] = []
    with running(setup.source) as service:
        password = first_password(service)
        sign_in(service.client, username=ADMIN, password=password)
        prospects = Prospects(service.port, clients=CLIENTS)
        desk = Desk(service.client, prospects)
        with prospects.sending(0), desk.working():
            backups = [*_made(setup.source, desk, scale.backups, row, chance)]
    for number, backup in enumerate(backups):
        progress(number, len(backups))
        target = setup.empty()
        problems += _restored(target, backup, password, row)
        shutil.rmtree(backup.folder)
        shutil.rmtree(target.folder)

    assert not problems, problems[:10]
    assert not prospects.unasked, prospects.unasked[:5]
    assert row.lost == row.duplicates == 0
    assert row.faults > 0, "no kill struck a backup at work"


def _made(source: Deployment, desk: Desk, times: int, row: Row, chance: random.Random) -> Iterator[Backup]:
    """Make backups. Each gets a name under which two others were begun and killed."""
    temporary = source.folder / "temporary"
    temporary.mkdir()
    environ, took = {**source.environ, "TMPDIR": str(temporary)}, 0.5
    for number in range(times):
        desk.prospects.wait_for(20 * CLIENTS)
        folder = source.folder / f"backup-{number}"
        for kill in range(2):
            process = _begun(environ, folder)
            time.sleep(chance.uniform(0, took))
            process.send_signal(signal.SIGKILL)
            row.faults += outcome(process)[0] == -signal.SIGKILL
            if folder.exists():  # It was whole before the kill came, or else it cannot be restored.
                yield Backup(folder.rename(f"{folder}-killed-{kill}"), {}, {}, {})
        acknowledged, moved, erased = dict(desk.prospects.acknowledged), dict(desk.moved), set(desk.erased)
        process, begin = _begun(environ, folder), time.monotonic()
        code, output, error = outcome(process)
        took = time.monotonic() - begin
        assert (code, error) == (0, ""), error
        held = json.loads((folder / "backup.json").read_bytes())["held"]
        assert held, "nothing was owed that could go out unasked"
        row.note(f"{output.strip().replace(f'{source.folder}/', '')} {held} mails were owed")
        yield Backup(
            folder,
            {one: lead for one, lead in acknowledged.items() if one not in desk.erasing},
            moved,
            {one: acknowledged[one] for one in erased},
        )


def _begun(environ: dict[str, str], folder: Path) -> "subprocess.Popen[str]":
    """A backup that has begun to fill a folder, or is done already; what others have left is none of its."""

    def partials() -> set[Path]:
        return {*folder.parent.glob(f"{folder.name}.*.partial")}

    before = partials()
    process = command(environ, "backup", str(folder))
    assert soon(lambda: partials() - before or process.poll() is not None)
    return process


def _restored(target: Deployment, backup: Backup, password: str, row: Row) -> Iterable[str]:
    """Restore a backup and serve it; tells what is not as it should be."""
    store = Store(target.environ)
    name = backup.folder.name
    restore = outcome(command(target.environ, "restore", str(backup.folder)))
    if restore[0] or restore[2]:
        yield f"{name} is not restored: {restore}"
        return
    doctor = outcome(command(target.environ, "doctor", "--hashes"))[1]
    yield from (f"{name}: {line}" for line in doctor.splitlines() if "\twrong\t" in line and UNSAFE not in line)
    with running(target) as service:
        sign_in(service.client, username=ADMIN, password=password)
        shown = {lead["id"]: lead for lead in everything(service.client)}
        submit(service, NEWCOMER)
        soon(lambda: len(target.mails()) >= OWED_TO_NEWCOMER)
        service.end(signal.SIGTERM)
    lost = [*_lost(backup, shown, store)]
    unasked = [one for one in store.owed() if one.status not in {"sent", "held"}]
    row.trials += 1
    row.acknowledged += len(backup.leads)
    row.lost += len(lost)
    row.duplicates += len(target.mails()) - OWED_TO_NEWCOMER
    yield from (f"{name}: {one}" for one in lost)
    yield from (f"{name}: lead {one} was erased before" for one in backup.erased.values() if one in shown)
    yield from (f"{name}: delivery {one.id} is {one.status}" for one in unasked)
    if len(target.mails()) != OWED_TO_NEWCOMER:
        yield f"{name}: {len(target.mails())} mails went out, and {OWED_TO_NEWCOMER} were owed to who came after"


def _lost(backup: Backup, shown: dict[str, Any], store: Store) -> Iterable[str]:
    """What was acknowledged before the backup began, and is not there byte for byte."""
    for number, lead_id in backup.leads.items():
        lead = shown.get(lead_id)
        if lead is None:
            yield f"lead {lead_id} of prospect {number} is not there"
        elif (lead["last_name"], lead["email"]) != (name_of(number), email_of(number)):
            yield f"lead {lead_id} of prospect {number} is {lead}"
        elif lead != backup.moved.get(number, lead):
            yield f"lead {lead_id} was {backup.moved[number]} and is {lead}"
        elif store.sha256(lead["resume_path"]) != sha256(resume_of(number)).hexdigest():
            yield f"lead {lead_id} of prospect {number} has another file"
