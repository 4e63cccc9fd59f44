import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import pytest
from tests.fakes import FixedClock, RecordingMailer, numbered_ids
from tests.letters import letter
from tests.records import FIRST_FIRM

from leadintake.application.dispatch import Dispatch, Sent, settle_sent
from leadintake.application.owing import MailRules, Owing
from leadintake.application.ports.database import by_itself
from leadintake.domain.delivery import GIVE_UP_AFTER, LEASE, SEND_TIMEOUT, Status
from leadintake.domain.errors import ChannelDown, DeliveryFailed, Unavailable
from leadintake.domain.events import SYSTEM, Event, EventKind

T = TypeVar("T")

NOW = letter().created_at
TOKEN = letter().token


@dataclass
class Settlements:
    """A database that takes down how a delivery was settled, and what was recorded of it; away for so many tries."""

    holds_claim: bool = True
    away_for: int = 0
    settled: list[tuple[object, ...]] = field(default_factory=list)
    recorded: list[Event] = field(default_factory=list)

    async def write(self, _firm_id: UUID, work: Callable[[Any], T]) -> T:
        if self.away_for:
            self.away_for -= 1
            raise Unavailable
        events, people = SimpleNamespace(add=self.record), SimpleNamespace(active_admins=list)
        return work(SimpleNamespace(outbox=self, deliveries=self, events=events, people=people))

    read = glance = write

    async def write_together(self, firm_id: UUID, work: Callable[..., Sequence[T | Exception]], task: object) -> T:
        return await by_itself(self, firm_id, work, task)

    async def ping(self) -> None: ...

    def record(self, *events: Event) -> list[int]:
        self.recorded += events
        return [1] * len(events)

    def add(self, *_: object) -> None: ...

    def of_lead(self, _: UUID) -> list[object]:
        return []

    def mark_sent(self, delivery_ids: Sequence[UUID], token: UUID, at: datetime) -> int:
        return sum(self._settle(Status.SENT, delivery_id, token, at) for delivery_id in delivery_ids)

    def postpone(self, delivery_id: UUID, token: UUID, until: datetime, error: str) -> bool:
        return self._settle(Status.PENDING, delivery_id, token, until, error)

    def fail(self, delivery_id: UUID, token: UUID, error: str) -> bool:
        return self._settle(Status.FAILED, delivery_id, token, error)

    def give_back(self, delivery_id: UUID, token: UUID, at: datetime, error: str | None) -> bool:
        return self._settle("given back", delivery_id, token, at, error)

    def _settle(self, *how: object) -> bool:
        self.settled.append(how)
        return self.holds_claim


@dataclass
class Hanging:
    """A mailer that never comes back."""

    at_once: int = 1

    async def send(self, _: object) -> str:
        await asyncio.Event().wait()
        return ""


