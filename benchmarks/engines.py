"""The engines of large installations, from packages: PostgreSQL, an object store, and a mail server that counts."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import SETTINGS, Postgres

from benchmarks.load_process import ROOT
from benchmarks.processes import free_port, running, wait_for

DURABLE = {**SETTINGS, "fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
"""As in operation: what is committed is on the disk."""


def on_postgres(server: Postgres, database: str = "postgres") -> dict[str, str]:
    """The settings of all processes of a service on this database."""
    return {"DATABASE_URL": server.url(database), "LEADINTAKE_SECRET_KEY": secrets.token_urlsafe(48)}


@dataclass(frozen=True)
class MailSink:
    """A mail server in a process of its own, which writes down when each mail was taken."""

    port: int
    record: Path

    @property
    def environ(self) -> dict[str, str]:
        """The settings of a service that sends by it."""
        return {
            "LEADINTAKE_MAIL_BACKEND": "smtp",
            "LEADINTAKE_SMTP_HOST": "127.0.0.1",
            "LEADINTAKE_SMTP_PORT": str(self.port),
            "LEADINTAKE_SMTP_TLS": "off",
        }

    def count(self) -> int:
        """How many mails it has taken."""
        return self.record.stat().st_size


@contextmanager
def mail_sink(folder: Path) -> Iterator[MailSink]:
    """Run a mail server until the context ends."""
    sink = MailSink(free_port(), folder / "mails")
    command = [sys.executable, "-m", "benchmarks.mail_sink", str(sink.port), sink.record]
    with running(command, ROOT, {}, folder / "sink.txt"):
        wait_for(sink.record.exists)
        yield sink
