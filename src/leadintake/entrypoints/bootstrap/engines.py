"""The engines that settings choose: where leads, files and mail go."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from leadintake.adapters.documents.inspection import inspect
from leadintake.adapters.files.local import LocalFiles
from leadintake.adapters.mail.console import ConsoleMailer
from leadintake.adapters.mail.render import Renderer
from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.adapters.sql.tables import FIRST_FIRM
from leadintake.application.ports.database import Database
from leadintake.application.ports.deliveries import Mailer
from leadintake.application.ports.files import FileStore
from leadintake.entrypoints.attachment import attachment
from leadintake.entrypoints.settings import BadSetting, Settings

if TYPE_CHECKING:
    from leadintake.adapters.mail.smtp import SmtpMailer

# The library of an engine that was not chosen is not imported. That of PostgreSQL alone takes an eighth of a second.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Storage:
    """What a practice keeps, without the rest of the application: leads, and their files."""

    database: Database
    files: FileStore
    firm_id: UUID = FIRST_FIRM


@asynccontextmanager
async def storage(leads: Settings, uploads: Settings | None = None) -> AsyncIterator[Storage]:
    """Database and files, these perhaps of other settings, beside whoever serves them; raises BadSetting or OSError."""
    async with database(leads) as opened, files(uploads or leads) as store:
        yield Storage(opened, store)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """PostgreSQL, or else SQLite."""
    if settings.postgres_url:
        from leadintake.adapters.sql.postgres import PostgresDatabase

        opened: SqliteDatabase | PostgresDatabase = PostgresDatabase(settings.postgres_url)
    else:
        opened = SqliteDatabase(settings.database_path)
    async with aclosing(opened):
        yield opened


@asynccontextmanager
async def bell(settings: Settings, wake: Callable[[], None]) -> AsyncIterator[Callable[[], None]]:
    """What to call when there is something to send: it wakes this process, and all others on the same database."""
    if not settings.postgres_url:
        yield wake
        return
    from leadintake.adapters.sql import bell

    async with bell.bell(settings.postgres_url, wake) as ring:
        yield ring


@asynccontextmanager
async def watched(settings: Settings, wake: Callable[[], None]) -> AsyncIterator[None]:
    """Call `wake` when another process has stored something. With PostgreSQL it rings the bell, and that does."""
    if settings.postgres_url:
        yield
        return
    from leadintake.adapters.sql import watch

    async with watch.watched(settings.database_path, wake):
        yield


@asynccontextmanager
async def files(settings: Settings) -> AsyncIterator[FileStore]:
    """An object store, or else the uploads folder; raises BadSetting or OSError."""
    if settings.files:
        from leadintake.adapters.files.object_store import ObjectFiles

        options = settings.store_options
        try:
            opened: LocalFiles | ObjectFiles = ObjectFiles(
                settings.files, options, settings.max_resume_bytes, inspect, attachment
            )
        except ValueError as error:
            raise BadSetting(f"LEADINTAKE_FILES is {settings.files!r}: {error}") from error
    else:
        opened = LocalFiles(settings.uploads_dir, settings.max_resume_bytes, inspect)
    async with aclosing(opened):
        yield opened


@asynccontextmanager
async def mailer(settings: Settings) -> AsyncIterator[Mailer]:
    """A mail server, or else the folder that mails are written to; raises BadSetting."""
    is_smtp = settings.mail_backend == "smtp"
    opened = _smtp(settings) if is_smtp else ConsoleMailer(settings.mail_dir, _renderer(settings))
    async with aclosing(opened):
        yield opened


async def ask_mail_server(settings: Settings) -> None:
    """Raise DeliveryFailed or ChannelDown unless the mail server lets us sign in; it is sent nothing."""
    await _smtp(settings).ping()


def _smtp(settings: Settings) -> "SmtpMailer":
    from leadintake.adapters.mail.conversation import Server
    from leadintake.adapters.mail.smtp import SmtpMailer

    server = Server(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        sender=settings.mail_from,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password or "",
    )
    return SmtpMailer(_renderer(settings), server)


def _renderer(settings: Settings) -> Renderer:
    try:
        return Renderer(
            firm_name=settings.firm_name,
            mail_from=settings.mail_from,
            base_url=settings.base_url,
            templates_dir=settings.mail_templates,
        )
    except ValueError as error:
        raise BadSetting(f"Mail cannot be written: {error}.") from error
