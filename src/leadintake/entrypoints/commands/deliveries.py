"""`leadintake deliveries`: mail that has not gone out."""

from uuid import UUID

import click

from leadintake.application.app import App
from leadintake.application.views import OwedMail
from leadintake.domain.delivery import Status
from leadintake.domain.errors import NotFound, NotRetryable, Refused
from leadintake.domain.people import Operator
from leadintake.entrypoints.commands import output, session

DELIVERIES_MAX = 1_000
"""Deliveries that are listed; a longer list is read by nobody."""

UNSETTLED = [status.value for status in Status if status is not Status.SENT]


@click.group()
def deliveries() -> None:
    """See to mail that has not gone out."""


@deliveries.command(name="list")
@click.option("--status", type=click.Choice(UNSETTLED), help="Only those in this status.")
def list_(status: str | None) -> None:
    """List what is not sent: first what waits for a person (failed, held), then what is tried again."""

    async def work(app: App, who: Operator) -> list[OwedMail]:
        asked = Status(status) if status else None
        return await app.database.read(who.firm_id, lambda tx: tx.deliveries.unsettled(DELIVERIES_MAX, asked))

    owed = session.run(work)
    columns = ("id", "status", "purpose", "recipient", "attempts", "next attempt", "last error", "reference")
    output.table(columns, map(_row, owed))
    if len(owed) == DELIVERIES_MAX:
        click.echo(f"There may be more: these are the first {DELIVERIES_MAX:,}.", err=True)


@deliveries.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.UUID)
def retry(ids: tuple[UUID, ...]) -> None:
    """Send failed or held mail again, within half a minute while the service runs."""

    async def work(app: App, who: Operator) -> int:
        refused = 0
        for one in ids:
            try:
                await app.desk.retry(who, one)
                click.echo(f"{one} will be sent again.")
            except (NotFound, NotRetryable) as error:
                click.echo(f"{one}: {error.detail}", err=True)
                refused += 1
        return refused

    if refused := session.run(work):
        raise Refused(f"{refused:,} of {len(ids):,} cannot be sent again.")


def _row(mail: OwedMail) -> tuple[object, ...]:
    delivery = mail.delivery
    return (
        delivery.id,
        delivery.status,
        delivery.purpose,
        delivery.recipient,
        delivery.attempts,
        delivery.next_attempt_at,
        delivery.last_error,
        mail.reference,
    )
