"""A mail server: aiosmtpd in a thread of its own, which takes down all it hears and misbehaves as it is told."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Literal

import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
Tls = Literal["require", "implicit", "off"]


class Fault(Enum):
    """What a server does in place of an answer."""

    HANG_UP = "hangs up"
    SAY_NOTHING = "says nothing"


Answer = str | Fault | None
"""None is what a good server says."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the server kept, with its envelope, and the number of the connection it came by."""

    sender: str | None
    recipients: tuple[str, ...]
    content: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Command:
    """What a client said: a verb of SMTP, or `CONTENT` for a whole message."""

    connection: int
    verb: str
    argument: str = ""


@dataclass
class MailServer:
    """A running server, whose answers may be changed at any time, and lists read.

    `always` has its answers by stage, `next` those for the first times. A stage is a verb; or `CONNECT`, the greeting;
    `CONTENT`, a message that it does not keep; `KEPT`, one that it did. The last two and `RCPT` may name a recipient,
    as in `RCPT TO:<ada@client.example>`, which goes first. Who has no user is asked for none. Extensions in `without`
    are not offered, and without STARTTLS a password is asked for in clear. Each answer takes `delay` seconds.
    """

    users: dict[str, str] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    always: dict[str, Answer] = field(default_factory=dict)
    next: dict[str, list[Answer]] = field(default_factory=dict)
    delay: float = 0
    tls: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    loop: asyncio.AbstractEventLoop = field(init=False)
    port: int = 0
    connections: int = 0
    most_open: int = 0
    open: set["Conversation"] = field(default_factory=set)
    mails: list[Mail] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    @property
    def verbs(self) -> list[str]:
        """All that was said, without the arguments."""
        return [command.verb for command in self.commands]

    def answer(self, stage: str, to: str) -> Answer:
        """What to say at a stage that is about a recipient, or about none."""
        for name in (f"{stage} {to}", stage):
            if coming := self.next.get(name):
                return coming.pop(0)
            if name in self.always:
                return self.always[name]
        return None

    def hang_up(self) -> None:
        """End all connections, as a server that is restarted does."""
        for conversation in [*self.open]:
            self.loop.call_soon_threadsafe(conversation.hang_up)

    def show(self, certificate: trustme.LeafCert) -> None:
        """Show another certificate to whoever connects from now on."""
        self.loop.call_soon_threadsafe(certificate.configure_cert, self.tls)

    async def handle_DATA(self, conversation: "Conversation", _: Session, envelope: Envelope) -> str:  # noqa: N802 - as aiosmtpd calls it
        """Take a message."""
        self.commands.append(Command(conversation.number, "CONTENT"))
        to = f"TO:<{envelope.rcpt_tos[0]}>"
        answer = await conversation.answer("CONTENT", to)
        if answer is None:
            content = envelope.original_content or b""
            self.mails.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), content, conversation.number))
            answer = await conversation.answer("KEPT", to)
        return answer or "250 2.0.0 queued"

    async def handle_EHLO(  # noqa: N802 - as aiosmtpd calls it
        self, _: SMTP, session: Session, _envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        """Offer what is to be offered."""
        session.host_name = hostname
        hidden = self.without if self.users else {*self.without, "AUTH"}
        return [line for line in lines if line[4:].split()[0] not in hidden]


class Conversation(SMTP):
    """One connection."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            server,
            hostname="mail.example",
            tls_context=tls,
            auth_require_tls=tls is not None and "STARTTLS" not in server.without,
            auth_callback=lambda _, name, password: server.users.get(name.decode()) == password.decode(),
            loop=asyncio.get_running_loop(),
            enable_SMTPUTF8="SMTPUTF8" not in server.without,
        )
        self.server = server
        server.connections += 1
        self.number = server.connections
        self._smtp_methods = {verb: partial(self._heard, verb, method) for verb, method in self._smtp_methods.items()}

    def hang_up(self) -> None:
        """End the connection without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Also called when the connection is encrypted."""
        self.server.open.add(self)
        self.server.most_open = max(self.server.most_open, len(self.server.open))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.open.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        try:
            await self._at("CONNECT", super()._handle_client)
        except asyncio.CancelledError:
            self.hang_up()
            raise

    async def _heard(self, verb: str, method: Callable[[str | None], Awaitable[None]], argument: str | None) -> None:
        self.server.commands.append(Command(self.number, verb, argument or ""))
        if verb == "MAIL" and self.server.users and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 Authentication required")
        else:
            await self._at(verb, lambda: method(argument), argument if verb == "RCPT" else None)

    async def _at(self, stage: str, good: Callable[[], Awaitable[None]], to: str | None = None) -> None:
        answer = await self.answer(stage, to or "")
        if answer is None:
            await good()
        else:
            await self.push(answer)
            if stage == "CONNECT" or answer.startswith("421"):
                self.hang_up()

    async def answer(self, stage: str, to: str) -> str | None:
        """What to say at a stage; never returns where that is nothing."""
        await asyncio.sleep(self.server.delay)
        answer = self.server.answer(stage, to)
        if isinstance(answer, Fault):
            if answer is Fault.HANG_UP:
                self.hang_up()
            await asyncio.Event().wait()
            return None
        return answer


@contextmanager
def running(tls: Tls = "off", certificate: trustme.LeafCert | None = None) -> Iterator[MailServer]:
    """Run a server until the context ends; with a certificate it offers STARTTLS, or begins with TLS."""
    server = MailServer()
    ready, stop = threading.Event(), asyncio.Event()
    if certificate:
        certificate.configure_cert(server.tls)

    async def serve() -> None:
        server.loop = asyncio.get_running_loop()
        listener = await server.loop.create_server(
            lambda: Conversation(server, server.tls if tls == "require" else None),
            HOST,
            0,
            ssl=server.tls if tls == "implicit" else None,
        )
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listener.close()
        for conversation in [*server.open]:
            conversation.hang_up()
        while server.open:  # noqa: ASYNC110 - it lasts a few steps of the loop
            await asyncio.sleep(0)

    thread = threading.Thread(target=asyncio.run, args=[serve()], name="smtp")
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop.set)
        thread.join()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Verifies certificates as always, and knows one more who may sign them."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
