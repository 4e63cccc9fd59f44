"""The audit trail."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.hot import insert
from leadintake.adapters.sql.tables import events, users
from leadintake.application.views import EventView
from leadintake.domain.events import Actor, ActorKind, Event, EventKind

TIMELINE = (
    sa.select(events, users.c.full_name)
    .select_from(events.outerjoin(users, events.c.actor_id == users.c.id))
    .where(events.c.firm_id == sa.bindparam("firm"), events.c.lead_id == sa.bindparam("lead"))
)


class SqlEvents:
    """The events of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID) -> None:
        self._connection = connection
        self._firm_id = firm_id

    def add(self, *new: Event) -> list[int]:
        """Store events and return their ids, which count up in the order of the events."""
        rows = [
            {
                "firm_id": self._firm_id,
                "lead_id": event.lead_id,
                "kind": event.kind,
                "at": event.at,
                "actor_kind": event.actor.kind,
                "actor_id": event.actor.id,
                "data": dict(event.data),
            }
            for event in new
        ]
        return sorted(event_id for (event_id,) in insert(self._connection, events, rows, returning=events.c.id))

    def of_lead(self, lead_id: UUID, *, after: int = 0, limit: int | None = None) -> list[EventView]:
        """The timeline of a lead behind an event, oldest first; at most `limit`, or all. Empty when there is none."""
        return self._found(TIMELINE.where(events.c.id > after).order_by(events.c.id).limit(limit), lead_id)

    def latest(self, lead_id: UUID, limit: int, *, before: int | None = None) -> list[EventView]:
        """The last `limit` events of a lead, or of those before one; the oldest of them first."""
        timeline = TIMELINE if before is None else TIMELINE.where(events.c.id < before)
        return self._found(timeline.order_by(events.c.id.desc()).limit(limit), lead_id)[::-1]

    def removed(self, reference: str) -> UUID | None:
        """The lead that had this reference until it was erased or discarded. Looks through all events."""
        is_its_end = events.c.kind.in_([EventKind.ERASED, EventKind.DISCARDED])
        ended = sa.select(events.c.lead_id).where(events.c.firm_id == self._firm_id, is_its_end)
        return self._connection.scalar(ended.where(events.c.data["reference"].as_string() == reference))

    def _found(self, timeline: sa.Select[Any], lead_id: UUID) -> list[EventView]:
        rows = self._connection.execute(timeline, {"firm": self._firm_id, "lead": lead_id})
        return [
            EventView(
                row.id,
                EventKind(row.kind),
                row.at,
                Actor(ActorKind(row.actor_kind), row.actor_id, row.full_name),
                row.data,
            )
            for row in rows
        ]
