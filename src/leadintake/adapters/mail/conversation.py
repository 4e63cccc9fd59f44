"""One conversation with a mail server (RFC 5321), and what each of its answers means for a letter."""

import asyncio
import re
import ssl
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, cast

import aiosmtplib

from leadintake.domain.errors import ChannelDown, DeliveryFailed

LONGEST_ANSWER = 300
"""Characters that are kept of what a server says; it may say 32 KiB."""

NOT_SIGNED_IN = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6: who we are was not proved, at whatever stage the server says so."""

CLOSING = 421
POSITIVE, INTERMEDIATE, TRANSIENT, PERMANENT = 2, 3, 4, 5
"""The first digit of a reply (RFC 5321 section 4.2.1)."""

RUN = re.compile(r"[A-Za-z0-9+/]{8,}")
"""What a word encoded in base64 looks like, or the better part of an address."""


class Stage(StrEnum):
    """What the server is to confirm next, in words for people."""

    CONNECTION = "the connection"
    GREETING = "the greeting"
    ENCRYPTION = "encryption"
    SIGN_IN = "the sign-in"
    SENDER = "the sender"
    RECIPIENT = "the recipient"
    MESSAGE = "the message"


OF_THE_LETTER = frozenset({Stage.RECIPIENT, Stage.MESSAGE})
"""All before is the same for every letter, so what is refused there for good is a setting to mend. That holds for the
sender too: a server refuses one that does not belong to whoever signed in, and must not fail each letter for that.
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where letters are handed in, from which address, how, and by whom: nobody signs in without a username."""

    host: str
    port: int
    sender: str
    tls: Literal["require", "implicit", "off"] = "require"
    username: str | None = None
    password: str = field(default="", repr=False)
    tls_context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there are at once, how many letters each takes, and what it may take, in seconds.

    Where an answer takes 25 ms, eight connections hand in 66 letters a second, and six workers stay below the 50 that
    Postfix, as it comes, allows a client. Opening a connection takes seven round trips and a letter four, so one new
    connection for a hundred letters costs 2 %. A server waits at least five minutes for the next letter (RFC 5321
    section 4.5.3.2.7).

    Its clients should wait for minutes too, but all has to fit into domain.delivery.SEND_TIMEOUT: at worst a kept
    connection falls silent in an envelope and another is begun. The message gets what is left, at least 19 seconds,
    because a server may scan it first, and nobody knows whether one that was not confirmed has arrived.
    """

    connections: int = 8
    letters: int = 100
    idle: float = 30.0
    beginning: float = 15.0
    envelope: float = 10.0
    whole: float = 55.0
    goodbye: float = 1.0


