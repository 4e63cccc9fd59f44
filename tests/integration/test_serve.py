import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.deployment import soon
from tests.forked import Forked
from tests.machine import Machine, refusal
from tests.service import form

from leadintake.entrypoints.sender import LONGEST_SLEEP

pytestmark = pytest.mark.long

READY_WITHIN = 20.0
INSTEAD = "Stop it, or set LEADINTAKE_DATA_DIR."


@dataclass(frozen=True)
class Serving:
    """A process that serves, a client of it, and the file of all that it writes."""

    process: "Forked | subprocess.Popen[bytes]"
    client: httpx.Client
    written: Path

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Tell it to stop; returns its exit code, and what it wrote."""
        self.process.send_signal(by)
        return self.process.wait(30), self.written.read_text()


@pytest.fixture(scope="module")
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def environ_of(folder: Path, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """What is set for serving the data folder in a folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADINTAKE_")}
    return {**clean, "LEADINTAKE_PORT": str(port), "LEADINTAKE_DATA_DIR": str(folder / "data"), **environ}


@contextmanager
def serving(folder: Path, port: int, *, is_forked: bool = True, **environ: str) -> Iterator[Serving]:
    """Serve until the context ends, ready when it begins. `is_forked` spares it all of its imports."""
    env, written = environ_of(folder, port, environ), folder / "written.txt"
    written.touch()
    if is_forked:
        process: Forked | subprocess.Popen[bytes] = Forked("serve", folder, env, written)
    else:
        with written.open("ab") as out:
            command = [sys.executable, "-m", "leadintake", "serve"]
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
    # To load certificates, of which none is used, would take as long as a good part of the start.
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY_WITHIN, verify=False)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get("/health/ready").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.01)
        else:
            pytest.fail(written.read_text())
        yield Serving(process, client, written)
    finally:
        client.close()
        process.send_signal(signal.SIGKILL)
        process.wait(30)


def refused(folder: Path, port: int, **environ: str) -> str:
    """The one line that a start fails with; it writes nothing else."""
    written = folder / "refused.txt"
    assert Forked("serve", folder, environ_of(folder, port, environ), written).wait(30) == 1
    error = written.read_text()
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    return error.removeprefix("Error: ").removesuffix("\n")


