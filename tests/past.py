"""A practice with a past: something of everything, on SQLite, and ways to read all of it on either database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from tests.documents import pdf
from tests.fakes import PlainPasswords
from tests.machine import Machine
from tests.names import real_names
from tests.passwords import with_passwords
from tests.records import FIRST_FIRM

from leadintake.adapters.sql.postgres import opened as opened_database
from leadintake.adapters.sql.sqlite_connections import engine
from leadintake.adapters.sql.tables import metadata
from leadintake.application.app import App
from leadintake.application.desk import Change
from leadintake.application.intake import Form
from leadintake.application.ports.database import LeadQuery, Transaction
from leadintake.application.staff import Update
from leadintake.application.views import LeadView, Receipt
from leadintake.domain.delivery import Status
from leadintake.domain.lead import State
from leadintake.domain.people import Operator, Role
from leadintake.domain.search import words
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.settings.environment import load

T = TypeVar("T")

PASSWORD = "correct horse battery"
OPERATOR = Operator(FIRST_FIRM)
ADA = Form("Ada", "Lovelace", "ada@client.example", "cv.pdf")
ADA_KEY = "one form"
NOTES = "Tabs\tand\r\nlines, \u0001 \u202e 😀 " + " ".join(real_names())[:9_000]
SECRET = "jS6p0aVYw2cXr9LtQ1mZ8bNf4KdEhGuT"


@dataclass(frozen=True)
class Past:
    """What somebody still holds from before the move."""

    machine: Machine
    receipt: Receipt
    refresh_token: str
    claimed: UUID
    claim: UUID


def lived(machine: Machine) -> Past:
    """People, leads in both states, mail in every status."""
    assert machine.run("migrate").exit_code == 0

    async def work(app: App) -> Past:
        return await live(with_passwords(app, PlainPasswords()), machine)

    return machine.do(work)


async def live(app: App, machine: Machine) -> Past:
    """Have a practice do whatever leaves something behind."""
    boss = (await app.staff.add(OPERATOR, "boss@example.org", "Ґалаґан", Role.ADMIN, PASSWORD))[0]
    gone = (await app.staff.add(OPERATOR, "gone@example.org", "已 离开", Role.ATTORNEY, PASSWORD))[0]
    await app.accounts.sign_in("boss@example.org", PASSWORD)
    grant = await app.accounts.refresh((await app.accounts.sign_in("boss@example.org", PASSWORD)).refresh_token)
    await app.staff.update(OPERATOR, gone.id, Update(is_active=False))

    receipt = await submit(app, ADA, pdf(400_000), ADA_KEY)
    names = real_names()
    first, *others = [
        await submit(
            app, Form(first_name, last_name, "same@client.example", f"{last_name}.pdf"), pdf(text=ascii(first_name))
        )
        for first_name, last_name in zip(islice(names, 0, None, 97), islice(names, 1, None, 97), strict=False)
    ]
    user = await app.database.read(FIRST_FIRM, lambda tx: tx.people.get(boss.id))
    await app.desk.change(user, receipt.id, Change(State.REACHED_OUT, NOTES))
    await app.desk.change(user, others[0].id, Change(notes="0"))
    await app.desk.open_resume(user, receipt.id)
    await app.desk.erase(OPERATOR, first.id)
    await submit(app, replace(ADA, trap="http://robot.example"), pdf(text="robot"))

    sent, postponed, failed, claimed, *given_back = await app.dispatch.claim(100)
    await app.dispatch.deliver(sent)
    await app.dispatch.give_back(given_back)
    until = app.dispatch.now()

    def settle(tx: Transaction) -> None:
        tx.outbox.postpone(postponed.delivery_id, postponed.token, until, "421 später")
        tx.outbox.fail(failed.delivery_id, failed.token, "550 no such")

    await app.database.write(FIRST_FIRM, settle)
    assert set(await app.dispatch.count_unsettled()) == set(Status) - {Status.SENT}
    return Past(machine, receipt, grant.refresh_token, claimed.delivery_id, claimed.token)


async def submit(app: App, form: Form, content: bytes, key: str | None = None) -> Receipt:
    """Submit a form."""
    async with app.files.receive() as upload:
        await upload.write(content)
        return (await app.intake.submit(form, upload, key))[0]


def moved(url: str, machine: Machine, **environ: str) -> Settings:
    """The settings after the move."""
    given = {"DATABASE_URL": url, "LEADINTAKE_SECRET_KEY": SECRET, "LEADINTAKE_DATA_DIR": str(machine.data_dir)}
    return load({**given, **environ}, {})


def at(settings: Settings, work: Callable[[App], Awaitable[T]]) -> T:
    """Do something with the application on these settings."""

    async def session() -> T:
        async with opened(settings, lambda: None) as app:
            return await work(with_passwords(app, PlainPasswords()))

    return asyncio.run(session())


async def readable(app: App) -> dict[str, Any]:
    """All that can be read through the ports."""

    def everything(tx: Transaction) -> dict[str, Any]:
        users = tx.people.everybody()
        leads = tx.leads.page(LeadQuery(limit=1_000))
        return {
            "users": users,
            "passwords": [tx.people.with_password(user.email) for user in users],
            "sessions": [tx.people.sessions_of(user.id) for user in users],
            "told": tx.people.told_of_leads(),
            "leads": leads,
            "quarantined": tx.leads.page(LeadQuery(quarantined=True)),
            "pending": tx.leads.page(LeadQuery(state=State.PENDING, oldest_first=True)),
            "found": {word: tx.leads.page(LeadQuery(words=[word])) for lead in leads for word in searches(lead)},
            "events": [tx.events.of_lead(lead.id) for lead in leads],
            "deliveries": [tx.deliveries.of_lead(lead.id) for lead in leads],
            "unsettled": sorted(tx.deliveries.unsettled(1_000), key=lambda mail: mail.delivery.id),
            "counts": tx.deliveries.count_unsettled(),
            "due": tx.outbox.next_due(),
        }

    return await app.database.read(FIRST_FIRM, everything)


def searches(lead: LeadView) -> list[str]:
    """What somebody may look for to find a lead."""
    found = words(f"{lead.first_name} {lead.last_name} {lead.reference}")
    return [*found, *(word[:2] for word in found)]


def rows(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row there is, as Python has it."""
    return {
        table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
        for table in metadata.sorted_tables
    }


def before(machine: Machine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the practice on SQLite."""
    with engine(machine.settings.database_path, "BEGIN").connect() as connection:
        return rows(connection)


def after(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the one on PostgreSQL."""

    async def read() -> dict[str, list[tuple[Any, ...]]]:
        async with opened_database(url) as connection:
            return await connection.run_sync(rows)

    return asyncio.run(read())
