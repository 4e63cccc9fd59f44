"""Mails that are refused for good, beside many that are not."""

import random
import re
import signal
from collections import Counter
from dataclasses import dataclass, replace
from uuid import UUID

import httpx
import pytest
from tests.deployment import BASE_URL, Deployment, Running, parsed, running, soon
from tests.integration.test_end_to_end import ADMIN, first_password
from tests.smtp import MailServer
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects, email_of
from tests.soak.setups import LOOKS_OFTEN, OnPostgres, command, sent_to, submit
from tests.soak.store import Store

ATTORNEY = "desk@firm.example"
NEVER = "550 5.1.1 No such user here"
FAILED_BADGE = '<span class="badge bad">Failed</span>'
BANNER = re.compile(r"<strong>(\d+) mails? could not be delivered")
FAILED_GAUGE = re.compile(r'leadintake_outbox_deliveries\{status="failed"\} (\S+)')


@pytest.fixture(params=["one machine", "many machines"])
def deployment(request: pytest.FixtureRequest, mail: MailServer) -> Deployment:
    """One process on SQLite, or two servers and two workers on PostgreSQL; both before the mail server."""
    if request.param == "one machine":
        found: Deployment = request.getfixturevalue("on_sqlite")
    else:
        on_postgres: OnPostgres = request.getfixturevalue("on_postgres")
        found = on_postgres(2, 2)
    found.environ.update(sent_to(mail), LEADINTAKE_ATTORNEY_EMAIL=ATTORNEY)
    return replace(found, program=LOOKS_OFTEN)


@pytest.mark.promises("P9")
def test_refused_for_good(
    deployment: Deployment, mail: MailServer, row: Row, scale: Scale, chance: random.Random
) -> None:
    """550 for some of many prospects: one try, failed, shown; sent when asked for; attorneys hear of all leads."""
    store, numbers = Store(deployment.environ), range(1, scale.refused_leads + 1)
    refused = {email_of(number) for number in chance.sample(numbers, len(numbers) // 3)}
    mail.always |= {f"RCPT TO:<{email}>": NEVER for email in refused}
    with running(deployment) as service:
        sign_in(service)
        prospects = Prospects(service.port, clients=4)
        with prospects.sending(len(numbers)):
            pass
        _all_settled(service, store)
        assert service.end(signal.SIGKILL) == {-signal.SIGKILL}
        service.start()
        submit(service, "after@client.example")  # When that is there, the worker has looked.
        _all_settled(service, store)
        failed = [one for one in store.owed() if one.status == "failed"]
        tries, shown = _tries(mail), _shown(service, [one.lead_id for one in failed])
        listed = command(deployment, "deliveries", "list", "--status", "failed")
        mail.always.clear()
        command(deployment, "deliveries", "retry", *(one.uuid for one in failed))
        assert soon(lambda: {one.status for one in store.owed()} == {"sent"}), "what was asked for is not sent"
        tries_in_the_end, shown_in_the_end = _tries(mail), _shown(service, [one.lead_id for one in failed])
        owed = store.owed()
    copies = Counter(one["Message-ID"] for one in parsed([one.content for one in mail.mails]))
    row.trials, row.faults, row.acknowledged = len(owed), len(refused), len(prospects.acknowledged) + 1
    row.lost = len({one.message_id for one in owed} - copies.keys())
    row.duplicates = copies.total() - len(copies)

    assert {one.recipient for one in failed} == refused
    assert {one.attempts for one in failed} == {1}
    assert all(NEVER[:9] in (one.last_error or "") for one in failed)
    assert {tries[email] for email in refused} == {1}
    assert shown == Shown(len(refused), len(refused), len(refused))
    assert all(one.uuid in listed for one in failed)
    assert {tries_in_the_end[email] for email in refused} == {2}
    assert tries_in_the_end[ATTORNEY] == row.acknowledged
    assert shown_in_the_end == Shown(0, 0, 0)
    assert len(owed) == 2 * row.acknowledged
    assert (row.lost, row.duplicates) == (0, 0)


@dataclass(frozen=True)
class Shown:
    """How many failed mails people see: in the banner above each page, at their leads, and in the metrics."""

    banner: int
    badges: int
    gauge: int


def _shown(service: Running, leads: list[str]) -> Shown:
    banner = BANNER.search(service.client.get("/inbox").text)
    pages = [service.client.get(f"/inbox/leads/{UUID(lead)}") for lead in leads]
    gauge = FAILED_GAUGE.search(service.client.get("/metrics").text)
    assert {page.status_code for page in pages} == {200}
    return Shown(
        int(banner[1]) if banner else 0,
        sum(page.text.count(FAILED_BADGE) for page in pages),
        int(float(gauge[1])) if gauge else -1,
    )


def _tries(mail: MailServer) -> Counter[str]:
    """How often each recipient was tried."""
    return Counter(one.argument[4:-1] for one in mail.commands if one.verb == "RCPT")


def _all_settled(service: Running, store: Store) -> None:
    assert soon(lambda: {one.status for one in store.owed()} <= {"sent", "failed"}), service.written()[-2000:]


def sign_in(service: Running) -> None:
    """Open a session as a browser does."""
    form = {"email": ADMIN, "password": first_password(service)}
    answer = service.client.post("/inbox/sign-in", data=form, headers={"Origin": BASE_URL})
    assert answer.status_code == httpx.codes.SEE_OTHER
    service.client.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