@dataclass(frozen=True)
class Run:
    """What came of serving in an empty folder: a submission, a failed sign-in, and a stop."""

    folder: Path
    url: str
    lead_id: str
    code: int
    output: str
    log: list[str]
    stopped_within: float


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, free_port: int) -> Run:
    """The first run on a machine, by a command as people type it, stopped by SIGTERM as service managers do."""
    folder = tmp_path_factory.mktemp("first")
    with serving(folder, free_port, is_forked=False) as service:
        sent = service.client.post("/public/leads", **form(first_name="Zyxwv", email="zyxwv@example.org"))
        service.client.post("/auth/token", data={"username": "zyxwv@example.org", "password": "zyxwv"})
        deadline = time.monotonic() + 10
        while len(list(folder.glob("data/mail/[!.]*.eml"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        begin = time.monotonic()
        code, written = service.stop()
        stopped_within = time.monotonic() - begin
    output, log = written[: written.index("{")], written[written.index("{") :].splitlines()
    return Run(folder, f"http://127.0.0.1:{free_port}", sent.json()["id"], code, output, log, stopped_within)


@pytest.mark.asvs("V6.3.2")
def test_the_first_start_makes_everything_and_the_next_one_finds_it(first: Run, free_port: int) -> None:
    """An empty folder becomes a service whose admin signs in with the password that is printed once."""
    password = re.search(
        r"admin@example\.com with the password (\S+) \(shown only this once; change it within 3 days\)", first.output
    )
    assert password

    with serving(first.folder, free_port) as service:
        credentials = {"username": "admin@example.com", "password": password[1]}
        token = service.client.post("/auth/token", data=credentials).json()["access_token"]
        lead = service.client.get(f"/leads/{first.lead_id}", headers={"Authorization": f"Bearer {token}"})
        code, written = service.stop(signal.SIGINT)
        output = written[len(first.output) :]

    assert code == 0
    assert lead.json()["first_name"] == "Zyxwv"
    assert "leadintake users reset-password admin@example.com" in output
    assert password[1] not in output


def test_the_start_says_where_everything_is(first: Run) -> None:
    """The form, the inbox, the docs and the mail folder are named as they can be used, and mail arrives there."""
    mails = first.folder / "data" / "mail"

    assert f" {first.url}/\n" in first.output
    assert f" {first.url}/inbox\n" in first.output
    assert f"{first.url}/docs\n" in first.output
    assert f"{mails}, a file for each\n" in first.output
    assert len(list(mails.glob("[!.]*.eml"))) == 2


def test_it_stops_at_once_where_nothing_is_under_way(first: Run) -> None:
    """Exit code 0 within seconds, an idle connection notwithstanding, and no trace in the log."""
    assert first.code == 0
    assert first.stopped_within < 5
    assert "Traceback" not in "".join(first.log)


@pytest.mark.asvs("V16.2.5")
def test_the_log_is_json_and_says_nothing_about_people(first: Run) -> None:
    """Each line is a JSON object, and never has what somebody typed."""
    events = {json.loads(line)["event"] for line in first.log}

    assert {"request", "delivery_sent"} <= events
    assert "zyxwv" not in "".join(first.log).casefold()


def test_connections_are_watched(tmp_path: Path, free_port: int) -> None:
    """The server that is started is the one that refuses headers which are too large."""
    with serving(tmp_path, free_port) as service:
        answer = service.client.get("/health", headers={"X-Large": "x" * 64_000})

    assert answer.status_code == 431


@pytest.mark.asvs("V15.4.2")
@pytest.mark.attack(175)
def test_one_process_serves_a_data_folder(tmp_path: Path, free_port: int) -> None:
    """A second server is refused, on whatever port, and so is a migration that would have something to do."""
    with serving(tmp_path, free_port) as service:
        second = refused(tmp_path, free_port + 1)
        machine = Machine(tmp_path / "data")
        machine.sql("UPDATE alembic_version SET version_num = '0000'")
        migration = refusal(machine.run("migrate"))

        assert service.client.get("/health/ready").status_code == 200

    assert second == migration == f"Another leadintake serves {tmp_path / 'data'}. {INSTEAD}"


def test_a_worker_beside_the_server(tmp_path: Path, free_port: int) -> None:
    """Mail that another process owes goes out at once; while the worker runs, nothing else may send or migrate."""
    written = tmp_path / "worker.txt"
    with serving(tmp_path, free_port, LEADINTAKE_WORKER="separate") as service:
        worker = Forked("worker", tmp_path, environ_of(tmp_path, free_port, {"LEADINTAKE_WORKER": "separate"}), written)
        assert soon(lambda: written.exists() and "worker_started" in written.read_text())
        began = time.monotonic()
        service.client.post("/public/leads", **form()).raise_for_status()
        mails = soon(lambda: [*(tmp_path / "data" / "mail").glob("[!.]*.eml")][1:])
        took = time.monotonic() - began
        service.stop()
        inline = refused(tmp_path, free_port)
        machine = Machine(tmp_path / "data")
        machine.sql("UPDATE alembic_version SET version_num = '0000'")
        migration = refusal(machine.run("migrate"))
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(30) == 0
    assert mails
    assert took < LONGEST_SLEEP
    assert inline == migration == f"Another leadintake sends the mail of {tmp_path / 'data'}. {INSTEAD}"


def test_a_database_elsewhere_is_served_once_too(tmp_path: Path, free_port: int) -> None:
    """Two data folders that name one database are not safe from each other, so the database is locked as well."""
    url = f"sqlite:///{tmp_path}/shared.db"
    with serving(tmp_path, free_port, DATABASE_URL=url):
        other = {"DATABASE_URL": url, "LEADINTAKE_DATA_DIR": str(tmp_path / "other")}

        assert refused(tmp_path, free_port + 1, **other).startswith("Another leadintake serves")


@pytest.mark.parametrize("name", ["data", "link"])
def test_another_data_folder_is_served_once_too(tmp_path: Path, free_port: int, name: str) -> None:
    """By whichever name a database is found."""
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with serving(tmp_path, free_port):
        url = f"sqlite:///{tmp_path}/{name}/leadintake.db"
        other = {"DATABASE_URL": url, "LEADINTAKE_DATA_DIR": str(tmp_path / "other")}

        assert refused(tmp_path, free_port + 1, **other).startswith("Another leadintake serves")


def test_the_command_line_works_beside_the_server(tmp_path: Path, free_port: int) -> None:
    """A user added while the service runs signs in at once; one who is deactivated is out at once."""
    with serving(tmp_path, free_port) as service:
        machine = Machine(tmp_path / "data")
        added = machine.run("users", "add", "a@example.org", "--name", "A").stdout
        credentials = {"username": "a@example.org", "password": added.split()[-1]}
        token = service.client.post("/auth/token", data=credentials).json()["access_token"]
        before = service.client.get("/me", headers={"Authorization": f"Bearer {token}"})
        machine.run("users", "deactivate", "a@example.org")
        after = service.client.get("/me", headers={"Authorization": f"Bearer {token}"})
        doctor = machine.run("doctor")

    assert (before.status_code, after.status_code) == (200, 401)
    assert doctor.exit_code == 0


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """Whoever finds the port taken is told so, and which setting changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path, port)

    assert line == f"Something else listens on 127.0.0.1 port {port}. Stop it, or set LEADINTAKE_PORT."


@pytest.mark.attack(177)
@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"LEADINTAKE_PROT": "1"}, "There is no setting LEADINTAKE_PROT."),
        ({"LEADINTAKE_ADMIN_EMAIL": "admin@localhost"}, "LEADINTAKE_ADMIN_EMAIL is 'admin@localhost'"),
        ({"LEADINTAKE_HOST": "192.0.2.1"}, "Nothing can listen on 192.0.2.1 port"),
        ({"LEADINTAKE_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere: "),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path, free_port: int, environ: dict[str, str], why: str
) -> None:
    """Whatever is wrong at the start stops it with one line that says what."""
    assert refused(tmp_path, free_port, **environ).startswith(why)


def test_a_start_that_was_broken_off_is_gone_on_with(tmp_path: Path, free_port: int) -> None:
    """A database without anybody in it, as a crash between two steps leaves it, gets its admin on the next start."""
    Machine(tmp_path / "data").run("migrate")
    with serving(tmp_path, free_port) as service:
        _, written = service.stop()

    assert "admin@example.com with the password" in written


def test_a_database_that_was_copied_logs_ahead_again(tmp_path: Path, free_port: int) -> None:
    """What VACUUM INTO makes, such as a backup, has no log of its own; a power cut could take what was answered."""
    machine = Machine(tmp_path / "data")
    machine.run("migrate")
    database = machine.settings.database_path
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    with serving(tmp_path, free_port), closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_old_database_is_not_migrated_by_a_start(tmp_path: Path, free_port: int) -> None:
    """A start touches nobody's data: migrating is a step that is taken on purpose, after a copy was made."""
    machine = Machine(tmp_path / "data")
    machine.run("migrate")
    machine.sql("UPDATE alembic_version SET version_num = '0000'")

    assert "leadintake migrate" in refused(tmp_path, free_port)
