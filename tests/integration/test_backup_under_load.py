"""A backup is made while real processes take submissions and erase leads; others are killed or run out of room."""

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests import postgres
from tests.deployment import PATIENCE, Deployment, Running, running, soon
from tests.documents import pdf
from tests.machine import Machine, refusal
from tests.pages import ROOT
from tests.past import Past
from tests.s3 import S3

from leadintake.entrypoints.bootstrap import schema

pytestmark = pytest.mark.long

ADMIN = "admin@example.com"
UNSAFE = "is off: a power cut can lose leads"
"""What is wrong with the PostgreSQL of the tests, and meant so."""

BEFORE = 60
"""Leads there are at least when the backup begins."""


@pytest.fixture
def one_machine(tmp_path: Path) -> tuple[Deployment, Deployment]:
    """SQLite and a folder, and such an empty machine beside it."""
    return deployment(tmp_path, "one"), deployment(tmp_path, "other")


@pytest.fixture
def many_machines(tmp_path: Path, s3: S3) -> Iterator[tuple[Deployment, Deployment]]:
    """Two servers on PostgreSQL and S3, and an empty database and bucket beside them."""
    with postgres.running() as server:
        server.execute("CREATE DATABASE other")
        first, second = (
            {
                "DATABASE_URL": server.url(name),
                "LEADINTAKE_SECRET_KEY": uuid4().hex,
                "LEADINTAKE_FILES": s3.url(),
                **s3.environ,
            }
            for name in ("postgres", "other")
        )
        yield (
            replace(deployment(tmp_path, "one", **first), servers=2),
            deployment(tmp_path, "other", **second),
        )


def deployment(tmp_path: Path, name: str, **environ: str) -> Deployment:
    """One server with a folder of its own, and without limits."""
    folder = tmp_path / name
    folder.mkdir()
    limits = {"LEADINTAKE_RATE_LIMIT_SUBMIT": "off", "LEADINTAKE_CONFIRMATIONS_PER_ADDRESS": "off"}
    settings = {"LEADINTAKE_DATA_DIR": str(folder / "data"), **limits, **environ}
    return Deployment(folder, settings, list, lambda: None, program=())


@pytest.fixture(params=["one_machine", "many_machines"])
def deployments(request: pytest.FixtureRequest) -> tuple[Deployment, Deployment]:
    """Each set of engines, to back up and to restore to."""
    found: tuple[Deployment, Deployment] = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def machine(past: Past, tmp_path: Path) -> Machine:
    """A practice with something of everything."""
    return Machine(shutil.copytree(past.machine.data_dir, tmp_path / "data"))


