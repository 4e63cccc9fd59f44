"""The worker: sends what is owed as soon as it is due, and clears away what is no longer needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from leadintake.application.app import App
from leadintake.entrypoints.circuit_breaker import FIRST_PAUSE
from leadintake.entrypoints.sender import Sender

GRACE = 5.0
"""Seconds that letters in flight have left to arrive, after the 20 at most that `serve` waits for requests."""

SETTLING = 3.0
"""Seconds left to store that the others were broken off, so that a stop takes less than 30 in all."""

SWEEP_EVERY = timedelta(hours=1)
PRUNE_EVERY = timedelta(hours=1)
EXPIRE_EVERY = timedelta(hours=1)

log = structlog.get_logger()


@asynccontextmanager
async def running(
    app: App,
    wake: asyncio.Event,
    *,
    grace: float = GRACE,
    settling: float = SETTLING,
    first_pause: float = FIRST_PAUSE,
) -> AsyncIterator[None]:
    """Work in the background; when the context ends, take nothing more on and give what is being sent `grace` seconds.

    What has not arrived by then is broken off, and sent again with the same Message-ID. `first_pause` is for how many
    seconds nothing is sent when the channel turns out to be down.
    """
    sender = Sender(app.dispatch, wake, first_pause)
    sending = asyncio.create_task(sender.run(settling), name="sender")
    housekeeping = [
        asyncio.create_task(_every(SWEEP_EVERY, "sweep", app.retention.sweep), name="sweep"),
        asyncio.create_task(_every(PRUNE_EVERY, "prune", app.retention.prune), name="prune"),
        asyncio.create_task(_every(EXPIRE_EVERY, "expire", app.retention.expire), name="expire"),
    ]
    try:
        yield
    finally:
        for task in housekeeping:
            task.cancel()
        sender.stop()
        await asyncio.wait([sending], timeout=grace)
        sending.cancel()
        await asyncio.gather(sending, *housekeeping, return_exceptions=True)


async def _every(period: timedelta, name: str, job: Callable[[], Awaitable[int | None]]) -> None:
    """Do a job now and then, for ever; one that fails is done again next time."""
    while True:
        try:
            removed = await job()
            if removed:
                log.info("housekeeping_done", job=name, removed=removed)
        except Exception:
            log.exception("housekeeping_failed", job=name)
        await asyncio.sleep(period.total_seconds())
