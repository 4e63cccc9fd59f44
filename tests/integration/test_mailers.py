"""What every Mailer promises: each letter goes out once, as it was rendered, and an answer that names nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from tests import smtp
from tests.letters import LETTER, letter

from leadintake.adapters.mail.console import ConsoleMailer
from leadintake.adapters.mail.conversation import Server
from leadintake.adapters.mail.render import Renderer
from leadintake.adapters.mail.smtp import SmtpMailer
from leadintake.application.ports.deliveries import Mailer
from leadintake.domain.delivery import Purpose
from leadintake.domain.errors import DeliveryFailed

SENDER = "office@firm.example"
RENDERER = Renderer(firm_name="Our firm", mail_from=SENDER, base_url="https://firm.example")


@dataclass(frozen=True)
class Way:
    """A way out, and what came out of it so far."""

    mailer: Mailer
    arrived: Callable[[], list[bytes]]


@pytest.fixture(params=["console", "smtp"])
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    """Each way that mail can take."""
    if request.param == "console":
        console = ConsoleMailer(tmp_path, RENDERER)
        yield Way(console, lambda: [path.read_bytes() for path in tmp_path.iterdir()])
        await console.aclose()
    else:
        with smtp.running() as server:
            mailer = SmtpMailer(RENDERER, Server(smtp.HOST, server.port, SENDER, "off"))
            yield Way(mailer, lambda: [mail.content for mail in server.mails])
            await mailer.aclose()


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_letter_goes_out_as_it_was_rendered(way: Way, purpose: Purpose) -> None:
    """When the mailer returns, the letter is there, every byte of it."""
    await way.mailer.send(letter(purpose=purpose))

    assert way.arrived() == [RENDERER.render(letter(purpose=purpose))]


async def test_as_many_as_go_at_once(way: Way) -> None:
    """All letters that may be under way together, and three times as many, go out once each."""
    owed = [letter(delivery_id=UUID(int=n), message_id=f"<{n}@firm.example>") for n in range(3 * way.mailer.at_once)]
    await asyncio.gather(*map(way.mailer.send, owed))

    assert Counter(way.arrived()) == Counter(map(RENDERER.render, owed))


async def test_another_attempt_is_the_same_letter(way: Way) -> None:
    """What is sent again is the same message, byte for byte, so that it can be known for a copy (P5)."""
    for attempt in (1, 2):
        await way.mailer.send(letter(attempt=attempt))

    assert way.arrived() == [RENDERER.render(LETTER)] * 2


async def test_the_answer_names_nobody(way: Way) -> None:
    """What is logged of a letter that went out has neither an address nor a name."""
    answer = await way.mailer.send(LETTER)

    assert answer
    assert not any(name in answer for name in (LETTER.recipient, LETTER.email, LETTER.first_name, LETTER.last_name))


@pytest.mark.attack(65)
async def test_an_address_that_smtp_cannot_carry(way: Way) -> None:
    """It fails for good at once, whichever the way, and takes no other letter along."""
    with pytest.raises(DeliveryFailed, match="plain") as failure:
        await way.mailer.send(letter(recipient="=?utf-8?q?zoe?=@client.example"))
    await way.mailer.send(LETTER)

    assert failure.value.permanent
    assert len(way.arrived()) == 1
