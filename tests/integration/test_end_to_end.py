"""The whole service as its users meet it, on one machine and on many: real processes, real engines, nothing else."""

import re
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trustme
from tests import postgres, smtp
from tests.deployment import Deployment, Running, parsed, running, soon
from tests.documents import docx, pdf
from tests.redis_server import RedisServer
from tests.s3 import S3

ADMIN = "admin@example.com"
PROSPECT = "prospect@example.org"
ATTORNEY = "attorney@example.org"
HALF = 60
"""Submissions before a process is killed, and after."""

LET_LEASES_END = "UPDATE deliveries SET due_at = 0 WHERE status = 'sending'"


@pytest.fixture
def one_machine(tmp_path: Path) -> Deployment:
    """One process on SQLite, a folder of files, and a folder that mails are written to."""
    data = tmp_path / "data"

    def let_leases_end() -> None:
        with closing(sqlite3.connect(data / "leadintake.db")) as connection, connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # As of all but the server (docs/adr/0002).
            connection.execute(LET_LEASES_END)

    return Deployment(
        tmp_path,
        {"LEADINTAKE_DATA_DIR": str(data)},
        # As in a shell, what begins with a dot is not meant: a mail that is still being written.
        lambda: parsed([path.read_bytes() for path in (data / "mail").glob("[!.]*.eml")]),
        let_leases_end,
    )


@pytest.fixture
def two_processes(one_machine: Deployment) -> Deployment:
    """The same with a worker beside the server."""
    return replace(one_machine, environ={**one_machine.environ, "LEADINTAKE_WORKER": "separate"}, workers=1)


@pytest.fixture
def many_machines(tmp_path: Path, s3: S3, redis: RedisServer) -> Iterator[Deployment]:
    """Two servers and two workers on PostgreSQL, S3, Redis, and a mail server that asks for TLS and a password."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate = authority.issue_cert("localhost")
    with postgres.running() as server, smtp.running("require", certificate) as mail:
        mail.users["intake"] = "not a secret"
        environ = {
            "DATABASE_URL": server.url(),
            "LEADINTAKE_SECRET_KEY": uuid4().hex,
            "LEADINTAKE_WORKER": "separate",
            "LEADINTAKE_FILES": s3.url(),
            **s3.environ,
            "LEADINTAKE_REDIS_URL": redis.url,
            "LEADINTAKE_MAIL_BACKEND": "smtp",
            "LEADINTAKE_SMTP_HOST": "localhost",
            "LEADINTAKE_SMTP_PORT": str(mail.port),
            "LEADINTAKE_SMTP_USERNAME": "intake",
            "LEADINTAKE_SMTP_PASSWORD": mail.users["intake"],
            "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
        }
        yield Deployment(
            tmp_path,
            environ,
            lambda: parsed([mail.content for mail in [*mail.mails]]),
            lambda: server.execute(LET_LEASES_END),
            servers=2,
            workers=2,
        )


@pytest.fixture(
    params=["one_machine", *(pytest.param(name, marks=pytest.mark.long) for name in ("two_processes", "many_machines"))]
)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each set of engines."""
    found: Deployment = request.getfixturevalue(request.param)
    return replace(found, program=())


def test_from_the_first_start_to_a_crash(deployment: Deployment) -> None:
    """Over HTTP alone, as a newcomer walks: from the form to the record, and a stop or a crash loses nothing."""
    resumes = {"cv.pdf": pdf(300_000), "Lebenslauf Ångström.docx": docx()}
    with running(deployment) as service:
        client, password = service.client, first_password(service)
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

        assert service.end(signal.SIGTERM) == {0}

        service.start()
        after = all_of(client, first["id"])
        last_event = after["/events"]["items"].pop()

        assert last_event["kind"] == "resume.opened"
        assert after == before
        assert references(client) == [first["reference"]]
        third = submit(client, "cv.pdf", resumes["cv.pdf"])
        assert service.end(signal.SIGKILL) == {-signal.SIGKILL}

        service.start()
        survivor = all_of(client, third["id"])

        assert references(client) == [third["reference"], first["reference"]]
        assert survivor["/resume"] == resumes["cv.pdf"]
        assert {(owed["purpose"], owed["recipient"]) for owed in survivor["/deliveries"]["items"]} == {
            ("confirmation", PROSPECT),
            ("notification", ADMIN),
        }


