"""Claims: the statements that take deliveries for domain.delivery.LEASE, and by whose clock that is over.

On PostgreSQL, where several machines claim, it is the server's clock (docs/adr/0021). A claim carries the time of the
machine that makes it, so that the server sees how far that clock is off, and moves by so much what goes by it. It does
so by whole minutes: what is less than half of one is the way to the server, and no clock that is wrong.
"""

from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from leadintake.adapters.sql.as_json import JSON
from leadintake.adapters.sql.hot import Row, run, scalar
from leadintake.adapters.sql.tables import OF_FIRM, RECIPIENT_LEFT, SENDING, UNSETTLED, UtcDateTime, deliveries, leads
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import Status


class ServerIsAhead(FunctionElement[int]):
    """By how much the server's clock is ahead of a machine's, in microseconds, to the minute; 0 where they are one."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(ServerIsAhead)
def _one_machine(*_: object, **__: object) -> str:
    return "0"


@compiles(ServerIsAhead, "postgresql")
def _many_machines(element: ServerIsAhead, compiler: SQLCompiler, **options: Any) -> str:
    machine = compiler.process(element.clauses, **options)
    return f"round((extract(epoch FROM now()) * 1000000 - {machine}) / 60000000)::bigint * 60000000"


SERVER_IS_AHEAD = ServerIsAhead(sa.bindparam("machine", type_=UtcDateTime))
LEASED_UNTIL = sa.bindparam("until", type_=UtcDateTime) + SERVER_IS_AHEAD


def _claim(*due: sa.ColumnElement[bool] | sa.TextClause) -> sa.Update:
    first = sa.select(deliveries.c.id).where(OF_FIRM, *due).order_by(deliveries.c.due_at)
    cte = first.limit(sa.bindparam("most")).with_for_update(skip_locked=True).cte("due")
    return (
        sa.update(deliveries)
        .where(deliveries.c.id.in_(sa.select(cte.c.id)))
        .values(
            status=Status.SENDING.value,
            attempts=deliveries.c.attempts + 1,
            claim_token=sa.bindparam("token"),
            due_at=LEASED_UNTIL,
        )
    )


def _counted(*due: sa.ColumnElement[bool] | sa.TextClause) -> sa.Executable:
    """A claim that returns a row for each delivery. PENDING returns none: for each, the driver gives up the GIL."""
    return _claim(*due).returning(deliveries.c.id)


NOW = sa.bindparam("now", type_=UtcDateTime)
IS_PENDING = (UNSETTLED, deliveries.c.status == Status.PENDING)
PENDING = _claim(*IS_PENDING, deliveries.c.due_at <= NOW)
RAN_OUT = _counted(SENDING, deliveries.c.due_at <= NOW + SERVER_IS_AHEAD)
OF_ENDED_PROCESSES = _counted(SENDING, sa.or_(deliveries.c.due_at <= NOW, deliveries.c.due_at > LEASED_UNTIL))
"""For the only worker of a database, while it has nothing under way: else it would take what it is just sending."""

OF_THE_FUTURE = _counted(*IS_PENDING, deliveries.c.due_at > sa.bindparam("furthest"))
CLAIMED = (
    sa.select(
        *(deliveries.c[name] for name in ("purpose", "recipient", "message_id", "created_at", "give_up_at", "lead_id")),
        *(leads.c[name] for name in ("reference", "first_name", "last_name", "email", "resume_name")),
        deliveries.c.id.label("delivery_id"),
        deliveries.c.claim_token.label("token"),
        deliveries.c.attempts.label("attempt"),
        sa.cast(deliveries.c.event_id, sa.Text).label("event_id"),
        RECIPIENT_LEFT.label("recipient_left"),
    )
    .join_from(deliveries, leads)
    .where(OF_FIRM, UNSETTLED, deliveries.c.due_at == LEASED_UNTIL, deliveries.c.claim_token == sa.bindparam("token"))
)

_letters = msgspec.json.Decoder(list[Letter])


def letters(connection: sa.Connection, claim: Row) -> list[Letter]:
    """What is sent of all that a claim has by now."""
    return _letters.decode(scalar(run(connection, _as_json(connection.dialect.name), claim)))


@cache
def _as_json(database: str) -> sa.Select[Any]:
    json, found = JSON[database], CLAIMED.subquery("found")
    row = json.named({column.name: json.of(column) for column in found.c})
    return sa.select(sa.literal_column(json.rows(row))).select_from(found)
