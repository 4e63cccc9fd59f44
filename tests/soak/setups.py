"""The set-ups that are put under load: those of the end-to-end tests, and smaller ones for single promises."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests import postgres, smtp
from tests.deployment import Deployment, Running, parsed
from tests.documents import pdf
from tests.integration.test_end_to_end import LET_LEASES_END, many_machines, one_machine
from tests.postgres import Postgres
from tests.smtp import MailServer

__all__ = ["many_machines", "one_machine"]

OnPostgres = Callable[[int, int], Deployment]
"""Makes a deployment of so many servers and workers."""

LEASE = 8.0
SHORT_LEASE = (sys.executable, str(Path(__file__).with_name("launch.py")), f"LEASE={LEASE}", "SEND_TIMEOUT=6")
"""The program of a deployment whose claims last seconds instead of minutes."""

NO_LIMITS = {
    "LEADINTAKE_RATE_LIMIT_SUBMIT": "off",
    "LEADINTAKE_RATE_LIMIT_LOGIN": "off",
    "LEADINTAKE_CONFIRMATIONS_PER_ADDRESS": "off",
}


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A PostgreSQL server of the row's own."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server of the row's own, without TLS."""
    with smtp.running() as mail:
        yield mail


@pytest.fixture
def on_sqlite(one_machine: Deployment) -> Deployment:
    """One process, without limits."""
    one_machine.environ.update(NO_LIMITS)
    return one_machine


@pytest.fixture
def on_postgres(tmp_path: Path, server: Postgres, mail: MailServer) -> OnPostgres:
    """So many servers and so many workers on PostgreSQL, a folder, and a mail server; without limits."""

    def deployment(servers: int, workers: int) -> Deployment:
        environ = {
            **NO_LIMITS,
            "DATABASE_URL": server.url(),
            "LEADINTAKE_DATA_DIR": str(tmp_path / "data"),
            "LEADINTAKE_SECRET_KEY": uuid4().hex,
            "LEADINTAKE_WORKER": "separate",
            "LEADINTAKE_MAIL_BACKEND": "smtp",
            "LEADINTAKE_SMTP_HOST": smtp.HOST,
            "LEADINTAKE_SMTP_PORT": str(mail.port),
            "LEADINTAKE_SMTP_TLS": "off",
        }
        return Deployment(
            tmp_path,
            environ,
            lambda: parsed([one.content for one in [*mail.mails]]),
            lambda: server.execute(LET_LEASES_END),
            servers=servers,
            workers=workers,
        )

    return deployment


def submit(service: Running, email: str) -> str:
    """Send an enquiry from an address; returns the id of its lead."""
    fields = {"first_name": "Ada", "last_name": "Lovelace", "email": email}
    answer = service.client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", pdf())})
    assert answer.status_code == 201
    return str(answer.json()["id"])
