"""Dispatch: every delivery that is owed goes out, and is never marked before it did."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from leadintake.application.database import Database, Letter, Transaction
from leadintake.application.ports import Clock, Mailer
from leadintake.application.record import record
from leadintake.domain.delivery import SEND_TIMEOUT, Status, next_attempt
from leadintake.domain.errors import DeliveryFailed
from leadintake.domain.events import SYSTEM, Event, EventKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went: where it left the delivery, and what the other side said or what went wrong."""

    letter: Letter
    status: Status
    answer: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Claims in one transaction, sends with none open, and settles in another. `jitter` is random from -1 to 1."""

    firm_id: UUID
    database: Database
    mailer: Mailer
    now: Clock
    new_id: Callable[[], UUID]
    jitter: Callable[[], float]

    async def claim(self, limit: int) -> list[tuple[Letter, UUID]]:
        """Take at most `limit` due deliveries, each with the token that settles it."""
        token, now = self.new_id(), self.now()
        letters = await self.database.write(self.firm_id, lambda tx: tx.outbox.claim(now, limit, token))
        return [(letter, token) for letter in letters]

    async def deliver(self, letter: Letter, token: UUID) -> Outcome:
        """Make one attempt and settle it. Whatever the mailer does, the delivery ends as sent, postponed or failed.

        One whose time is over is failed unsent, for a person to ask for: it may come from a restored backup, or be what
        kills the process every time.
        """
        if self.now() >= letter.give_up_at:
            return await self._settle_failure(letter, token, "Too old to be sent unasked.", permanent=True)
        try:
            async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                answer = await self.mailer.send(letter)
        except DeliveryFailed as failure:
            return await self._settle_failure(letter, token, failure.reason, permanent=failure.permanent)
        except TimeoutError:
            return await self._settle_failure(letter, token, "No answer in time; it may have arrived.", permanent=False)
        except Exception as error:  # noqa: BLE001 - one poisonous letter must not stop the others
            return await self._settle_failure(letter, token, f"Unexpected {type(error).__name__}", permanent=False)
        at = self.now()
        await self.database.write(self.firm_id, lambda tx: tx.outbox.sent(letter.delivery_id, token, at))
        return Outcome(letter, Status.SENT, answer)

    async def next_due(self) -> datetime | None:
        """When there will be something to do, if nothing new comes before."""
        return await self.database.read(self.firm_id, lambda tx: tx.outbox.next_due())

    async def unsettled(self) -> dict[Status, int]:
        """How many deliveries are in each status but `sent`, for whoever watches over the outbox."""
        return await self.database.read(self.firm_id, lambda tx: tx.outbox.unsettled_counts())

    async def _settle_failure(self, letter: Letter, token: UUID, reason: str, *, permanent: bool) -> Outcome:
        now = self.now()
        until = None if permanent else next_attempt(letter.attempt, now, letter.give_up_at, self.jitter())

        def work(tx: Transaction) -> None:
            if until is not None:
                tx.outbox.postpone(letter.delivery_id, token, until, reason)
            elif tx.outbox.fail(letter.delivery_id, token, reason):
                data: dict[str, str | int] = {"delivery_id": str(letter.delivery_id), "attempts": letter.attempt}
                record(tx, Event(letter.lead_id, EventKind.DELIVERY_FAILED, now, SYSTEM, data))

        await self.database.write(self.firm_id, work)
        return Outcome(letter, Status.FAILED if until is None else Status.PENDING, reason)