def dispatch(database: Settlements, mailer: Any, jitter: float = 0, after: timedelta = timedelta(0)) -> Dispatch:
    """The use case at some time after the letter was written. Its clock moves on when it sleeps, and only then."""
    clock = FixedClock(NOW + after)

    async def sleep(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    owing = Owing(MailRules("firm.example"), numbered_ids())
    return Dispatch(FIRST_FIRM, database, mailer, owing, clock, numbered_ids(), lambda: jitter, sleep)


async def test_sent() -> None:
    """A letter that was taken is marked as sent, and nothing else is said of it."""
    database, mailer = Settlements(), RecordingMailer()
    outcome = await dispatch(database, mailer).deliver(letter())

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
    outcome = await dispatch(database, RecordingMailer(failure), jitter=1).deliver(letter(attempt=2))

    assert (outcome.status, outcome.answer) == (Status.PENDING, reason)
    until = NOW + timedelta(seconds=72)
    assert database.settled == [(Status.PENDING, letter().delivery_id, TOKEN, until, reason)]
    assert database.recorded == []


@pytest.mark.parametrize(("permanent", "after"), [(True, timedelta(0)), (False, GIVE_UP_AFTER - timedelta(seconds=1))])
async def test_given_up(permanent: bool, after: timedelta) -> None:  # noqa: FBT001 - a parameter
    """What was refused for good, or has no time left for another try, is given up, and the timeline says so."""
    database = Settlements()
    mailer = RecordingMailer(DeliveryFailed("550 no", permanent=permanent))
    outcome = await dispatch(database, mailer, after=after).deliver(letter(attempt=3))

    assert (outcome.status, outcome.answer) == (Status.FAILED, "550 no")
    assert database.settled == [(Status.FAILED, letter().delivery_id, TOKEN, "550 no")]
    data: dict[str, str | int] = {"delivery_id": str(letter().delivery_id), "attempts": 3}
    assert database.recorded == [Event(letter().lead_id, EventKind.DELIVERY_FAILED, NOW + after, SYSTEM, data)]


@pytest.mark.attack(174)
@pytest.mark.parametrize("age", [GIVE_UP_AFTER, GIVE_UP_AFTER * 2])
async def test_too_old_to_be_sent_unasked(age: timedelta) -> None:
    """What a restored backup owes is not sent days later; it is given up, and waits for a person to ask for it."""
    database, mailer = Settlements(), RecordingMailer()
    outcome = await dispatch(database, mailer, after=age).deliver(letter(attempt=1))

    assert mailer.sent == []
    assert outcome.status is Status.FAILED
    assert [status for status, *_ in database.settled] == [Status.FAILED]
    assert [event.kind for event in database.recorded] == [EventKind.DELIVERY_FAILED]


@pytest.mark.parametrize("holds_claim", [True, False], ids=["held", "lost"])
@pytest.mark.parametrize(
    "failure", [None, DeliveryFailed("451 later", permanent=False), DeliveryFailed("550 no", permanent=True)]
)
async def test_an_outcome_says_whether_it_counts(failure: Exception | None, holds_claim: bool) -> None:  # noqa: FBT001 - a parameter
    """Whoever lost the claim has settled nothing, however the attempt went."""
    database = Settlements(holds_claim)
    outcome = await dispatch(database, RecordingMailer(failure)).deliver(letter())

    assert outcome.is_settled is holds_claim
    assert len(database.settled) == 1


async def test_a_lost_claim_records_nothing() -> None:
    """Whoever lost the claim does not write that the delivery failed, because another may have sent it."""
    database = Settlements(holds_claim=False)
    await dispatch(database, RecordingMailer(DeliveryFailed("550 no", permanent=True))).deliver(letter())

    assert database.recorded == []


@pytest.mark.parametrize("reason", ["a\0b", "caf\udce9", "\ud800"])
async def test_reasons_are_text(reason: str) -> None:
    """Whatever the other side answers can be stored."""
    database = Settlements()
    await dispatch(database, RecordingMailer(DeliveryFailed(reason, permanent=True))).deliver(letter())

    [(_, _, _, stored)] = database.settled
    assert isinstance(stored, str)
    assert b"\0" not in stored.encode()


async def test_channel_down() -> None:
    """A letter that is not to blame is due again at once, its attempt not counted, and whoever sends learns of it."""
    database = Settlements()
    with pytest.raises(ChannelDown, match="535 wrong password"):
        await dispatch(database, RecordingMailer(ChannelDown("535 wrong password"))).deliver(letter())

    assert database.settled == [("given back", letter().delivery_id, TOKEN, NOW, "535 wrong password")]
    assert database.recorded == []


async def test_what_was_not_begun_is_given_back() -> None:
    """Several claims are undone in one transaction, and say nothing of an error that was none."""
    database = Settlements()
    others = [letter(delivery_id=UUID(int=number)) for number in (1, 2)]
    await dispatch(database, RecordingMailer()).give_back(others)

    assert database.settled == [("given back", other.delivery_id, TOKEN, NOW, None) for other in others]


async def test_what_was_broken_off_may_have_arrived() -> None:
    """An attempt that was cut short counts, is repeated like one that failed, and says what nobody knows."""
    database = Settlements()
    outcome = await dispatch(database, RecordingMailer()).break_off(letter())

    assert outcome.status is Status.PENDING
    until, reason = NOW + timedelta(seconds=30), "Broken off on the way; it may have arrived."
    assert database.settled == [(Status.PENDING, letter().delivery_id, TOKEN, until, reason)]


@pytest.mark.parametrize(
    ("failure", "settled"),
    [
        (None, Status.SENT),
        (DeliveryFailed("451 later", permanent=False), Status.PENDING),
        (DeliveryFailed("550 no", permanent=True), Status.FAILED),
        (ChannelDown("535 wrong password"), "given back"),
    ],
)
async def test_the_database_is_away_for_a_moment(failure: Exception | None, settled: str) -> None:
    """However it went, that is written down as soon as the database is back, and the letter is sent once."""
    database, mailer = Settlements(away_for=20), RecordingMailer(failure)
    with suppress(ChannelDown):
        await dispatch(database, mailer).deliver(letter())

    assert [how[:3] for how in database.settled] == [(settled, letter().delivery_id, TOKEN)]
    assert len(mailer.sent) == (failure is None)


async def test_the_database_stays_away() -> None:
    """Nothing is written down any more when the claim may have run out, since another may have the letter by then."""
    database = Settlements(away_for=10**6)
    patient = dispatch(database, RecordingMailer())
    with pytest.raises(Unavailable):
        await patient.deliver(letter())

    assert LEASE - SEND_TIMEOUT - timedelta(seconds=5) <= patient.now() - NOW < LEASE - SEND_TIMEOUT


async def test_stopping() -> None:
    """A letter that is broken off is settled by whoever breaks it off."""
    database = Settlements()
    sending = asyncio.ensure_future(dispatch(database, Hanging()).deliver(letter()))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert database.settled == []


def test_mails_that_went_out_at_other_times_are_marked_so() -> None:
    """What waited for the database to come back may be settled together, and still has its own time, to a second."""
    database = Settlements()
    moments = [NOW, NOW + timedelta(milliseconds=5), NOW + timedelta(minutes=2)]
    tx: Any = SimpleNamespace(outbox=database)
    settled = settle_sent(tx, [Sent(UUID(int=number), TOKEN, at) for number, at in enumerate(moments)])

    assert settled == [True] * 3
    assert [at for *_, at in database.settled] == [moments[1], moments[1], moments[2]]


async def test_a_mailer_that_never_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for as long as SEND_TIMEOUT, and then the letter, which may have arrived, is tried again."""
    database, loop = Settlements(), asyncio.get_running_loop()
    sending = asyncio.ensure_future(dispatch(database, Hanging()).deliver(letter()))
    await asyncio.sleep(0)
    over = loop.time() + SEND_TIMEOUT.total_seconds()
    monkeypatch.setattr(loop, "time", lambda: over)
    for _ in range(10):
        await asyncio.sleep(0)
    sending.cancel()

    assert [(status, error) for status, *_, error in database.settled] == [
        (Status.PENDING, "No answer in time; it may have arrived.")
    ]
