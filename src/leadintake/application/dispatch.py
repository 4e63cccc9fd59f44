"""Dispatch: every delivery that is owed goes out, and is never marked before it did."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from leadintake.application.owing import Owing
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.deliveries import Letter, Mailer
from leadintake.application.record import record
from leadintake.domain.delivery import LEASE, SEND_TIMEOUT, Status, next_attempt
from leadintake.domain.errors import ChannelDown, DeliveryFailed, Unavailable
from leadintake.domain.events import SYSTEM, Event, EventKind

T = TypeVar("T")

STORE_AGAIN_AFTER = timedelta(milliseconds=100)
STORE_AGAIN_AFTER_AT_MOST = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went: where it left the delivery, and what the other side said or what went wrong.

    Where the claim was lost meanwhile it is not settled, and the status is what it would have been: another has it.
    """

    letter: Letter
    status: Status
    answer: str
    is_settled: bool


class ClaimLost(Exception):
    """One of several deliveries was somebody else's by the time that it was settled."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery that went out, the token of its claim, and when."""

    delivery_id: UUID
    token: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Claims in one transaction, sends with none open, and settles in another. `jitter` is random from -1 to 1.

    What is to be settled is stored again and again while the claim holds, so that a mail that went out does not go out
    once more because the database was away for a moment; only then do these methods raise Unavailable.
    """

    firm_id: UUID
    database: Database
    mailer: Mailer
    owing: Owing
    now: Clock
    new_id: Callable[[], UUID]
    jitter: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def claim(self, limit: int, *, rescue: bool = True, is_idle: bool = False) -> list[Letter]:
        """Take at most `limit` due deliveries; see Outbox.claim for the rest."""
        token = self.new_id()

        def work(tx: Transaction) -> list[Letter]:  # Here, because its turn may have been long in coming.
            return tx.outbox.claim(self.now(), limit, token, rescue=rescue, is_idle=is_idle)

        return await self.database.write(self.firm_id, work)

    async def deliver(self, letter: Letter) -> Outcome:
        """Make one attempt and settle it. Whatever the mailer does, the delivery ends as sent, postponed or failed.

        One whose time is over is failed unsent, for a person to ask for: it may come from a restored backup, or be what
        kills the process every time. Raises ChannelDown when the delivery is not to blame, once it was given back.
        """
        if self.now() >= letter.give_up_at:
            return await self._settle_failure(letter, "Too old to be sent unasked.", permanent=True)
        if letter.recipient_left and letter.recipient != self.owing.rules.attorney_email:
            return await self._settle_failure(letter, "Its recipient was deactivated.", permanent=True)
        try:
            async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
                answer = await self.mailer.send(letter)
        except ChannelDown as down:
            await self.give_back([letter], down.reason)
            raise
        except DeliveryFailed as failure:
            return await self._settle_failure(letter, failure.reason, permanent=failure.permanent)
        except TimeoutError:
            return await self._settle_failure(letter, "No answer in time; it may have arrived.", permanent=False)
        except Exception as error:  # noqa: BLE001 - one poisonous letter must not stop the others
            return await self._settle_failure(letter, f"Unexpected {type(error).__name__}", permanent=False)
        sent = Sent(letter.delivery_id, letter.token, self.now())
        is_settled = await self._until_stored(lambda: self.database.write_together(self.firm_id, settle_sent, sent))
        return Outcome(letter, Status.SENT, answer, is_settled)

    async def give_back(self, letters: Iterable[Letter], reason: str | None = None) -> None:
        """Undo claims, so that the deliveries are due at once and these attempts do not count."""
        now = self.now()

        def work(tx: Transaction) -> None:
            for letter in letters:
                tx.outbox.give_back(letter.delivery_id, letter.token, now, reason)

        await self._until_stored(lambda: self.database.write(self.firm_id, work))

    async def break_off(self, letter: Letter) -> Outcome:
        """Settle an attempt that was cut short. It counts, because the letter may have arrived."""
        return await self._settle_failure(letter, "Broken off on the way; it may have arrived.", permanent=False)

    async def next_due(self) -> datetime | None:
        """When there will be something to do, if nothing new comes before."""
        return await self.database.read(self.firm_id, lambda tx: tx.outbox.next_due())

    async def count_unsettled(self) -> dict[Status, int]:
        """How many deliveries are in each status but `sent`, for whoever watches over the outbox."""
        return await self.database.read(self.firm_id, lambda tx: tx.deliveries.count_unsettled())

    async def _settle_failure(self, letter: Letter, reason: str, *, permanent: bool) -> Outcome:
        now = self.now()
        until = None if permanent else next_attempt(letter.attempt, now, letter.give_up_at, self.jitter())

        def work(tx: Transaction) -> bool:
            if until is not None:
                return tx.outbox.postpone(letter.delivery_id, letter.token, until, reason)
            if not tx.outbox.fail(letter.delivery_id, letter.token, reason):
                return False
            data: dict[str, str | int] = {"delivery_id": str(letter.delivery_id), "attempts": letter.attempt}
            failed = Event(letter.lead_id, EventKind.DELIVERY_FAILED, now, SYSTEM, data)
            record(tx, failed, owed=self.owing.owed_instead(tx, letter, now))
            return True

        is_settled = await self._until_stored(lambda: self.database.write(self.firm_id, work))
        return Outcome(letter, Status.FAILED if until is None else Status.PENDING, reason, is_settled)

    async def _until_stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write until it is stored, or until the claim is over, which is LEASE after it was made.

        The claim of a letter that waited for its turn ends earlier. What is written then finds it lost, and changes
        nothing.
        """
        until = self.now() + LEASE - SEND_TIMEOUT
        wait = STORE_AGAIN_AFTER
        while True:
            try:
                return await write()
            except Unavailable:
                if self.now() + wait >= until:
                    raise
            await self.sleep(wait.total_seconds())
            wait = min(2 * wait, STORE_AGAIN_AFTER_AT_MOST)


def settle_sent(tx: Transaction, sent: Sequence[Sent]) -> list[bool]:
    """Mark deliveries as sent, in one statement those that were claimed together and sent in the same second.

    Returns for each whether its claim still held. Raises ClaimLost where one of several had lost it.
    """
    groups: defaultdict[tuple[UUID, datetime], list[Sent]] = defaultdict(list)
    for each in sent:
        groups[each.token, each.at.replace(microsecond=0)].append(each)
    settled = sum(
        tx.outbox.mark_sent([each.delivery_id for each in group], token, max(each.at for each in group))
        for (token, _), group in groups.items()
    )
    is_settled = settled == len(sent)
    if not is_settled and len(sent) > 1:
        raise ClaimLost
    return [is_settled] * len(sent)
