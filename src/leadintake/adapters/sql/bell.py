"""The bell between processes: whoever stores something to send wakes the workers of all others, by LISTEN and NOTIFY.

Nothing depends on it. What was not heard, because the server was away, is found when a worker next looks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from leadintake.adapters.sql.postgres import LOST, connect, reason

CHANNEL = "leadintake_outbox"
NOTIFY = f"NOTIFY {CHANNEL}"

GATHERING = 0.02
"""Seconds between two notifications, so that one tells of all that a rush hour stores meanwhile."""

QUIET_SECONDS = 30.0
"""After so long without a word it is seen whether the connection is still there."""

PAUSE_SECONDS = 2.0
"""Between two attempts to connect again."""

log = structlog.get_logger()


@asynccontextmanager
async def bell(url: str, wake: Callable[[], None]) -> AsyncIterator[Callable[[], None]]:
    """Call `wake` whenever any process rings, until the context ends; yields what rings."""
    rung = asyncio.Event()

    def ring() -> None:
        wake()
        rung.set()

    listening = asyncio.create_task(_listen(url, wake, rung), name="bell")
    try:
        yield ring
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        if rung.is_set():  # Just now, as by a command that is done at once.
            with suppress(*LOST):
                await _notify_once(url)


async def _listen(url: str, wake: Callable[[], None], rung: asyncio.Event) -> None:
    """Hear and ring for ever, on one connection after the other."""
    while True:
        try:
            connection = await connect(url)
            try:
                await _serve(connection, wake, rung)
            finally:
                connection.terminate()
        except LOST as error:
            log.warning("bell_disconnected", reason=reason(error))
        await asyncio.sleep(PAUSE_SECONDS)


async def _serve(connection: Any, wake: Callable[[], None], rung: asyncio.Event) -> None:
    """Hear and ring on a connection until it is lost; raises one of LOST."""
    await connection.add_listener(CHANNEL, lambda *_: wake())
    connection.add_termination_listener(lambda _: rung.set())  # It is replaced, and what got lost repeated.
    wake()  # Something may have been stored while nobody listened.
    while True:
        try:
            async with asyncio.timeout(QUIET_SECONDS):  # wait_for would not end when rung and cancelled at once.
                await rung.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
            continue
        rung.clear()
        await connection.execute(NOTIFY)
        await asyncio.sleep(GATHERING)


async def _notify_once(url: str) -> None:
    connection = await connect(url)
    await connection.execute(NOTIFY)
    await connection.close()
