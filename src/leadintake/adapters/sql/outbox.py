"""The outbox: deliveries owed, claimed under a lease, and settled by whoever still holds it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql import claims
from leadintake.adapters.sql.hot import batches, insert, run
from leadintake.adapters.sql.tables import CONFIRMED, NOT_IN_QUARANTINE, OF_FIRM, UNSETTLED, Id, deliveries, leads
from leadintake.application.ports import Clock
from leadintake.application.ports.deliveries import Letter
from leadintake.domain import values
from leadintake.domain.delivery import FURTHEST, GIVE_UP_AFTER, LEASE, Delivery, Status

CONFIRMATIONS = sa.select(sa.literal(1)).where(OF_FIRM, CONFIRMED).limit(sa.bindparam("most"))
CONFIRMATIONS_TO = CONFIRMATIONS.where(
    deliveries.c.mailbox == sa.bindparam("mailbox"), deliveries.c.created_at >= sa.bindparam("since")
)
ALL_CONFIRMATIONS = (
    CONFIRMATIONS.join_from(leads, deliveries)
    .where(leads.c.firm_id == sa.bindparam("firm"), NOT_IN_QUARANTINE, leads.c.created_at >= sa.bindparam("since"))
    .order_by(leads.c.created_at)
)
TAKE_TURNS = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("counted"), 0)))

NEXT = sa.select(sa.func.min(deliveries.c.due_at)).where(OF_FIRM, UNSETTLED)
STILL_CLAIMED = sa.update(deliveries).where(OF_FIRM, deliveries.c.claim_token == sa.bindparam("token"))
SETTLE = STILL_CLAIMED.where(deliveries.c.id == sa.bindparam("delivery"))
POSTPONED = SETTLE.values(
    status=Status.PENDING.value, due_at=sa.bindparam("until"), claim_token=None, last_error=sa.bindparam("error")
)
GIVEN_BACK = SETTLE.values(
    status=Status.PENDING.value,
    attempts=deliveries.c.attempts - 1,
    due_at=sa.bindparam("at"),
    claim_token=None,
    last_error=sa.func.coalesce(sa.bindparam("error", type_=sa.Text), deliveries.c.last_error),
)
FAILED = SETTLE.values(status=Status.FAILED.value, due_at=None, claim_token=None, last_error=sa.bindparam("error"))


@cache
def _sent(count: int) -> sa.Update:
    """The statement that settles so many."""
    ids = [sa.bindparam(f"delivery_{n}", type_=Id) for n in range(count)]
    some = STILL_CLAIMED.where(deliveries.c.id.in_(ids))
    return some.values(
        status=Status.SENT.value, sent_at=sa.bindparam("at"), due_at=None, claim_token=None, last_error=None
    )


class SqlOutbox:
    """What one firm owes, in one transaction. `clock` is the machine's, where several share the database."""

    def __init__(self, connection: sa.Connection, firm_id: UUID, *, locks: bool, clock: Clock | None) -> None:
        self._connection = connection
        self._firm_id = firm_id
        self._locks = locks
        self._clock = clock

    def add(self, owed: Iterable[tuple[Delivery, int]]) -> None:
        """Owe deliveries, each because of an event, of which this is the id."""
        insert(self._connection, deliveries, [self._row(delivery, event_id) for delivery, event_id in owed])

    def count_confirmations(self, since: datetime, mailbox: str | None, at_most: int) -> int:
        """Count up to `at_most` confirmations owed since then, to one mailbox or to all; held ones do not count.

        All of them are counted by way of their leads, oldest first, whose index by time is there anyway. Where others
        may write at the same time, whoever counts the same confirmations waits, or both would find room for one more.
        """
        if self._connection.dialect.name == "postgresql":
            run(self._connection, TAKE_TURNS, {"counted": f"{self._firm_id} {mailbox or ''}"})
        counted = {"firm": self._firm_id, "mailbox": mailbox, "since": since, "most": at_most}
        return len(
            run(self._connection, ALL_CONFIRMATIONS if mailbox is None else CONFIRMATIONS_TO, counted).fetchall()
        )

    def claim(
        self, now: datetime, limit: int, token: UUID, *, rescue: bool = True, is_idle: bool = False
    ) -> list[Letter]:
        """Take due deliveries for domain.delivery.LEASE; counts the attempt.

        Of those whose claim ran out at most one is taken: it may be what ended the process that had them, and would
        take the others along again. Those go first that are put off further than any can be: they have waited longest,
        as the clock was set back.
        """
        claim = {
            "firm": self._firm_id,
            "now": now,
            "machine": self._clock() if self._clock else now,
            "furthest": now + FURTHEST,
            "token": token,
            "until": now + LEASE,
        }
        over = claims.OF_ENDED_PROCESSES if is_idle and not self._locks else claims.RAN_OUT
        is_rescuing = rescue and self._take(over, claim, 1)
        rescued = {one.delivery_id for one in claims.letters(self._connection, claim)} if is_rescuing else set()
        taken = len(rescued)
        if taken < limit:
            taken += self._take(claims.OF_THE_FUTURE, claim, limit - taken)
        if taken < limit:
            run(self._connection, claims.PENDING, {**claim, "most": limit - taken})
        letters = claims.letters(self._connection, claim)
        return [replace(one, is_rescued=True) if one.delivery_id in rescued else one for one in letters]

    def mark_sent(self, delivery_ids: Sequence[UUID], token: UUID, at: datetime) -> int:
        """Mark deliveries as sent that were claimed together; returns how many, without those whose claim was lost."""
        settled = 0
        for some in batches(delivery_ids):
            ids = {f"delivery_{n}": delivery_id for n, delivery_id in enumerate(some)}
            values = {"firm": self._firm_id, "token": token, "at": at, **ids}
            settled += run(self._connection, _sent(len(some)), values).rowcount
        return settled

    def postpone(self, delivery_id: UUID, token: UUID, until: datetime, error: str) -> bool:
        """Let a claimed delivery wait for its next attempt until then; False when the claim was lost."""
        return self._settle(POSTPONED, {"delivery": delivery_id, "token": token, "until": until, "error": error})

    def give_back(self, delivery_id: UUID, token: UUID, at: datetime, error: str | None) -> bool:
        """Undo a claim: due again at `at`, the attempt not counted; False when it was lost. None keeps the error."""
        return self._settle(GIVEN_BACK, {"delivery": delivery_id, "token": token, "at": at, "error": error})

    def fail(self, delivery_id: UUID, token: UUID, error: str) -> bool:
        """Give a claimed delivery up; False when the claim was lost."""
        return self._settle(FAILED, {"delivery": delivery_id, "token": token, "error": error})

    def next_due(self) -> datetime | None:
        """When the next delivery is due or the next claim runs out."""
        due: datetime | None = self._connection.scalar(NEXT, {"firm": self._firm_id})
        return due

    def retry(self, delivery_id: UUID, now: datetime) -> None:
        """Owe it again from now on, for another domain.delivery.GIVE_UP_AFTER."""
        again = sa.update(deliveries).where(OF_FIRM, deliveries.c.id == delivery_id)
        renewed = again.values(status=Status.PENDING.value, due_at=now, give_up_at=now + GIVE_UP_AFTER, last_error=None)
        self._connection.execute(renewed, {"firm": self._firm_id})

    def _row(self, delivery: Delivery, event_id: int) -> dict[str, object]:
        return {
            "id": delivery.id,
            "firm_id": self._firm_id,
            "lead_id": delivery.lead_id,
            "event_id": event_id,
            "channel": delivery.channel,
            "purpose": delivery.purpose,
            "recipient": delivery.recipient,
            "mailbox": values.mailbox(delivery.recipient),
            "status": delivery.status,
            "message_id": delivery.message_id,
            "attempts": 0,
            "due_at": delivery.created_at if delivery.status is Status.PENDING else None,
            "give_up_at": delivery.created_at + GIVE_UP_AFTER,
            "created_at": delivery.created_at,
        }

    def _take(self, claim: sa.Executable, parameters: dict[str, object], at_most: int) -> int:
        return len(run(self._connection, claim, {**parameters, "most": at_most}).fetchall())

    def _settle(self, statement: sa.Update, parameters: dict[str, object]) -> bool:
        return bool(run(self._connection, statement, {"firm": self._firm_id, **parameters}).rowcount)
