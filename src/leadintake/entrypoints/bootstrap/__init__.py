"""The bootstrap: the one place that knows the adapters, and puts the application together from them."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import limits
import sqlalchemy as sa

from leadintake.adapters.addresses import parse_address
from leadintake.adapters.documents.inspection import inspect
from leadintake.adapters.files.local import LocalFiles
from leadintake.adapters.mail.console import ConsoleMailer
from leadintake.adapters.mail.message import wire_address
from leadintake.adapters.mail.render import Renderer
from leadintake.adapters.security import (
    Argon2Passwords,
    JwtTokens,
    RandomBits,
    derive,
    load_or_make_secret,
    new_password,
)
from leadintake.adapters.sql import checkup
from leadintake.adapters.sql import migrate as migrations
from leadintake.adapters.sql.sqlite import SqliteDatabase, engine
from leadintake.adapters.sql.tables import FIRST_FIRM
from leadintake.application.accounts import Accounts
from leadintake.application.app import App
from leadintake.application.desk import Desk
from leadintake.application.dispatch import Dispatch
from leadintake.application.intake import Intake, IntakeRules, Limit
from leadintake.application.ports import Clock
from leadintake.application.retention import Retention
from leadintake.application.staff import Staff
from leadintake.domain.errors import Refused
from leadintake.domain.values import UUID7_RANDOM_BITS, uuid7
from leadintake.entrypoints.settings import BadSetting, Settings


class Schema(Enum):
    """What the database has, as against what this version works with."""

    NONE = "There is no database yet. Start the service once with `leadintake serve`."
    OLDER = "The database is of an older version. Stop the service and run `leadintake migrate`."
    CURRENT = "The database is up to date."
    NEWER = "The database was made by a newer version of leadintake. Install that one."


class NotReady(Refused):
    """The database cannot be worked with as it is."""


@asynccontextmanager
async def opened(
    settings: Settings,
    wake: Callable[[], None],
    *,
    is_server: bool = True,
    now: Clock = lambda: datetime.now(UTC),
) -> AsyncIterator[App]:
    """The application on what the settings say, until the context ends; raises NotReady, BadSetting or OSError.

    `wake` is called, in the event loop, when there is something to send. Only the one process that serves writes the
    database's log back to its file; any other says that it is not the server.
    """
    found = schema(settings)
    if found is not Schema.CURRENT:
        raise NotReady(found.value)
    secret = settings.secret_key or _kept_secret(settings)
    random_bits = RandomBits()

    def new_id() -> UUID:
        return uuid7(time.time_ns() // 1_000_000, random_bits(UUID7_RANDOM_BITS))

    mailer = ConsoleMailer(settings.mail_dir, _renderer(settings))
    async with AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, mailer.close)
        files = LocalFiles(settings.uploads_dir, settings.max_resume_bytes, inspect)
        closing.push_async_callback(asyncio.to_thread, files.close)
        database = SqliteDatabase(settings.database_path, checkpoint=is_server)
        closing.push_async_callback(database.close)
        passwords = Argon2Passwords()
        closing.push_async_callback(asyncio.to_thread, passwords.close)
        tokens = JwtTokens(secret, issuer=settings.base_url)
        yield App(
            Intake(FIRST_FIRM, database, files, _rules(settings), parse_address, now, new_id, random_bits, wake),
            Desk(database, files, now, wake),
            Accounts(FIRST_FIRM, database, passwords, tokens, now, new_id),
            Staff(database, passwords, parse_address, now, new_id, new_password),
            Dispatch(FIRST_FIRM, database, mailer, now, new_id, _jitter),
            Retention(FIRST_FIRM, database, files, now, settings.sweep_after),
            database,
            files,
            derive(secret, "cursor"),
        )


def prepare(settings: Settings) -> None:
    """Make the data folder (0700) and an empty database (0600) where there are none, so that only we can read them."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(settings.database_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def schema(settings: Settings) -> Schema:
    """Compare the database with this version, without making one."""
    if not settings.database_path.exists():
        return Schema.NONE
    with _connection(settings) as connection:
        revision = migrations.revision(connection)
    if revision is None:
        return Schema.NONE
    if revision == migrations.HEAD:
        return Schema.CURRENT
    return Schema.OLDER if revision < migrations.HEAD else Schema.NEWER


def migrate(settings: Settings) -> None:
    """Bring the database to the schema of this version, and make it where there is none."""
    prepare(settings)
    with _connection(settings) as connection:
        migrations.upgrade(connection)


def damage(settings: Settings) -> list[str]:
    """What is wrong inside the database, a line each."""
    with _connection(settings) as connection:
        return checkup.problems(connection)


@contextmanager
def _connection(settings: Settings) -> Iterator[sa.Connection]:
    """Raises NotReady when the file is no database, is locked, or lies where SQLite cannot keep it safe."""
    try:
        with engine(settings.database_path, "BEGIN").connect() as connection:
            if checkup.journal_mode(connection) != "wal":
                raise NotReady(
                    f"The file system of {settings.database_path} cannot share memory, which SQLite's log needs. "
                    "Keep the data folder on a local disk."
                )
            yield connection
    except sa.exc.DBAPIError as error:
        raise NotReady(f"The database {settings.database_path} cannot be used: {error.orig}.") from error


def _jitter() -> float:
    return random.uniform(-1, 1)  # noqa: S311 - it spreads retries and guards nothing


def _kept_secret(settings: Settings) -> bytes:
    try:
        return load_or_make_secret(settings.data_dir / "secret.key")
    except ValueError as error:
        raise BadSetting(str(error)) from error


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


def _rules(settings: Settings) -> IntakeRules:
    return IntakeRules(
        settings.resume_types,
        wire_address(settings.mail_from).rpartition("@")[2],
        settings.attorney_email,
        _limit(settings.confirmations_per_address),
        _limit(settings.confirmations_total),
    )


def _limit(rate: str | None) -> Limit | None:
    """A rate such as 3/day as the application counts it."""
    if rate is None:
        return None
    parsed = limits.parse(rate)
    return Limit(parsed.amount, timedelta(seconds=parsed.get_expiry()))
