"""Starts the service with constants of its own: `python launch.py LEASE=8 SEND_TIMEOUT=6 worker`, in seconds.

A lease of five minutes is long for a test. Where POISONED is set, mails to some addresses do what no mail should. Where
STEPPED is set, each statement to the database writes a dot to standard error, and waits for a byte on standard input.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module

import sqlalchemy as sa

constants = [argument.partition("=") for argument in sys.argv[1:] if "=" in argument]
MODULES = ("domain.delivery", "entrypoints.circuit_breaker", "entrypoints.sender", "entrypoints.worker")
for module in MODULES:  # Each takes over what the others have.
    found = import_module(f"leadintake.{module}")
    for name, _, seconds in constants:
        if hasattr(found, name):
            kind = type(getattr(found, name))
            setattr(found, name, timedelta(seconds=float(seconds)) if kind is timedelta else float(seconds))

from leadintake.adapters.mail.smtp import SmtpMailer  # noqa: E402 - what is imported takes the constants as they are
from leadintake.application.ports.deliveries import Letter  # noqa: E402 - as above
from leadintake.entrypoints.cli import main  # noqa: E402 - as above

Send = Callable[[SmtpMailer, Letter], Awaitable[str]]


def poisoned(send: Send) -> Send:
    """Sends, or does what the address says."""

    async def behave(mailer: SmtpMailer, letter: Letter) -> str:
        match letter.recipient.partition("@")[0]:
            case "exits":
                os._exit(70)
            case "hangs":
                await asyncio.Event().wait()
            case "raises":
                raise RuntimeError
            case "cancels":
                raise asyncio.CancelledError
            case "memory":
                raise MemoryError
            case "unicode":
                "\ud800".encode()
            case "stops":
                raise StopIteration
        return await send(mailer, letter)

    return behave


def step(*_: object) -> None:
    """Wait until somebody lets the next statement be run."""
    os.write(2, b".")
    os.read(0, 1)


if "STEPPED" in os.environ:
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.Engine, event, step)
if "POISONED" in os.environ:
    SmtpMailer.send = poisoned(SmtpMailer.send)  # type: ignore[assignment, method-assign] # the fault that is injected
main([argument for argument in sys.argv[1:] if "=" not in argument])
