"""`leadintake leads`: what only the operator does with a lead."""

from uuid import UUID

import click

from leadintake.application.app import App
from leadintake.application.database import LeadQuery, Transaction
from leadintake.application.views import LeadView
from leadintake.domain.errors import NotFound
from leadintake.domain.people import Operator
from leadintake.domain.search import words
from leadintake.domain.values import meant_reference
from leadintake.entrypoints.commands import session


@click.group()
def leads() -> None:
    """Erase leads."""


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


def _find(tx: Transaction, text: str) -> LeadView:
    """The lead with this id or reference; raises NotFound."""
    try:
        return tx.leads.view(UUID(text))
    except ValueError:
        reference = meant_reference(text)
    except NotFound:
        reference = None
    queries = [LeadQuery(words=words(reference), quarantined=each) for each in (False, True)] if reference else []
    for lead in (lead for query in queries for lead in tx.leads.page(query)):
        if lead.reference == reference:
            return lead
    raise NotFound(f"There is no lead {text}.")
