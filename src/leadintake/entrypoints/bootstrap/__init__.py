"""The bootstrap: the one place that knows the adapters, and puts the application together from them."""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import limits

from leadintake.adapters.addresses import parse_address
from leadintake.adapters.mail.message import wire_address
from leadintake.adapters.security.keys import derive
from leadintake.adapters.security.passwords import Argon2Passwords, generate_password
from leadintake.adapters.security.randomness import RandomBits
from leadintake.adapters.security.tokens import JwtTokens
from leadintake.adapters.sql.tables import FIRST_FIRM
from leadintake.application.accounts import Accounts
from leadintake.application.app import App
from leadintake.application.desk import Desk
from leadintake.application.dispatch import Dispatch
from leadintake.application.inbox import Inbox
from leadintake.application.intake import Intake
from leadintake.application.owing import Limit, MailRules, Owing
from leadintake.application.retention import Retention
from leadintake.application.staff import Staff
from leadintake.domain.values import UUID7_RANDOM_BITS, uuid7
from leadintake.entrypoints.bootstrap import engines, keys, schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.quarantine import report_quarantine
from leadintake.entrypoints.settings import Settings


@asynccontextmanager
async def opened(settings: Settings, wake: Callable[[], None]) -> AsyncIterator[App]:
    """The application on what the settings say, until the context ends; raises NotReady, BadSetting or OSError.

    `wake` is called, in the event loop, when there is something to send.
    """
    found = await schema.compare(settings)
    if found is not Schema.CURRENT:
        raise NotReady(found.value)
    secret_keys = keys.secret_keys(settings)
    random_bits = RandomBits()

    def new_id() -> UUID:
        return uuid7(time.time_ns() // 1_000_000, random_bits(UUID7_RANDOM_BITS))

    async with AsyncExitStack() as opening:
        mailer = await opening.enter_async_context(engines.mailer(settings))
        files = await opening.enter_async_context(engines.files(settings))
        database = await opening.enter_async_context(engines.database(settings))
        wake = await opening.enter_async_context(engines.bell(settings, wake))
        passwords = await opening.enter_async_context(aclosing(Argon2Passwords(settings.firm_name)))
        tokens = JwtTokens(secret_keys, issuer=settings.base_url)
        owing = Owing(_mail_rules(settings), new_id)
        yield App(
            firm_id=FIRST_FIRM,
            intake=Intake(
                firm_id=FIRST_FIRM,
                database=database,
                files=files,
                kinds=settings.resume_types,
                fastest_person=settings.form_seconds,
                owing=owing,
                address=parse_address,
                now=now,
                new_id=new_id,
                random_bits=random_bits,
                wake=wake,
                on_quarantine=report_quarantine,
            ),
            inbox=Inbox(database, now),
            desk=Desk(database, files, owing, now, wake),
            accounts=Accounts(FIRST_FIRM, database, passwords, tokens, now, new_id),
            staff=Staff(database, passwords, parse_address, now, new_id, generate_password),
            dispatch=Dispatch(FIRST_FIRM, database, mailer, owing, now, new_id, _jitter),
            retention=Retention(
                firm_id=FIRST_FIRM,
                database=database,
                files=files,
                now=now,
                sweep_after=settings.sweep_after,
                keep_for=_keep_for(settings),
            ),
            database=database,
            files=files,
            sealing_keys=[derive(secret_key, "cursor") for secret_key in secret_keys],
        )


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def _keep_for(settings: Settings) -> timedelta | None:
    return None if settings.retention_days is None else timedelta(days=settings.retention_days)


def _jitter() -> float:
    return random.uniform(-1, 1)  # noqa: S311 - it spreads retries and guards nothing


def _mail_rules(settings: Settings) -> MailRules:
    return MailRules(
        domain=wire_address(settings.mail_from).rpartition("@")[2],
        attorney_email=settings.attorney_email,
        confirmations_per_mailbox=_limit(settings.confirmations_per_address),
        confirmations_total=_limit(settings.confirmations_total),
    )


def _limit(rate: str | None) -> Limit | None:
    """A rate such as 3/day as the application counts it."""
    if rate is None:
        return None
    parsed = limits.parse(rate)
    return Limit(parsed.amount, timedelta(seconds=parsed.get_expiry()))