def command(
    environ: dict[str, str],
    *arguments: str,
    program: tuple[str, ...] = (sys.executable, "-m", "leadintake"),
    **options: Any,
) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADINTAKE_")}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*program, *arguments],
        env={**clean, "PYTHONFAULTHANDLER": "1", **environ}, cwd="/", stdout=pipe, stderr=pipe, text=True, **options,
    )  # fmt: skip


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """What a command ended with, and wrote to standard output and standard error; of one that hangs, where it does."""
    try:
        output, error = process.communicate(timeout=2 * PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # Then Python writes where each thread is.
        raise AssertionError(process.communicate()) from None
    return process.returncode, output, error


class Prospects:
    """Submit until told to stop; what was acknowledged is in `sent`, and what an admin then erased in `erased`."""

    def __init__(self, client: httpx.Client, admin: httpx.Client) -> None:
        self.client = client
        self.admin = admin
        self.sent: dict[str, bytes] = {}
        self.erased: set[str] = set()
        self.is_over = Event()

    def submit(self) -> str:
        """Submit an enquiry; returns its lead's id."""
        content = pdf(20_000 + len(self.sent), text=uuid4().hex)
        fields = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@client.example"}
        answer = self.client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", content)})
        lead_id: str = answer.raise_for_status().json()["id"]
        self.sent[lead_id] = content
        return lead_id

    def erase(self, lead_id: str) -> None:
        """Have a lead erased."""
        self.admin.delete(f"/leads/{lead_id}").raise_for_status()
        self.erased.add(lead_id)

    def go_on(self) -> None:
        """Submit, and have every fourth lead erased, until it is over."""
        while not self.is_over.is_set():
            first, *_ = [self.submit() for _ in range(4)]
            self.erase(first)


def sign_in(client: httpx.Client, password: str) -> httpx.Client:
    """Sign the first admin in."""
    answer = client.post("/auth/token", data={"username": ADMIN, "password": password}).raise_for_status()
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


def first_password(service: Running) -> str:
    """The password that the first start prints."""
    match = soon(lambda: re.search(rf"{re.escape(ADMIN)} with the password (\S+) ", service.written()))
    assert match
    return match[1]


def test_a_backup_under_load_is_one_consistent_pair(deployments: tuple[Deployment, Deployment], tmp_path: Path) -> None:
    """What was acknowledged before it is restored byte for byte, what was erased is not, and no mail goes out."""
    source, target = deployments
    with running(source) as service, ThreadPoolExecutor(2) as crowd:
        password = first_password(service)
        prospects = Prospects(service.new_client(), sign_in(service.new_client(), password))
        working = [crowd.submit(prospects.go_on) for _ in range(2)]
        soon(lambda: len(prospects.sent) > BEFORE)
        erased, sent = set(prospects.erased), dict(prospects.sent)
        backup = outcome(command(source.environ, "backup", str(tmp_path / "backup")))
        sent_meanwhile, erased_meanwhile = len(prospects.sent) - len(sent), prospects.erased - erased
        prospects.is_over.set()
        for each in working:
            each.result()

    restored_to = Machine(target.folder / "data")
    restore = restored_to.run("restore", str(tmp_path / "backup"), **target.environ)
    doctor = restored_to.run("doctor", "--hashes", **target.environ)
    with running(target) as service:
        client = sign_in(service.client, password)
        found = {lead_id: client.get(f"/leads/{lead_id}/resume") for lead_id in sent}
        timelines = [client.get(f"/leads/{lead_id}/events").json()["items"] for lead_id in sent]
        owed = [client.get(f"/leads/{lead_id}/deliveries") for lead_id in sent]
    restored = {lead_id: answer.content for lead_id, answer in found.items() if answer.status_code == 200}
    is_erased = {lead: one[-1]["kind"] == "lead.erased" for lead, one in zip(sent, timelines, strict=True)}
    statuses = {one["status"] for answer in owed if answer.is_success for one in answer.json()["items"]}

    assert (backup[0], backup[2], restore.exit_code, restore.stderr) == (0, "", 0, ""), (backup, restore)
    assert "each with the bytes that were uploaded" in doctor.stdout
    assert [line for line in doctor.stdout.splitlines() if "\twrong\t" in line and UNSAFE not in line] == []
    assert sent_meanwhile > 0
    assert erased_meanwhile
    assert restored.items() <= sent.items()
    assert sent.keys() - erased - erased_meanwhile <= restored.keys()
    assert not restored.keys() & erased
    assert is_erased == {lead_id: lead_id not in restored for lead_id in sent}
    assert statuses <= {"sent", "held"}
    assert not [*(target.folder / "data" / "mail").glob("*.eml")]


def test_a_lead_erased_meanwhile_is_not_in_the_backup(
    deployments: tuple[Deployment, Deployment], tmp_path: Path
) -> None:
    """Be its file copied already or not: it is out of the backup, and its timeline says that it was erased."""
    source, target = deployments
    with running(source) as service, ThreadPoolExecutor(4) as crowd:
        password = first_password(service)
        prospects = Prospects(service.new_client(), sign_in(service.new_client(), password))
        leads = [prospects.submit(), *crowd.map(lambda _: prospects.submit(), range(4 * BEFORE))]
        backup = command(source.environ, "backup", str(tmp_path / "backup"))
        assert soon(lambda: [*tmp_path.glob("backup.*.partial/uploads/*.pdf")])
        backup.send_signal(signal.SIGSTOP)
        copied = len([*tmp_path.glob("backup.*.partial/uploads/*.pdf")])
        newest = max(leads)
        for lead_id in (leads[0], newest):
            prospects.erase(lead_id)
        expected = [timeline(prospects.admin, lead_id) for lead_id in (leads[0], newest)]
        backup.send_signal(signal.SIGCONT)
        result = outcome(backup)
    restore = Machine(target.folder / "data").run("restore", str(tmp_path / "backup"), **target.environ)
    with running(target) as service:
        client = sign_in(service.client, password)
        gone = [client.get(f"/leads/{lead_id}").status_code for lead_id in (leads[0], newest)]
        timelines = [timeline(client, lead_id) for lead_id in (leads[0], newest)]

    assert copied < len(leads)
    assert result[1].startswith(f"Backed up {len(leads) - 2} leads and {len(leads) - 2} files to ")
    assert (result[0], restore.exit_code, gone) == (0, 0, [404, 404])
    assert timelines == expected
    assert [kinds[-1]["kind"] for kinds in timelines] == ["lead.erased", "lead.erased"]


def timeline(client: httpx.Client, lead_id: str) -> list[dict[str, Any]]:
    """The events of a lead, whose numbers are the database's own."""
    events: list[dict[str, Any]] = client.get(f"/leads/{lead_id}/events").raise_for_status().json()["items"]
    return [{name: value for name, value in event.items() if name != "id"} for event in events]


def killed(process: subprocess.Popen[str], when: Callable[[], object]) -> None:
    """Kill a process in the middle of its work."""
    deadline = time.monotonic() + PATIENCE
    while not when():
        assert time.monotonic() < deadline
        assert process.poll() is None, outcome(process)
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    outcome(process)


def test_a_backup_that_was_killed_counts_for_nothing(machine: Machine, tmp_path: Path) -> None:
    """It leaves what ends in .partial, from which nothing is restored, and which does not disturb the next one."""
    environ = {"LEADINTAKE_DATA_DIR": str(machine.data_dir), "TMPDIR": str(tmp_path)}
    folder, fresh = tmp_path / "backup", Machine(tmp_path / "fresh")
    killed(command(environ, "backup", str(folder)), lambda: [*tmp_path.glob("backup.*.partial")])
    [left] = tmp_path.glob("backup.*.partial")

    assert not folder.exists()
    assert "is no backup, or one that was broken off" in refusal(fresh.run("restore", str(left)))
    assert machine.run("backup", str(folder)).exit_code == 0
    assert fresh.run("restore", str(folder)).exit_code == 0
    assert left.stat().st_mode & 0o777 == 0o700


def test_a_restore_that_was_killed_is_run_again(machine: Machine, tmp_path: Path) -> None:
    """There is no database yet that one could take for the whole, and the next run makes it whole."""
    folder, fresh = tmp_path / "backup", Machine(tmp_path / "fresh")
    machine.run("backup", str(folder))
    environ = {"LEADINTAKE_DATA_DIR": str(fresh.data_dir), "TMPDIR": str(tmp_path)}
    killed(command(environ, "restore", str(folder)), fresh.settings.uploads_dir.exists)

    assert not fresh.settings.database_path.exists()
    assert fresh.run("restore", str(folder)).exit_code == 0
    assert fresh.run("doctor", "--hashes").exit_code == 0


NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9998"
down_revision = "{head}"


def upgrade():
    op.create_table("novelties", sa.Column("id", sa.Integer(), primary_key=True))
"""


def test_a_backup_of_an_older_version_is_brought_to_this_one(machine: Machine, tmp_path: Path) -> None:
    """A version whose database has a table more restores what this one backed up, and finds nothing wrong with it."""
    folder, fresh, newer = tmp_path / "backup", Machine(tmp_path / "fresh"), tmp_path / "newer"
    assert machine.run("backup", str(folder)).exit_code == 0
    for part in ("src", "migrations"):
        shutil.copytree(ROOT / part, newer / part)
    (newer / "migrations" / "versions" / "9998_novelties.py").write_text(NEXT_MIGRATION.format(head=schema.HEAD))
    code = newer / "src" / "leadintake" / "adapters" / "sql" / "migrate.py"
    code.write_text(code.read_text().replace(f'HEAD = "{schema.HEAD}"', 'HEAD = "9998"'))
    environ = {"LEADINTAKE_DATA_DIR": str(fresh.data_dir), "PYTHONPATH": str(newer / "src")}
    restore, doctor = (outcome(command(environ, *one)) for one in (("restore", str(folder)), ("doctor", "--hashes")))
    with closing(sqlite3.connect(fresh.settings.database_path)) as connection:
        found = connection.execute("SELECT version_num, (SELECT count(*) FROM novelties) FROM alembic_version")
        migrated = found.fetchall()

    assert (restore[0], restore[2], doctor[0]) == (0, "", 0), (restore, doctor)
    assert migrated == [("9998", 0)]


@pytest.mark.parametrize("room", [350_000, 100_000])
def test_no_room_is_one_line(machine: Machine, tmp_path: Path, room: int) -> None:
    """Whether a file or the database does not fit: nothing half is left, and the line says where there was no room."""
    environ = {"LEADINTAKE_DATA_DIR": str(machine.data_dir), "TMPDIR": str(tmp_path)}
    (tmp_path / "backups").mkdir()

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    code, output, error = outcome(command(environ, "backup", str(tmp_path / "backups" / "b"), preexec_fn=no_room))

    assert (code, output, error.count("\n")) == (1, "", 1), error
    assert "cannot be copied to" in error
    assert not [*(tmp_path / "backups").iterdir()]
    assert not [*tmp_path.glob("leadintake-backup-*")]