@pytest.mark.long
@pytest.mark.attack(173)
def test_killed_half_way(deployment: Deployment) -> None:
    """A server and a worker die under load: what was acknowledged is there, whole, and everybody hears of it."""
    deployment.environ.update({"LEADINTAKE_RATE_LIMIT_SUBMIT": "off", "LEADINTAKE_CONFIRMATIONS_PER_ADDRESS": "off"})
    sent: dict[str, bytes] = {}

    def submit_one(number: int) -> None:
        content = pdf(20_000 + number)
        fields = {"first_name": "Ada", "last_name": "Lovelace", "email": PROSPECT}
        try:
            answer = service.client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", content)})
        except httpx.TransportError:
            return
        if answer.status_code == 201:
            sent[answer.json()["id"]] = content

    with running(deployment) as service, ThreadPoolExecutor(8) as prospects:
        password = first_password(service)
        submissions = [prospects.submit(submit_one, number) for number in range(HALF)]
        soon(lambda: len(sent) > HALF // 4)
        if service.workers:
            service.kill_one_of(service.workers)
        service.kill_one_of(service.servers)
        service.start()
        submissions += [prospects.submit(submit_one, number) for number in range(HALF, 2 * HALF)]
        for each in submissions:
            each.result()
        sign_in(service.client, username=ADMIN, password=password)
        deployment.let_leases_end()
        submit_one(2 * HALF)  # It wakes the workers, who would look by themselves within half a minute.
        waiting = [*sent]
        soon(lambda: all_sent(service.client, waiting))
        found = {lead: service.client.get(f"/leads/{lead}/resume").content for lead in sent}
        listed = {lead["id"] for lead in everything(service.client)}

    copies = defaultdict[str, set[bytes]](set)
    for mail in deployment.mails():
        copies[mail["Message-ID"]].add(mail.as_bytes())

    assert len(sent) > HALF
    assert found == sent
    assert listed >= sent.keys()
    assert len(copies) == 2 * len(listed)
    assert all(len(same) == 1 for same in copies.values())


@pytest.mark.long
@pytest.mark.asvs("V7.4.1")
def test_what_holds_across_servers_and_restarts(deployment: Deployment) -> None:
    """A repeat has no second effect, and who was signed out or deactivated stays so, whichever server is asked."""
    content, key = pdf(), {"Idempotency-Key": "form-1"}
    with running(deployment) as service:
        admin, gone, revoked = (service.new_client() for _ in range(3))
        admin_password = first_password(service)
        sign_in(admin, username=ADMIN, password=admin_password)
        first = send(service.client, content, key)
        repeats = [send(service.client, content, key) for _ in range(2)]
        new = {"email": ATTORNEY, "full_name": "Atticus Finch", "role": "attorney", "password": uuid4().hex}
        attorney = admin.post("/users", json=new).raise_for_status().json()
        tokens = sign_in(gone, username=ATTORNEY, password=new["password"])
        sign_in(revoked, username=ADMIN, password=admin_password)
        revoked.post("/auth/revoke", data={"token": revoked.headers["Authorization"].split()[1]}).raise_for_status()
        admin.patch(f"/users/{attorney['id']}", json={"is_active": False}).raise_for_status()
        before = [answers_of(client) for client in (admin, gone, revoked)]
        service.end(signal.SIGTERM)
        service.start()
        after = [answers_of(client) for client in (admin, gone, revoked)]
        late = send(service.client, content, key)
        other = send(service.client, content + b"\n", key)
        refreshed = gone.post(
            "/auth/token", data={"refresh_token": tokens["refresh_token"], "grant_type": "refresh_token"}
        )

        assert [answer.json() for answer in (*repeats, late)] == [first.json()] * 3
        assert [answer.headers.get("Idempotency-Replayed") for answer in (first, *repeats, late)] == [
            None,
            *["true"] * 3,
        ]
        assert other.status_code == 422
        assert before == after == [{200}, {401}, {401}]
        assert refreshed.status_code == 400
        assert references(admin) == [first.json()["reference"]]
        assert soon(lambda: are_sent(admin, first.json()["id"]))
        assert service.end(signal.SIGTERM) == {0}
    assert sorted(mail["To"] for mail in deployment.mails()) == [ADMIN, PROSPECT]  # Nobody was killed: no mail twice.


@pytest.mark.long
@pytest.mark.asvs("V6.3.1")
@pytest.mark.attack(121)
def test_rates_are_counted_together(many_machines: Deployment) -> None:
    """Whoever tries passwords at several servers, or waits for a restart, gets no more tries for that."""
    many_machines.environ["LEADINTAKE_RATE_LIMIT_LOGIN"] = "4/hour"
    wrong = {"username": ADMIN, "password": "not the password"}
    with running(replace(many_machines, workers=0, program=())) as service:
        tries = [service.client.post("/auth/token", data=wrong) for _ in range(6)]
        service.end(signal.SIGTERM)
        service.start()
        later = service.client.post("/auth/token", data=wrong)

        assert [answer.status_code for answer in tries] == [400] * 4 + [429] * 2
        assert later.status_code == 429


def answers_of(client: httpx.Client) -> set[int]:
    """What every server answers to somebody."""
    return {client.get("/me").status_code for _ in range(2)}


def send(client: httpx.Client, content: bytes, headers: dict[str, str]) -> httpx.Response:
    """Send an enquiry."""
    fields = {"first_name": "Zoë", "last_name": "Ødegård", "email": PROSPECT}
    return client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", content)}, headers=headers)


def first_password(service: Running) -> str:
    """The password that the first start prints."""
    shown = re.compile(rf"{re.escape(ADMIN)} with the password (\S+) ")
    match = soon(lambda: shown.search(service.written()))
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

    assert soon(lambda: are_sent(client, lead_id))


def are_sent(client: httpx.Client, lead_id: str) -> bool:
    """Whether both mails of a lead are marked as sent."""
    owed = client.get(f"/leads/{lead_id}/deliveries").json()["items"]
    return [(one["recipient"], one["status"]) for one in owed] == [(PROSPECT, "sent"), (ADMIN, "sent")]


def all_sent(client: httpx.Client, waiting: list[str]) -> bool:
    """Whether all mails of these leads are sent. Those of which it is known are not asked about again."""
    while waiting and are_sent(client, waiting[-1]):
        waiting.pop()
    return not waiting


def everything(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """All leads, page by page."""
    page = client.get("/leads").json()
    yield from page["items"]
    while page["next_cursor"]:
        page = client.get("/leads", params={"cursor": page["next_cursor"]}).json()
        yield from page["items"]


def erase(client: httpx.Client, lead_id: str) -> None:
    """Of an erased lead only the bare record is left."""
    assert client.delete(f"/leads/{lead_id}").status_code == 204
    assert client.get(f"/leads/{lead_id}").status_code == 404
    assert client.get(f"/leads/{lead_id}/resume").status_code == 404
    told = client.get(f"/leads/{lead_id}/events").json()["items"]
    assert [event["kind"] for event in told] == ["lead.submitted", "resume.opened", "lead.erased"]
