"""`leadintake worker`: sends mail in a process of its own."""

import asyncio
import signal

import click
import structlog

from leadintake.domain.errors import Refused
from leadintake.entrypoints import bootstrap, garbage, logs
from leadintake.entrypoints.bootstrap import engines
from leadintake.entrypoints.lock import SENDING, held
from leadintake.entrypoints.settings import Settings, environment
from leadintake.entrypoints.worker import running

GRACE = 20.0
"""Seconds that letters in flight get to arrive in; systemd kills after 90, Kubernetes after 30."""

log = structlog.get_logger()


@click.command()
def worker() -> None:
    """Send mail and clear away what is no longer needed, until told to stop.

    With PostgreSQL any number may run at once, anywhere; with SQLite one, beside `leadintake serve`.
    """
    settings = environment.read()
    if not settings.postgres_url and settings.worker != "separate":
        raise Refused("`leadintake serve` sends the mail itself. Set LEADINTAKE_WORKER to 'separate' for both.")
    logs.configure(settings.log_format)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    wake, stop = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with bootstrap.opened(settings, wake.set) as app:
        with held(settings, SENDING):
            async with engines.watched(settings, wake.set), running(app, wake, grace=GRACE):
                garbage.settle()
                log.info("worker_started")
                await stop.wait()
    log.info("worker_stopped")
