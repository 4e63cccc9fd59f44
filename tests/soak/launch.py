"""Starts the service with constants of its own: `python launch.py LEASE=8 SEND_TIMEOUT=6 worker`, in seconds.

A lease of five minutes is long for a test. Where POISONED is set, mails to some addresses do what no mail should.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

from leadintake.domain import delivery

constants = [argument.partition("=") for argument in sys.argv[1:] if "=" in argument]
for name, _, seconds in constants:
    setattr(delivery, name, timedelta(seconds=float(seconds)))

from leadintake.adapters.mail.smtp import SmtpMailer  # noqa: E402 - what is imported takes the constants as they are
from leadintake.application.database import Letter  # noqa: E402 - as above
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


if "POISONED" in os.environ:
    SmtpMailer.send = poisoned(SmtpMailer.send)  # type: ignore[assignment, method-assign] # the fault that is injected
main([argument for argument in sys.argv[1:] if "=" not in argument])
