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
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.documents import docx, pdf

T = TypeVar("T")

ADMIN = "admin@example.com"
PROSPECT = "prospect@example.org"
PATIENCE = 20.0
"""Seconds to wait for what happens soon."""


@dataclass(frozen=True)
class Deployment:
    """Where a service runs and where its mails arrive: all that differs from one set of engines to another."""

    folder: Path
    environ: dict[str, str]
    mails: Callable[[], list[EmailMessage]]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """SQLite, a folder of files, and a folder that mails are written to."""

    def mails() -> list[EmailMessage]:
        # As in a shell, what begins with a dot is not meant: a mail that is still being written.
        contents = [path.read_bytes() for path in (tmp_path / "data" / "mail").glob("[!.]*.eml")]
        return [email.message_from_bytes(content, policy=email.policy.default) for content in contents]

    return Deployment(tmp_path, {"LEADINTAKE_DATA_DIR": str(tmp_path / "data")}, mails)


@dataclass(frozen=True)
class Server:
    """A process that serves, and a client of it. What the process has written so far is in a file."""

    process: subprocess.Popen[bytes]
    output: Path
    client: httpx.Client

    def stop(self, by: signal.Signals) -> int:
        """End the process; returns its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(deployment: Deployment) -> Iterator[Server]:
    """Serve on a free port until the context ends, ready when it begins."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADINTAKE_")}
    environ = {**clean, **deployment.environ, "LEADINTAKE_PORT": str(port)}
    command = [sys.executable, "-m", "leadintake", "serve"]
    output = deployment.folder / f"{port}.txt"
    with (
        output.open("wb") as out,
        subprocess.Popen(command, cwd=deployment.folder, env=environ, stdout=out, stderr=out) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        try:
            soon(lambda: is_ready(client) or process.poll() is not None)
            assert process.poll() is None, output.read_text()
            yield Server(process, output, client)
        finally:
            process.kill()


def is_ready(client: httpx.Client) -> bool:
    """Whether the service answers, and says that it is ready."""
    try:
        answer = client.get("/health/ready")
    except httpx.TransportError:
        return False
    return answer.is_success and answer.json()["checks"] == {"database": "ok", "files": "ok"}


def soon(look: Callable[[], T]) -> T:
    """What is seen once there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def test_from_the_first_start_to_a_crash(deployment: Deployment) -> None:
    """Over HTTP alone, as a newcomer walks: from the form to the record, and a stop or a crash loses nothing."""
    resumes = {"cv.pdf": pdf(300_000), "Lebenslauf Ångström.docx": docx()}
    with serving(deployment) as server:
        client, password = server.client, first_password(server)
        first, second = (submit(client, name, content) for name, content in resumes.items())
        mails_arrive(deployment, first["reference"], second["reference"])
        tokens = sign_in(client, username=ADMIN, password=password)
        search_finds(client, first["reference"], second["reference"])
        leads = {receipt["id"]: all_of(client, receipt["id"]) for receipt in (first, second)}
        assert [lead["/resume"] for lead in leads.values()] == list(resumes.values())
        reach_out_once(client, first["id"])
        take_notes(client, first["id"])
        erase(client, second["id"])
        sign_out(client, tokens["refresh_token"])
        sign_in(client, username=ADMIN, password=password)
        before = all_of(client, first["id"])

        assert server.stop(signal.SIGTERM) == 0

    with serving(deployment) as server:
        client = server.client
        sign_in(client, username=ADMIN, password=password)
        after = all_of(client, first["id"])
        last_event = after["/events"]["items"].pop()

        assert last_event["kind"] == "resume.opened"
        assert after == before
        assert references(client) == [first["reference"]]
        third = submit(client, "cv.pdf", resumes["cv.pdf"])
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL

    with serving(deployment) as server:
        client = server.client
        sign_in(client, username=ADMIN, password=password)
        survivor = all_of(client, third["id"])

        assert references(client) == [third["reference"], first["reference"]]
        assert survivor["/resume"] == resumes["cv.pdf"]
        assert {(owed["purpose"], owed["recipient"]) for owed in survivor["/deliveries"]["items"]} == {
            ("confirmation", PROSPECT),
            ("notification", ADMIN),
        }


def first_password(server: Server) -> str:
    """The password that the first start prints."""
    shown = re.compile(rf"{re.escape(ADMIN)} with the password (\S+) ")
    match = soon(lambda: shown.search(server.output.read_text()))
    assert match
    return match[1]


def submit(client: httpx.Client, name: str, content: bytes) -> dict[str, str]:
    """Send an enquiry; returns its receipt."""
    fields = {"first_name": "Zoë", "last_name": "Ødegård", "email": PROSPECT}
    answer = client.post("/public/leads", data=fields, files={"resume": (name, content)})
    assert answer.status_code == 201
    receipt: dict[str, str] = answer.json()
    return receipt


def mails_arrive(deployment: Deployment, *of: str) -> None:
    """The prospect and the admin each get a mail about each reference."""
    expected = sorted((recipient, reference) for reference in of for recipient in (ADMIN, PROSPECT))

    def arrived() -> bool:
        return len(deployment.mails()) == len(expected)

    assert soon(arrived)
    mails = deployment.mails()
    assert sorted((mail["To"], re.findall("LD-[0-9A-Z]{8}", mail["Subject"])[0]) for mail in mails) == expected


def sign_in(client: httpx.Client, **form: str) -> dict[str, str]:
    """Sign in with a password or a refresh token; returns the tokens."""
    answer = client.post("/auth/token", data=form)
    assert answer.status_code == 200
    tokens: dict[str, str] = answer.json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return tokens


def sign_out(client: httpx.Client, refresh_token: str) -> None:
    """A refresh token gets new tokens once; when they are revoked, the access token is worth nothing."""
    renewed = sign_in(client, grant_type="refresh_token", refresh_token=refresh_token)
    assert renewed["refresh_token"] != refresh_token
    assert client.get("/me").json()["email"] == ADMIN
    assert client.post("/auth/revoke", data={"token": renewed["refresh_token"]}).status_code == 200
    assert client.get("/me").status_code == 401


def references(client: httpx.Client, **query: str) -> list[str]:
    """The references of the leads that a query lists."""
    answer = client.get("/leads", params=query)
    assert answer.status_code == 200
    return [lead["reference"] for lead in answer.json()["items"]]


def search_finds(client: httpx.Client, first: str, second: str) -> None:
    """The newest stands first; a name is found without its accents, a reference in whatever case."""
    assert references(client) == [second, first]
    assert references(client, q="zoe odeg") == [second, first]
    assert references(client, q=first.lower()) == [first]
    assert references(client, q="nobody") == []


def all_of(client: httpx.Client, lead_id: str) -> dict[str, Any]:
    """Whatever can be read of a lead; that its resume was opened stands last in its timeline."""
    answers = {part: client.get(f"/leads/{lead_id}{part}") for part in ("/resume", "", "/deliveries", "/events")}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {part: answer.content if part == "/resume" else answer.json() for part, answer in answers.items()}


def reach_out_once(client: httpx.Client, lead_id: str) -> None:
    """A lead moves once; who comes second is told who was first, and when."""
    first, second = (client.patch(f"/leads/{lead_id}", json={"state": "REACHED_OUT"}) for _ in range(2))
    assert (first.status_code, first.json()["state"]) == (200, "REACHED_OUT")
    assert second.status_code == 409
    assert second.json()["by"] == first.json()["reached_out_by"]["full_name"]
    assert second.json()["at"] == first.json()["reached_out_at"]


def take_notes(client: httpx.Client, lead_id: str) -> None:
    """Notes are kept, and not overwritten by who has not seen them; the record tells all of it."""
    path = f"/leads/{lead_id}"
    etag = client.get(path).headers["ETag"]
    kept, stale = (
        client.patch(path, json={"notes": notes}, headers={"If-Match": etag}) for notes in ("Called.", "Wrote.")
    )
    assert (kept.status_code, stale.status_code) == (200, 412)
    assert client.get(path).json()["notes"] == "Called."
    told = client.get(f"{path}/events").json()["items"]
    assert [event["kind"] for event in told] == [
        "lead.submitted",
        "resume.opened",
        "lead.reached_out",
        "lead.notes_changed",
    ]

    def are_sent() -> bool:
        owed = client.get(f"{path}/deliveries").json()["items"]
        return [(one["recipient"], one["status"]) for one in owed] == [(PROSPECT, "sent"), (ADMIN, "sent")]

    assert soon(are_sent)


def erase(client: httpx.Client, lead_id: str) -> None:
    """Of an erased lead only the bare record is left."""
    assert client.delete(f"/leads/{lead_id}").status_code == 204
    assert client.get(f"/leads/{lead_id}").status_code == 404
    assert client.get(f"/leads/{lead_id}/resume").status_code == 404
    told = client.get(f"/leads/{lead_id}/events").json()["items"]
    assert [event["kind"] for event in told] == ["lead.submitted", "resume.opened", "lead.erased"]
