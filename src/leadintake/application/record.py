"""The one door through which a change becomes part of the record, with the notifications owed for it."""

from collections.abc import Iterable

from leadintake.application.database import Transaction
from leadintake.domain.delivery import Delivery
from leadintake.domain.events import Event


def record(tx: Transaction, event: Event, deliveries: Iterable[Delivery] = ()) -> None:
    """Write an event, and one outbox row for each delivery owed because of it, in the caller's transaction."""
    tx.outbox.add(deliveries, tx.events.add(event))
