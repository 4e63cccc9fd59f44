"""How deliveries are, for people to see. Nothing here changes one."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.tables import FOR_A_PERSON, UNSETTLED, deliveries, leads
from leadintake.application.views import DeliveryView, OwedMail
from leadintake.domain.delivery import GIVE_UP_AFTER, Channel, Purpose, Status
from leadintake.domain.lead import State

HERE = deliveries.c.firm_id == sa.bindparam("firm")
DUE = deliveries.c.due_at.is_not(None)
"""Which of the unsettled deliveries go out by themselves; the others wait for a person, and have their own index."""

OWED = (
    sa.select(deliveries, leads.c.reference, leads.c.first_name, leads.c.last_name)
    .join_from(deliveries, leads)
    .where(HERE)
    .limit(sa.bindparam("most"))
)
BY_A_PERSON = OWED.where(FOR_A_PERSON).order_by(deliveries.c.status, deliveries.c.created_at, deliveries.c.id)
BY_ITSELF = OWED.where(UNSETTLED, DUE).order_by(deliveries.c.due_at, deliveries.c.id)
FIRST_DUE = (
    sa.select(*(deliveries.c[name] for name in ("due_at", "give_up_at", "attempts", "status", "purpose")))
    .where(HERE, UNSETTLED, DUE)
    .order_by(deliveries.c.due_at)
    .limit(100)
)
# A confirmation to a mistyped address fails for good; once somebody has reached out, nobody misses it.
SOME_FAILED = (
    sa.select(deliveries.c.id)
    .join_from(deliveries, leads)
    .where(HERE, FOR_A_PERSON, deliveries.c.status == Status.FAILED)
    .where(sa.or_(deliveries.c.purpose != Purpose.CONFIRMATION, leads.c.state == State.PENDING))
    .limit(sa.bindparam("most"))
)
FAILED = sa.select(sa.func.count()).select_from(SOME_FAILED.subquery())
COUNTS = sa.select(deliveries.c.status, sa.func.count()).where(HERE, UNSETTLED).group_by(deliveries.c.status)


def view(row: sa.Row[Any]) -> DeliveryView:
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


def of_lead(connection: sa.Connection, firm_id: UUID, lead_id: UUID) -> list[DeliveryView]:
    """The deliveries of a lead, the confirmation first."""
    found = sa.select(deliveries).where(HERE, deliveries.c.lead_id == lead_id)
    ordered = found.order_by(deliveries.c.created_at, deliveries.c.purpose, deliveries.c.recipient)
    return [view(row) for row in connection.execute(ordered, {"firm": firm_id})]


def statuses(connection: sa.Connection, firm_id: UUID, lead_ids: Collection[UUID]) -> dict[UUID, set[Status]]:
    """The statuses among the deliveries of each of these leads; a lead to which none belong is left out."""
    found = sa.select(deliveries.c.lead_id, deliveries.c.status).where(HERE, deliveries.c.lead_id.in_(lead_ids))
    by_lead = defaultdict[UUID, set[Status]](set)
    for lead_id, status in connection.execute(found, {"firm": firm_id}):
        by_lead[lead_id].add(Status(status))
    return dict(by_lead)


def unsettled(connection: sa.Connection, firm_id: UUID, limit: int, status: Status | None) -> list[OwedMail]:
    """Deliveries in one status, or in every one but `sent`: failed first, then held, then by when they are due.

    In two statements, each in the order of an index, because PostgreSQL would sort all of them to have those first that
    wait for a person.
    """
    asked = [deliveries.c.status == status] if status else []
    rows = list(connection.execute(BY_A_PERSON.where(*asked), {"firm": firm_id, "most": limit}))
    rows += connection.execute(BY_ITSELF.where(*asked), {"firm": firm_id, "most": limit - len(rows)})
    return [OwedMail(view(row), row.lead_id, row.reference, f"{row.first_name} {row.last_name}") for row in rows]


def unsettled_counts(connection: sa.Connection, firm_id: UUID) -> dict[Status, int]:
    """How many deliveries are in each status but `sent`."""
    return {Status(status): count for status, count in connection.execute(COUNTS, {"firm": firm_id})}


def failed(connection: sa.Connection, firm_id: UUID, at_most: int) -> int:
    """Count up to `at_most` deliveries that failed, a confirmation only until somebody has reached out."""
    return connection.scalar(FAILED, {"firm": firm_id, "most": at_most}) or 0


def waiting_since(connection: sa.Connection, firm_id: UUID) -> datetime | None:
    """Since when a delivery is due. One that was never tried is due since it was owed, and so is one to an attorney.

    While the channel is down, claims are undone all the time, so that `due_at` is always of a minute ago; and while the
    mail server is, it is always ahead. A prospect's own server may put a mail off for hours, an attorney's hardly does.
    Of more than a hundred deliveries the first has waited its turn for an hour then, so no others are looked at.
    """
    first = connection.execute(FIRST_DUE, {"firm": firm_id})
    return min((_waits_since(*row) for row in first), default=None)


def _waits_since(due_at: datetime, give_up_at: datetime, attempts: int, status: str, purpose: str) -> datetime:
    tried = attempts - (status == Status.SENDING)
    return due_at if tried and purpose == Purpose.CONFIRMATION else give_up_at - GIVE_UP_AFTER
