"""Removal: how a lead goes, whoever decided so."""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.files import FileStore
from leadintake.application.record import record
from leadintake.domain.errors import Unavailable
from leadintake.domain.events import Event
from leadintake.domain.lead import Lead


async def remove(
    database: Database, files: FileStore, firm_id: UUID, lead_id: UUID, last_event: Callable[[Lead], Event]
) -> None:
    """Delete a lead with its notes, what it owes and its file; `last_event` stays.

    Where the file cannot be removed just now, the sweep does it, since no lead refers to it any more. Raises NotFound,
    and what `last_event` raises to keep the lead.
    """

    def work(tx: Transaction) -> str:
        lead = tx.leads.get(lead_id)
        event = last_event(lead)
        tx.leads.remove(lead)
        record(tx, event)
        return lead.resume.path

    path = await database.write(firm_id, work)
    with suppress(Unavailable):
        await files.remove(path)
