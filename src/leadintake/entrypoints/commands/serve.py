"""`leadintake serve`: the service, and its worker unless that is a process of its own."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import click
import uvicorn

from leadintake import __version__
from leadintake.application.app import App
from leadintake.application.views import UserView
from leadintake.domain.errors import Invalid, Refused
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Role
from leadintake.entrypoints import bootstrap, garbage, logs
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.http.connection import Connection
from leadintake.entrypoints.lock import SENDING, SERVING, held
from leadintake.entrypoints.settings import BadSetting, Settings, environment

DRAIN_SECONDS = 20
"""How long requests under way get to end in.

With the worker's GRACE and SETTLING after it, a stop takes 28 seconds at most.
"""

BACKLOG = 2048
ADMIN_NAME = "Administrator"


@click.command()
def serve() -> None:
    """Take submissions and send mail, until told to stop.

    In an empty data folder it makes the database and the first admin, and prints the password, once.
    """
    settings = environment.read()
    logs.configure(settings.log_format)
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))
    schema.make_data_dir(settings)
    locks = [SERVING] if settings.worker == "separate" else [SERVING, SENDING]
    with held(settings, *locks), _listening(settings) as listener:
        click.echo(_welcome(settings, asyncio.run(_prepare(settings))))
        _serve(settings, listener)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The socket that requests come to, open before anything is made; raises Refused when it is taken."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.create_server(
            address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=settings.host == "::"
        )
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise Refused(f"Something else listens on {where}. Stop it, or set LEADINTAKE_PORT.") from error
        raise Refused(f"Nothing can listen on {where}: {error.strerror}.") from error
    with listener:
        yield listener


async def _prepare(settings: Settings) -> str:
    """Make the database where there is none, and the first admin where there is nobody; returns who signs in."""
    async with schema.migration_lock(settings):
        found = await schema.compare(settings)
        if found is Schema.NONE:
            await schema.migrate(settings)
        elif found is not Schema.CURRENT:
            raise NotReady(found.value)
        await schema.enable_wal(settings)
        async with bootstrap.opened(settings, lambda: None) as app:
            users = await app.staff.everybody(app.operator)
            return _who_signs_in(users) if users else await _first_admin(app, settings.admin_email)


async def _first_admin(app: App, email: str) -> str:
    """Add the first admin; returns the password with it, which nobody is told again."""
    try:
        user, password = await app.staff.add(app.operator, email, ADMIN_NAME, Role.ADMIN)
    except Invalid as error:
        raise BadSetting(f"LEADINTAKE_ADMIN_EMAIL is {email!r}: {error.errors[0].message}") from error
    days = FIRST_PASSWORD_LIFETIME.days
    return f"{user.email} with the password {password} (shown only this once; change it within {days} days)"


def _who_signs_in(users: Sequence[UserView]) -> str:
    active = sorted((user for user in users if user.is_active), key=lambda user: user.role is not Role.ADMIN)
    others = f" and {len(active) - 1} more" if len(active) > 1 else ""
    return f"{active[0].email}{others}; for a new password: leadintake users reset-password {active[0].email}"


def _welcome(settings: Settings, who_signs_in: str) -> str:
    lines = {
        "form": f"{settings.base_url}/",
        "inbox": f"{settings.base_url}/inbox",
        "docs": f"{settings.base_url}/docs" if settings.docs else "off",
        "mail": _where_mail_goes(settings),
        "sign in": who_signs_in,
    }
    shown = "".join(f"\n  {name:<9}{text}" for name, text in lines.items())
    return f"leadintake {__version__} at {settings.base_url}{shown}"


def _where_mail_goes(settings: Settings) -> str:
    if settings.worker == "separate":
        return "sent by `leadintake worker`, wherever that runs"
    if settings.mail_backend == "smtp":
        return f"by {settings.smtp_host} port {settings.smtp_port}"
    return f"{settings.mail_dir.absolute()}, a file for each"


def _serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal comes; raises ClickException when the service does not start."""
    config = uvicorn.Config(
        cast("Any", create_app(settings)),
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    garbage.settle()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except SystemExit as end:
        if end.code:
            raise click.ClickException("The service did not start; the log says why.") from end
