"""The worker, a database and a mail server together, when one of them fails or stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
import trustme
from tests import smtp
from tests.practice import Practice
from tests.smtp import HOST, Fault, MailServer

from leadintake.adapters.mail.conversation import Limits, Server
from leadintake.adapters.mail.render import Renderer
from leadintake.adapters.mail.smtp import SmtpMailer
from leadintake.application.app import App
from leadintake.application.views import DeliveryView
from leadintake.domain.delivery import Status
from leadintake.entrypoints import worker

SENDER = "office@firm.example"
RENDERER = Renderer(firm_name="Our firm", mail_from=SENDER, base_url="https://firm.example")
USER, PASSWORD = "office", "correct horse battery"
LEADS = 20


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificate of the mail server."""
    return trustme.CA()


@pytest.fixture
def relay(authority: trustme.CA) -> Iterator[MailServer]:
    """A mail server that wants to know who sends."""
    with smtp.running("require", authority.issue_cert(HOST)) as relay:
        relay.users = {USER: PASSWORD}
        yield relay


@asynccontextmanager
async def sending(practice: Practice, relay: MailServer, authority: trustme.CA, grace: float) -> AsyncIterator[None]:
    """A worker that sends what the practice owes."""
    context = smtp.trusting(authority)
    mailer = SmtpMailer(
        RENDERER, Server(HOST, relay.port, SENDER, "require", USER, PASSWORD, context), Limits(goodbye=0.1)
    )
    dispatch = replace(practice.dispatch, mailer=mailer)
    app = cast("App", SimpleNamespace(dispatch=dispatch, retention=practice.retention))
    async with worker.running(app, asyncio.Event(), grace=grace, first_pause=0.01):
        yield
    await mailer.aclose()


async def owe(practice: Practice) -> None:
    """Owe a confirmation and a notification for each of some leads."""
    await practice.user()
    for number in range(LEADS):
        await practice.submit(email=f"{number}@client.example")


async def owed(practice: Practice) -> list[DeliveryView]:
    """Every delivery there is."""
    return [delivery for lead in await practice.leads() for delivery in await practice.deliveries(lead.id)]


async def until(condition: Callable[[], object]) -> None:
    """Wait for the worker, or for the server's thread."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


@pytest.mark.long
async def test_an_hour_of_wrong_passwords(practice: Practice, relay: MailServer, authority: trustme.CA) -> None:
    """The server learns of no letter; when somebody has mended it all go out, none failed, and none was tried (P17)."""
    relay.users = {USER: "another"}
    await owe(practice)
    async with sending(practice, relay, authority, grace=5):
        await until(lambda: relay.verbs.count("AUTH") > 20)
        practice.clock.advance(timedelta(hours=1))
        waiting = await owed(practice)
        heard = set(relay.verbs)
        relay.users = {USER: PASSWORD}
        await until(lambda: len(relay.mails) == 2 * LEADS)

    assert "MAIL" not in heard
    assert {delivery.status for delivery in waiting} <= {Status.PENDING, Status.SENDING}
    assert any("535" in (delivery.last_error or "") for delivery in waiting)
    assert Counter((delivery.status, delivery.attempts) for delivery in await owed(practice)) == {
        (Status.SENT, 1): 2 * LEADS
    }
    assert len({mail.content for mail in relay.mails}) == 2 * LEADS


@pytest.mark.long
@pytest.mark.parametrize("stage", ["AUTH", "RCPT", "KEPT"])
async def test_stopping_under_load(practice: Practice, relay: MailServer, authority: trustme.CA, stage: str) -> None:
    """After a stop nothing is under way: what was broken off counts as tried, and the rest as if it never was (P12)."""
    relay.always[stage] = Fault.SAY_NOTHING
    await owe(practice)
    async with sending(practice, relay, authority, grace=0.01):
        await until(lambda: len(relay.open) == Limits().connections)
        await until(lambda: relay.mails if stage == "KEPT" else stage in relay.verbs)
    found = await owed(practice)

    assert Counter((delivery.status, delivery.attempts) for delivery in found) == {
        (Status.PENDING, 1): Limits().connections,
        (Status.PENDING, 0): 2 * LEADS - Limits().connections,
    }
    doubtful = [delivery.last_error for delivery in found if delivery.attempts]
    assert set(doubtful) == {"Broken off on the way; it may have arrived."}
