import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import pytest
from tests.fakes import FixedClock, RecordingMailer, numbered_ids
from tests.letters import letter
from tests.records import FIRST_FIRM

from leadintake.application.dispatch import Dispatch
from leadintake.domain.delivery import GIVE_UP_AFTER, Status
from leadintake.domain.errors import DeliveryFailed
from leadintake.domain.events import SYSTEM, Event, EventKind

T = TypeVar("T")

NOW = letter().created_at
TOKEN = UUID(int=1)


@dataclass
class Settlements:
    """A database that takes down how a delivery was settled, and what was recorded of it."""

    holds_claim: bool = True
    settled: list[tuple[object, ...]] = field(default_factory=list)
    recorded: list[Event] = field(default_factory=list)

    async def write(self, _firm_id: UUID, work: Callable[[Any], T]) -> T:
        return work(SimpleNamespace(outbox=self, events=SimpleNamespace(add=self.recorded.append)))

    read = write

    async def ping(self) -> None: ...

    def add(self, *_: object) -> None: ...

    def sent(self, delivery_id: UUID, token: UUID, at: datetime) -> bool:
        return self._settle(Status.SENT, delivery_id, token, at)

    def postpone(self, delivery_id: UUID, token: UUID, until: datetime, error: str) -> bool:
        return self._settle(Status.PENDING, delivery_id, token, until, error)

    def fail(self, delivery_id: UUID, token: UUID, error: str) -> bool:
        return self._settle(Status.FAILED, delivery_id, token, error)

    def _settle(self, *how: object) -> bool:
        self.settled.append(how)
        return self.holds_claim


@dataclass
class Hanging:
    """A mailer that never comes back."""

    async def send(self, _: object) -> str:
        await asyncio.Event().wait()
        return ""


def dispatch(database: Settlements, mailer: Any, jitter: float = 0, after: timedelta = timedelta(0)) -> Dispatch:
    """The use case at some time after the letter was written."""
    return Dispatch(FIRST_FIRM, database, mailer, FixedClock(NOW + after), numbered_ids(), lambda: jitter)


async def test_sent() -> None:
    """A letter that was taken is marked as sent, and nothing else is said of it."""
    database, mailer = Settlements(), RecordingMailer()
    outcome = await dispatch(database, mailer).deliver(letter(), TOKEN)

    assert mailer.sent == [letter()]
    assert outcome.status is Status.SENT
    assert database.settled == [(Status.SENT, letter().delivery_id, TOKEN, NOW)]
    assert database.recorded == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (DeliveryFailed("451 later", permanent=False), "451 later"),
        (TimeoutError(), "No answer in time; it may have arrived."),
        (OSError("secret"), "Unexpected OSError"),
        (UnicodeEncodeError("idna", "\u202c", 0, 1, "no"), "Unexpected UnicodeEncodeError"),
        (MemoryError(), "Unexpected MemoryError"),
        (RecursionError(), "Unexpected RecursionError"),
    ],
)
async def test_postponed(failure: Exception, reason: str) -> None:
    """Whatever else goes wrong, the letter is tried again in a while, and people read why."""
    database = Settlements()
    outcome = await dispatch(database, RecordingMailer(failure), jitter=1).deliver(letter(attempt=2), TOKEN)

    assert (outcome.status, outcome.answer) == (Status.PENDING, reason)
    until = NOW + timedelta(seconds=72)
    assert database.settled == [(Status.PENDING, letter().delivery_id, TOKEN, until, reason)]
    assert database.recorded == []


@pytest.mark.parametrize(("permanent", "after"), [(True, timedelta(0)), (False, GIVE_UP_AFTER - timedelta(seconds=1))])
async def test_given_up(permanent: bool, after: timedelta) -> None:  # noqa: FBT001 - a parameter
    """What was refused for good, or has no time left for another try, is given up, and the timeline says so."""
    database = Settlements()
    mailer = RecordingMailer(DeliveryFailed("550 no", permanent=permanent))
    outcome = await dispatch(database, mailer, after=after).deliver(letter(attempt=3), TOKEN)

    assert (outcome.status, outcome.answer) == (Status.FAILED, "550 no")
    assert database.settled == [(Status.FAILED, letter().delivery_id, TOKEN, "550 no")]
    data: dict[str, str | int] = {"delivery_id": str(letter().delivery_id), "attempts": 3}
    assert database.recorded == [Event(letter().lead_id, EventKind.DELIVERY_FAILED, NOW + after, SYSTEM, data)]


@pytest.mark.parametrize("age", [GIVE_UP_AFTER, GIVE_UP_AFTER * 2])
async def test_too_old_to_be_sent_unasked(age: timedelta) -> None:
    """What a restored backup owes is not sent days later; it is given up, and waits for a person to ask for it."""
    database, mailer = Settlements(), RecordingMailer()
    outcome = await dispatch(database, mailer, after=age).deliver(letter(attempt=1), TOKEN)

    assert mailer.sent == []
    assert outcome.status is Status.FAILED
    assert [status for status, *_ in database.settled] == [Status.FAILED]
    assert [event.kind for event in database.recorded] == [EventKind.DELIVERY_FAILED]


async def test_a_lost_claim_records_nothing() -> None:
    """Whoever lost the claim does not write that the delivery failed, because another may have sent it."""
    database = Settlements(holds_claim=False)
    await dispatch(database, RecordingMailer(DeliveryFailed("550 no", permanent=True))).deliver(letter(), TOKEN)

    assert database.recorded == []


@pytest.mark.parametrize("reason", ["a\0b", "caf\udce9", "\ud800"])
async def test_reasons_are_text(reason: str) -> None:
    """Whatever the other side answers can be stored."""
    database = Settlements()
    await dispatch(database, RecordingMailer(DeliveryFailed(reason, permanent=True))).deliver(letter(), TOKEN)

    [(_, _, _, stored)] = database.settled
    assert isinstance(stored, str)
    assert b"\0" not in stored.encode()


async def test_stopping() -> None:
    """A letter that is broken off because the service stops is left to its lease."""
    database = Settlements()
    sending = asyncio.ensure_future(dispatch(database, Hanging()).deliver(letter(), TOKEN))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert database.settled == []
