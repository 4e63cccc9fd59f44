import email
import email.policy
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.documents import docx, pdf

T = TypeVar("T")

ADMIN = "admin@example.com"
PATIENCE = 20.0
"""Seconds to wait for what happens soon."""


@dataclass
class Deployment:
    """Where a service runs, and where its mails arrive: all that differs from one set of engines to another."""

    folder: Path
    environ: dict[str, str]
    mails: Callable[[], list[EmailMessage]]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """SQLite, a folder for the files, and mails that are written as files."""

    def mails() -> list[EmailMessage]:
        found = (path.read_bytes() for path in sorted((tmp_path / "data" / "mail").glob("*.eml")))
        return [email.message_from_bytes(content, policy=email.policy.default) for content in found]

    return Deployment(tmp_path, {"LEADINTAKE_DATA_DIR": str(tmp_path / "data")}, mails)


@dataclass(frozen=True)
class Server:
    """A running server; what it wrote to standard output is in a file."""

    process: subprocess.Popen[bytes]
    output: Path
    client: httpx.Client

    def stop(self, by: signal.Signals) -> int:
        """Tell it to stop; returns how it did."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(deployment: Deployment) -> Iterator[Server]:
    """Serve on a free port until the context ends, ready when it begins."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADINTAKE_")}
    environ = {**clean, **deployment.environ, "LEADINTAKE_PORT": str(port)}
    output, command = deployment.folder / f"{port}.out", [sys.executable, "-m", "leadintake", "serve"]
    with (
        output.open("wb") as out,
        subprocess.Popen(command, cwd=deployment.folder, env=environ, stdout=out, stderr=out) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        try:
            soon(lambda: process.poll() is not None or answers(client))
            assert client.get("/health/ready").json() == {"status": "ok", "checks": {"database": "ok", "files": "ok"}}
            yield Server(process, output, client)
        finally:
            process.kill()


def answers(client: httpx.Client) -> bool:
    """Whether anybody listens."""
    try:
        return client.get("/health/live").is_success
    except httpx.TransportError:
        return False


def soon(look: Callable[[], T]) -> T:
    """What is seen as soon as there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.02)
    return found


def submit(client: httpx.Client, name: str, file: bytes, first_name: str, last_name: str) -> dict[str, str]:
    """Send an enquiry; returns its receipt."""
    fields = {"first_name": first_name, "last_name": last_name, "email": "prospect@example.org"}
    answer = client.post("/public/leads", data=fields, files={"resume": (name, file)})
    assert answer.status_code == 201
    receipt: dict[str, str] = answer.json()
    return receipt


def sign_in(client: httpx.Client, **form: str) -> dict[str, str]:
    """Sign the client in with a password or a refresh token; returns the tokens."""
    answer = client.post("/auth/token", data=form)
    assert answer.status_code == 200
    tokens: dict[str, str] = answer.json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return tokens


def found(client: httpx.Client, **query: str) -> list[str]:
    """The references of the leads that are listed."""
    answer = client.get("/leads", params=query)
    assert answer.status_code == 200
    return [lead["reference"] for lead in answer.json()["items"]]


def everything(client: httpx.Client, lead_id: str) -> dict[str, Any]:
    """All that can be read of a lead, its file included."""
    answers = {part: client.get(f"/leads/{lead_id}{part}") for part in ("/resume", "", "/deliveries", "/events")}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {part: answer.content if part == "/resume" else answer.json() for part, answer in answers.items()}


def test_from_the_first_start_to_a_crash(deployment: Deployment) -> None:
    """A newcomer's walk over HTTP: nothing in between is arranged, and nothing is lost by a stop or a crash."""
    with serving(deployment) as server:
        password = first_password(server)
        first = submit(server.client, "cv.pdf", pdf(300_000), "Zoë", "Łukasiewicz")
        second = submit(server.client, "Lebenslauf Ångström.docx", docx(), "Ada", "Lovelace")
        check_mails(deployment, [first["reference"], second["reference"]])
        tokens = sign_in(server.client, username=ADMIN, password=password)
        check_search(server.client, first["reference"], second["reference"])
        work(server.client, first["id"])
        erase(server.client, second["id"])
        sign_out(server.client, tokens)
        sign_in(server.client, username=ADMIN, password=password)
        before = everything(server.client, first["id"])
        assert server.stop(signal.SIGTERM) == 0

    with serving(deployment) as server:
        sign_in(server.client, username=ADMIN, password=password)
        after = everything(server.client, first["id"])
        opened = after["/events"]["items"].pop()
        assert opened["kind"] == "resume.opened"
        assert after == before
        assert found(server.client) == [first["reference"]]
        third = submit(server.client, "cv.pdf", pdf(), "Grace", "Hopper")
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL

    with serving(deployment) as server:
        sign_in(server.client, username=ADMIN, password=password)
        survived = everything(server.client, third["id"])
        assert survived["/resume"] == pdf()
        assert survived[""]["reference"] == third["reference"]
        assert recipients(survived) == {"confirmation": PROSPECT, "notification": ADMIN}


def first_password(server: Server) -> str:
    """The password that the first start prints."""
    shown = re.compile(rf"{re.escape(ADMIN)} with the password (\S+) ")
    match = soon(lambda: shown.search(server.output.read_text()))
    return match[1]


def check_mails(deployment: Deployment, references: list[str]) -> None:
    """For each lead, the prospect and the admin get a mail with its reference."""
    expected = sorted((recipient, reference) for reference in references for recipient in (PROSPECT, ADMIN))
    mails = soon(lambda: len(found := deployment.mails()) >= len(expected) and found)
    assert mails
