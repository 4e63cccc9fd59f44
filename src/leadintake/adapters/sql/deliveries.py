"""How deliveries are, for people to see. Nothing here changes one."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.tables import FOR_A_PERSON, OF_FIRM, RECIPIENT_LEFT, UNSETTLED, deliveries, leads
from leadintake.application.views import DeliveryView, OwedMail
from leadintake.domain.delivery import GIVE_UP_AFTER, Channel, Purpose, Status
from leadintake.domain.errors import NotFound
from leadintake.domain.lead import State

DUE = deliveries.c.due_at.is_not(None)
"""Which of the unsettled deliveries go out by themselves; the others wait for a person, and have their own index."""

OWED = (
    sa.select(deliveries, leads.c.reference, leads.c.first_name, leads.c.last_name)
    .join_from(deliveries, leads)
    .where(OF_FIRM)
    .limit(sa.bindparam("most"))
)
BY_A_PERSON = OWED.where(FOR_A_PERSON).order_by(deliveries.c.status, deliveries.c.created_at, deliveries.c.id)
BY_ITSELF = OWED.where(UNSETTLED, DUE).order_by(deliveries.c.due_at, deliveries.c.id)
FIRST_DUE = (
    sa.select(*(deliveries.c[name] for name in ("due_at", "give_up_at", "attempts", "status", "purpose")))
    .where(OF_FIRM, UNSETTLED, DUE)
    .order_by(deliveries.c.due_at)
    .limit(100)
)
MISSED = (
    sa.select(deliveries.c.id)
    .join_from(deliveries, leads)
    .where(OF_FIRM, FOR_A_PERSON, deliveries.c.status == Status.FAILED)
    .where(leads.c.state == State.PENDING, sa.not_(RECIPIENT_LEFT))
    .limit(sa.bindparam("most"))
)
COUNTS = sa.select(deliveries.c.status, sa.func.count()).where(OF_FIRM, UNSETTLED).group_by(deliveries.c.status)


class SqlDeliveries:
    """The deliveries of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID, *, locks: bool) -> None:
        self._connection = connection
        self._firm_id = firm_id
        self._locks = locks

    def of_lead(self, lead_id: UUID) -> list[DeliveryView]:
        """The deliveries of a lead, the confirmation first."""
        found = sa.select(deliveries).where(OF_FIRM, deliveries.c.lead_id == lead_id)
        ordered = found.order_by(deliveries.c.created_at, deliveries.c.purpose, deliveries.c.recipient)
        return [_view(row) for row in self._connection.execute(ordered, {"firm": self._firm_id})]

    def find(self, delivery_id: UUID) -> tuple[DeliveryView, UUID]:
        """One delivery, locked until a writing transaction ends, and its lead; raises NotFound."""
        found = sa.select(deliveries).where(OF_FIRM, deliveries.c.id == delivery_id)
        if self._locks:
            found = found.with_for_update()
        row = self._connection.execute(found, {"firm": self._firm_id}).one_or_none()
        if row is None:
            raise NotFound
        return _view(row), row.lead_id

    def unsettled(self, limit: int, status: Status | None = None) -> list[OwedMail]:
        """Deliveries in one status, or in every one but `sent`: failed first, then held, then by when they are due.

        In two statements, each in the order of an index, because PostgreSQL would sort all of them to have those first
        that wait for a person.
        """
        asked = [deliveries.c.status == status] if status else []
        rows = list(self._connection.execute(BY_A_PERSON.where(*asked), {"firm": self._firm_id, "most": limit}))
        rows += self._connection.execute(BY_ITSELF.where(*asked), {"firm": self._firm_id, "most": limit - len(rows)})
        return [OwedMail(_view(row), row.lead_id, row.reference, f"{row.first_name} {row.last_name}") for row in rows]

    def count_unsettled(self) -> dict[Status, int]:
        """How many deliveries are in each status but `sent`."""
        return {Status(status): count for status, count in self._connection.execute(COUNTS, {"firm": self._firm_id})}

    def count_failed(self, at_most: int, purpose: Purpose | None = None) -> int:
        """Count up to `at_most` failed deliveries that somebody may miss: of leads that nobody has reached out to yet.

        Users who were deactivated miss none.
        """
        missed = MISSED.where(deliveries.c.purpose == purpose) if purpose else MISSED
        counted = sa.select(sa.func.count()).select_from(missed.subquery())
        return self._connection.scalar(counted, {"firm": self._firm_id, "most": at_most}) or 0

    def statuses(self, lead_ids: Collection[UUID]) -> dict[UUID, set[Status]]:
        """The statuses among the deliveries of each of these leads; a lead to which none belong is left out."""
        found = sa.select(deliveries.c.lead_id, deliveries.c.status).where(OF_FIRM, deliveries.c.lead_id.in_(lead_ids))
        by_lead = defaultdict[UUID, set[Status]](set)
        for lead_id, status in self._connection.execute(found, {"firm": self._firm_id}):
            by_lead[lead_id].add(Status(status))
        return dict(by_lead)

    def waiting_since(self) -> datetime | None:
        """Since when a delivery is due. One that was never tried is due since it was owed; so is one to an attorney.

        While the channel is down, claims are undone all the time, so that `due_at` is always of a minute ago; and while
        the mail server is, it is always ahead. A prospect's own server may put a mail off for hours, an attorney's
        hardly does. A queue of more than a hundred has been growing for an hour by then, so its first hundred will do.
        """
        first = self._connection.execute(FIRST_DUE, {"firm": self._firm_id})
        return min((_waits_since(*row) for row in first), default=None)


def _view(row: sa.Row[Any]) -> DeliveryView:
    """A row of deliveries as it is shown."""
    status = Status(row.status)
    return DeliveryView(
        id=row.id,
        channel=Channel(row.channel),
        purpose=Purpose(row.purpose),
        recipient=row.recipient,
        status=status,
        attempts=row.attempts,
        next_attempt_at=row.due_at if status is Status.PENDING else None,
        sent_at=row.sent_at,
        last_error=row.last_error,
    )


def _waits_since(due_at: datetime, give_up_at: datetime, attempts: int, status: str, purpose: str) -> datetime:
    tried = attempts - (status == Status.SENDING)
    return due_at if tried and purpose == Purpose.CONFIRMATION else give_up_at - GIVE_UP_AFTER
