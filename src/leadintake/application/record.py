"""The one door through which a change becomes part of the record, with the notifications owed for it."""

from collections.abc import Iterable

from leadintake.application.ports.database import Transaction
from leadintake.domain.delivery import Delivery
from leadintake.domain.events import Event


def record(tx: Transaction, *events: Event, owed: Iterable[Delivery] = ()) -> None:
    """Write events, and an outbox row for each delivery owed because of its lead's, in the caller's transaction."""
    ids = dict(zip((event.lead_id for event in events), tx.events.add(*events), strict=True))
    tx.outbox.add([(delivery, ids[delivery.lead_id]) for delivery in owed])
