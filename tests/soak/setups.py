"""The set-ups that are put under load: those of the end-to-end tests, and smaller ones for single promises."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests import postgres, smtp
from tests.deployment import Deployment, Running, parsed
from tests.documents import pdf
from tests.integration.test_backup_under_load import command as started
from tests.integration.test_backup_under_load import outcome
from tests.integration.test_end_to_end import LET_LEASES_END, many_machines, one_machine, two_processes
from tests.postgres import Postgres
from tests.smtp import MailServer

__all__ = ["many_machines", "one_machine", "two_processes"]

OnPostgres = Callable[[int, int], Deployment]
"""Makes a deployment of so many servers and workers."""

LEASE = 8.0
LAUNCH = Path(__file__).with_name("launch.py")
SHORT_LEASE = (sys.executable, str(LAUNCH), f"LEASE={LEASE}", "SEND_TIMEOUT=6")
"""The program of a deployment whose claims last seconds instead of minutes."""

LOOKS_OFTEN = (sys.executable, str(LAUNCH), "LONGEST_SLEEP=0.1", "SHORTEST_SLEEP=0.05")
"""The program of a deployment whose worker sees at once that the clock has jumped."""

HASTY = (
    sys.executable,
    str(LAUNCH),
    *("FIRST_DELAY=0.3", "FIRST_PAUSE=0.1", "LONGEST_PAUSE=0.2", "SHORTEST_SLEEP=0.05", "LONGEST_SLEEP=1"),
)
"""The program of a deployment that tries again after a moment."""

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
            **sent_to(mail),
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


def sent_to(mail: MailServer) -> dict[str, str]:
    """What has mails handed in there, without TLS."""
    return {
        "LEADINTAKE_MAIL_BACKEND": "smtp",
        "LEADINTAKE_SMTP_HOST": smtp.HOST,
        "LEADINTAKE_SMTP_PORT": str(mail.port),
        "LEADINTAKE_SMTP_TLS": "off",
    }


def submit(service: Running, email: str) -> str:
    """Send an enquiry from an address; returns the id of its lead."""
    fields = {"first_name": "Ada", "last_name": "Lovelace", "email": email}
    answer = service.client.post("/public/leads", data=fields, files={"resume": ("cv.pdf", pdf())})
    assert answer.status_code == 201
    return str(answer.json()["id"])


def command(deployment: Deployment, *arguments: str) -> str:
    """Run a command of the service beside a deployment; returns what it writes."""
    code, output, error = outcome(started(deployment.environ, *arguments))
    assert code == 0, error
    return output
