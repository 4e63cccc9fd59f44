"""docs/operations.md says what the service does: its lists of events, metrics and times are compared with the code."""

import re
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from tests.pages import ROOT, page, table

from leadintake.adapters.files import bucket
from leadintake.adapters.mail.smtp import LIMITS
from leadintake.adapters.sql import postgres
from leadintake.adapters.sql.sqlite_connections import LOCK_TIMEOUT_MS
from leadintake.domain import delivery
from leadintake.entrypoints import sender, worker
from leadintake.entrypoints.commands.serve import DRAIN_SECONDS
from leadintake.entrypoints.commands.worker import GRACE
from leadintake.entrypoints.errors import BY_SLUG, RETRY_AFTER
from leadintake.entrypoints.http import ops, redis_counts
from leadintake.entrypoints.http.connection import Connection

PAGE = page("docs/operations.md")
LOGGED = re.compile(r'\blog(?:ger)?\.(?:info|warning|error|exception)\(\s*"(\w+)"')


@pytest.mark.asvs("V16.3.1-3")
def test_events_of_the_log() -> None:
    """The page has every event that the source logs, and no other."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    outcomes = {event for _, event in sender.ENDS.values()}
    failures = {slug.replace("-", "_") for slug, meaning in BY_SLUG.items() if meaning.status in {500, 503}}
    every = {*LOGGED.findall(source), *outcomes, *failures}

    assert {row[0] for row in table(PAGE, "event", "level", "means")} == {f"`{event}`" for event in every}


def test_metrics() -> None:
    """The page has every metric of the service, under the name that is scraped."""
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("leadintake_")]
    names = {f"`{metric.name}{'_total' if metric.type == 'counter' else ''}`" for metric in ours}

    assert {row[0] for row in table(PAGE, "metric", "labels", "is")} == names


@pytest.mark.asvs("V13.1.1-3")
def test_times() -> None:
    """The page has the times that the code sets."""

    def shown(time: timedelta, unit: str) -> str:
        return f"{time // timedelta(**{unit: 1})} {unit}"

    assert table(PAGE, "what", "how long") == [
        ["the headers of a request may take", f"{Connection.head_seconds:g} seconds"],
        [
            "its body may take, and for each 10,000 bytes of it",
            f"{Connection.body_seconds:g} seconds, and {10_000 // Connection.body_bytes_per_second} more",
        ],
        ["a stop waits for requests under way", f"{DRAIN_SECONDS} seconds"],
        ["a stop then waits for mails being sent", f"{worker.GRACE:g} seconds; `leadintake worker` {GRACE:g}"],
        ["what was cut off is then written down, to be sent again", f"{worker.SETTLING:g} seconds"],
        ["a try to send a mail", shown(delivery.SEND_TIMEOUT, "seconds")],
        ["a claim on a mail, after which it may be claimed again", shown(delivery.LEASE, "minutes")],
        ["first delay before another try", shown(delivery.FIRST_DELAY, "seconds")],
        ["longest delay before another try", shown(delivery.LONGEST_DELAY, "hours")],
        ["a mail is given up", shown(delivery.GIVE_UP_AFTER, "days")],
        ["the worker looks for mail that was not announced to it", f"every {sender.LONGEST_SLEEP:g} seconds"],
        ["a command or the service waits for SQLite to be free", f"{LOCK_TIMEOUT_MS // 1000} seconds"],
        [
            "PostgreSQL may take to take a connection, and to answer a statement",
            f"{postgres.CONNECT_SECONDS:g} and {postgres.STATEMENT_SECONDS:g} seconds",
        ],
        [
            "an object store may take to answer",
            f"{bucket.ANSWER_SECONDS} seconds, and one for each MB of the largest file",
        ],
        [
            "a mail server may take until a connection is ready, and to take an envelope",
            f"{LIMITS.beginning:g} and {LIMITS.envelope:g} seconds",
        ],
        ["Redis may take to answer", f"{redis_counts.ANSWER_SECONDS:g} second"],
        ["each check of `/health/ready`", f"{ops.PING_SECONDS:g} seconds"],
        ["`Retry-After` of a 503", f"{RETRY_AFTER} seconds"],
        ["the sweep runs", f"every {shown(worker.SWEEP_EVERY, 'minutes')}"],
        ["old keys and sessions are removed", f"every {shown(worker.PRUNE_EVERY, 'minutes')}"],
        ["leads whose time is over are erased", f"every {shown(worker.EXPIRE_EVERY, 'minutes')}"],
    ]