class ConnectionLost(DeliveryFailed):
    """The connection ended or fell silent before a message was on its way, so that it can be sent by another."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=False)


class _Connection(aiosmtplib.SMTP):
    """Hangs up at once. To end TLS in form takes an answer, which Python would wait for, for up to 30 seconds."""

    def close(self) -> None:
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()
        super().close()


class Conversation:
    """A connection that hands in one letter after another. Whoever sees a method raise has to end it."""

    def __init__(self, server: Server, limits: Limits) -> None:
        self.letters = 0
        self._limits = limits
        self._server = server
        self._stage = Stage.CONNECTION
        self._private: tuple[str, ...] = ()
        self._smtp = _Connection(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=False,  # It is asked for below, so that it is known what was refused.
            tls_context=server.tls_context,
            local_hostname=server.sender.rpartition("@")[2],  # To find out one's own name can take seconds.
            timeout=None,
        )

    @property
    def is_open(self) -> bool:
        """Whether neither side has hung up, as far as is known."""
        return self._smtp.is_connected

    async def begin(self) -> None:
        """Connect, encrypt and sign in; raises ChannelDown or DeliveryFailed."""
        try:
            async with asyncio.timeout(self._limits.beginning):
                await self._begin()
        except aiosmtplib.SMTPResponseException as error:
            raise self._refusal(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            cause = _cause(error)
            if isinstance(cause, ssl.SSLError):
                why = getattr(cause, "verify_message", None) or cause.reason or cause
                raise ChannelDown(f"No safe connection to the mail server: {why}") from error
            raise DeliveryFailed(self._breakdown(error), permanent=False) from error

    async def hand_in(self, recipient: str, message: bytes, until: float) -> str:
        """Hand in a message that ends with a line end; returns how the server took it.

        It has to say so until then, in the time of the event loop. Raises ConnectionLost when the message was not on
        its way yet, ChannelDown, or another DeliveryFailed.
        """
        self.letters += 1
        self._private = (recipient,)
        parameters = "" if recipient.isascii() else " BODY=8BITMIME SMTPUTF8"
        if parameters and not self._smtp.supports_extension("smtputf8"):
            raise DeliveryFailed("The mail server takes no letters but ASCII before the @ (SMTPUTF8).", permanent=True)
        try:
            async with asyncio.timeout(self._limits.envelope):
                await self._ask(Stage.SENDER, f"MAIL FROM:<{self._server.sender}>{parameters}", POSITIVE)
                await self._ask(Stage.RECIPIENT, f"RCPT TO:<{recipient}>", POSITIVE)
                await self._ask(Stage.MESSAGE, "DATA", INTERMEDIATE)
                answer = self._transmit(message)
        except aiosmtplib.SMTPResponseException as error:
            raise self._refusal(error.code, error.message) from None
        except (TimeoutError, ConnectionError) as error:
            raise ConnectionLost(self._breakdown(error)) from error
        try:
            async with asyncio.timeout_at(until):
                reply = await answer.read_response()
        except (TimeoutError, ConnectionError, aiosmtplib.SMTPResponseException) as error:
            raise DeliveryFailed(f"{self._breakdown(error)}; it may have arrived", permanent=False) from error
        if reply.code // 100 != POSITIVE:
            raise self._refusal(reply.code, reply.message)
        return self._readable(reply.code, reply.message)

    async def end(self) -> None:
        """Say goodbye, as far as the server listens, and hang up."""
        try:
            with suppress(TimeoutError, aiosmtplib.SMTPException):
                async with asyncio.timeout(self._limits.goodbye):
                    await self._smtp.quit()
        finally:
            self._smtp.close()

    async def _begin(self) -> None:
        await self._smtp.connect()
        self._stage = Stage.GREETING
        await self._smtp.ehlo()
        if self._server.tls == "require":
            self._stage = Stage.ENCRYPTION
            if not self._smtp.supports_extension("starttls"):
                raise ChannelDown("The mail server offers no encryption (STARTTLS).")
            await self._smtp.starttls()
            await self._smtp.ehlo()
        if self._server.username is not None:
            self._stage = Stage.SIGN_IN
            if not self._smtp.supported_auth_methods:
                raise ChannelDown("The mail server offers no way to sign in.")
            name, password = self._server.username, self._server.password
            both = b64encode(f"\0{name}\0{password}".encode()).decode()
            self._private = (password, both, b64encode(password.encode()).decode())
            await self._smtp.login(name, password)

    async def _ask(self, stage: Stage, command: str, expected: int) -> None:
        self._stage = stage
        reply = await self._smtp.execute_command(command.encode())
        if reply.code == CLOSING:
            raise ConnectionLost(self._refusal(reply.code, reply.message).reason)
        if reply.code // 100 != expected:
            raise self._refusal(reply.code, reply.message)

    def _transmit(self, message: bytes) -> aiosmtplib.protocol.SMTPProtocol:
        """Send a message as RFC 5321 section 4.5.2 has it, byte for byte; returns whence the answer will come."""
        protocol = self._smtp.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return protocol

    def _refusal(self, code: int, text: str) -> ChannelDown | DeliveryFailed:
        """What a reply means that is not the one hoped for. A code below 100 stands for what is no reply at all."""
        is_for_now = code // 100 == TRANSIENT
        answer = f"The mail server refused {self._stage}{' for now' * is_for_now}: {self._readable(code, text)}"
        if code in NOT_SIGNED_IN or not (is_for_now or self._stage in OF_THE_LETTER):
            return ChannelDown(answer)
        return DeliveryFailed(answer, permanent=code // 100 == PERMANENT)

    def _breakdown(self, error: BaseException) -> str:
        cause = _cause(error)
        if isinstance(cause, TimeoutError):
            return f"The mail server did not confirm {self._stage} in time"
        if isinstance(cause, aiosmtplib.SMTPServerDisconnected | ConnectionResetError):
            return f"The mail server hung up before it confirmed {self._stage}"
        return f"The mail server cannot be reached: {self._readable(0, getattr(cause, 'strerror', None) or str(cause))}"

    def _readable(self, code: int, text: str) -> str:
        """An answer on one line. The recipient, whom no log may name, and what we signed in with are left out of it."""
        line = " ".join(text.split())
        for private in filter(None, self._private):
            if private.casefold() in line.casefold():  # A pattern is made for each recipient, so only where it is used.
                line = re.sub(re.escape(private), "...", line, flags=re.IGNORECASE)
        line = RUN.sub(lambda run: "..." if any(run[0] in private for private in self._private) else run[0], line)
        shown = "".join(c if c.isprintable() else "?" for c in line)[:LONGEST_ANSWER]
        return f"{code} {shown}" if code > 0 else shown


def _cause(error: BaseException) -> BaseException:
    """What the library wraps."""
    return error.__cause__ if isinstance(error, aiosmtplib.SMTPException) and error.__cause__ else error
