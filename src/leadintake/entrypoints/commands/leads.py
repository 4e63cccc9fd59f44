"""`leadintake leads`: what only the operator does with a lead."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import click

from leadintake.application.app import App
from leadintake.application.ports.database import LeadQuery, Position, Transaction
from leadintake.application.views import EventView, LeadView
from leadintake.domain.errors import NotFound
from leadintake.domain.lead import State
from leadintake.domain.people import Operator
from leadintake.domain.search import words
from leadintake.domain.values import meant_reference
from leadintake.entrypoints.commands import output, session

DAY = "%Y-%m-%d"
EXPORTED_AT_ONCE = 1_000
COLUMNS = (
    "reference", "first name", "last name", "email", "received", "state", "reached out", "by", "resume", "notes", "id",
)  # fmt: skip


@click.group()
def leads() -> None:
    """Export and erase leads, and see what happened to one."""


@leads.command()
@click.option("--from", "first", type=click.DateTime([DAY]), help="Those that came on this day (UTC) or later.")
@click.option("--to", "last", type=click.DateTime([DAY]), help="Those that came on this day (UTC) or earlier.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
def export(first: datetime | None, last: datetime | None, state: str | None) -> None:
    """Write leads as CSV, the oldest first, for a spreadsheet; those in quarantine are left out. Times are UTC.

    What a spreadsheet would take for a formula has an apostrophe before it.
    """
    query = LeadQuery(
        state=State(state) if state else None,
        created_from=first and first.replace(tzinfo=UTC),
        created_to=last and last.replace(tzinfo=UTC) + timedelta(days=1),
        oldest_first=True,
        limit=EXPORTED_AT_ONCE,
    )

    async def work(app: App, who: Operator) -> None:
        click.echo(output.csv_lines([COLUMNS]), nl=False)
        after = None
        while found := await app.database.read(who.firm_id, partial(_page, replace(query, after=after))):
            click.echo(output.csv_lines(map(_row, found)), nl=False)
            after = Position(found[-1].created_at, found[-1].id)

    session.run(work)


@leads.command()
@click.argument("lead", metavar="ID|REFERENCE")
def events(lead: str) -> None:
    """List what happened to a lead, also to one that was erased or discarded."""

    async def work(app: App, who: Operator) -> list[EventView]:
        return await app.database.read(who.firm_id, lambda tx: _timeline(tx, lead))

    rows = [
        (one.at, one.kind, one.actor.full_name or one.actor.kind, json.dumps(dict(one.data)))
        for one in session.run(work)
    ]
    output.table(("at", "event", "by", "data"), rows)


@leads.command()
@click.argument("lead", metavar="ID|REFERENCE")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(lead: str, *, yes: bool) -> None:
    """Erase a lead with its file, its notes and the mail still owed; the record keeps only that there was one.

    Mail that was sent already lies where it was sent to.
    """

    async def find(app: App, who: Operator) -> LeadView:
        return await app.database.read(who.firm_id, lambda tx: _find(tx, lead))

    found = session.run(find)
    if not yes:  # It asks between two sessions, because an event loop keeps the first Ctrl-C from ending the command.
        whose = f"{found.first_name} {found.last_name}, {found.email}, of {found.created_at:%Y-%m-%d}"
        click.confirm(f"Erase {found.reference} ({whose}) for good?", abort=True)
    session.run(lambda app, who: app.desk.erase(who, found.id))
    click.echo(f"Erased {found.reference}, {found.id}.")


def _page(query: LeadQuery, tx: Transaction) -> list[LeadView]:
    return tx.leads.page(query)


def _row(lead: LeadView) -> tuple[object, ...]:
    by = lead.reached_out_by
    return (
        lead.reference,
        lead.first_name,
        lead.last_name,
        lead.email,
        lead.created_at,
        lead.state,
        lead.reached_out_at,
        by and by.full_name,
        lead.resume_name,
        lead.notes,
        lead.id,
    )


def _timeline(tx: Transaction, text: str) -> list[EventView]:
    lead_id = _id_of(tx, text) or tx.events.removed(meant_reference(text) or "")
    found = tx.events.of_lead(lead_id) if lead_id else []
    if not found:
        raise NotFound(f"There is no lead {text}.")
    return found


def _find(tx: Transaction, text: str) -> LeadView:
    """The lead with this id or reference; raises NotFound."""
    with suppress(NotFound):
        if lead_id := _id_of(tx, text):
            return tx.leads.view(lead_id)
    raise NotFound(f"There is no lead {text}.")


def _id_of(tx: Transaction, text: str) -> UUID | None:
    """An id as it is, or that of the lead with this reference, if there is one."""
    with suppress(ValueError):
        return UUID(text)
    reference = meant_reference(text)
    queries = [LeadQuery(words=words(reference), quarantined=each) for each in (False, True)] if reference else []
    found = [lead for query in queries for lead in tx.leads.page(query)]
    return next((lead.id for lead in found if lead.reference == reference), None)
