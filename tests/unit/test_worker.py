import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.letters import letter

from leadintake.application.app import App
from leadintake.application.dispatch import Dispatch
from leadintake.application.owing import MailRules, Owing
from leadintake.application.ports.database import by_itself
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import LEASE, SEND_TIMEOUT
from leadintake.domain.errors import ChannelDown, DeliveryFailed, Unavailable
from leadintake.entrypoints.sender import AHEAD, GATHERING, LONGEST_WAIT, Sender
from leadintake.entrypoints.worker import running

T = TypeVar("T")
Behaviour = Callable[[], Awaitable[None]]

NOW = datetime(2025, 11, 24, 4, tzinfo=UTC)
AT_ONCE = 16
CLOCKS_DIFFER = timedelta(minutes=1)
"""By so much at most between the machines of one PostgreSQL, as its claims see it."""


@dataclass
class Outbox:
    """A database of one outbox: what is due, what became of it, and how often it was asked."""

    due: list[Letter] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    claims: int = 0
    idle_claims: list[bool] = field(default_factory=list)
    failures: int = 0
    next: datetime | None = None
    unlucky: UUID | None = None
    is_claim_lost: bool = False
    is_away: bool = False
    claimed: dict[UUID, Letter] = field(default_factory=dict)
    answers: asyncio.Event | None = None

    async def write(self, _firm_id: UUID, work: Callable[[Any], T]) -> T:
        await asyncio.sleep(0)
        if self.failures or self.is_away:
            self.failures = max(0, self.failures - 1)
            raise Unavailable
        done = work(
            SimpleNamespace(outbox=self, deliveries=self, events=self, people=SimpleNamespace(active_admins=list))
        )
        if self.answers:
            await self.answers.wait()
        return done

    read = glance = write

    async def write_together(self, firm_id: UUID, work: Callable[..., Sequence[T | Exception]], task: object) -> T:
        return await by_itself(self, firm_id, work, task)

    async def ping(self) -> None:
        """Answer."""

    def claim(self, _now: datetime, limit: int, _token: UUID, *, rescue: bool, is_idle: bool) -> list[Letter]:
        self.claims += 1
        self.idle_claims.append(is_idle)
        ran_out = [letter for letter in self.due if letter.is_rescued]
        claimed = [*ran_out[:rescue], *(letter for letter in self.due if not letter.is_rescued)][:limit]
        self.due = [letter for letter in self.due if letter not in claimed]
        self.claimed |= {letter.delivery_id: letter for letter in claimed}
        return claimed

    def next_due(self) -> datetime | None:
        return self.next

    def mark_sent(self, delivery_ids: Sequence[UUID], _token: UUID, _at: datetime) -> int:
        return sum(self._settle(delivery_id, "sent") for delivery_id in delivery_ids)

    def postpone(self, delivery_id: UUID, _token: UUID, _until: datetime, _error: str) -> bool:
        return self._settle(delivery_id, "postponed")

    def fail(self, delivery_id: UUID, _token: UUID, _error: str) -> bool:
        return self._settle(delivery_id, "failed")

    def give_back(self, delivery_id: UUID, _token: UUID, _at: datetime, _error: str | None) -> bool:
        self.due.append(self.claimed[delivery_id])
        return self._settle(delivery_id, "given back")

    def of_lead(self, _lead_id: UUID) -> list[object]:
        return []

    def add(self, *facts: object) -> list[int]:
        return [1] * len(facts)

    def _settle(self, delivery_id: UUID, status: str) -> bool:
        if delivery_id == self.unlucky:
            raise ValueError("a bug")
        self.settled[str(delivery_id)] = status
        return not self.is_claim_lost


@dataclass
class Post:
    """A mailer that treats a letter as its recipient is to be treated; others arrive."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    now: int = 0
    most: int = 0
    tries: int = 0
    at_once: int = AT_ONCE

    async def send(self, letter: Letter) -> str:
        self.now += 1
        self.tries += 1
        self.most = max(self.most, self.now)
        try:
            await self.behaviours.get(letter.recipient, _arrive)()
        finally:
            self.now -= 1
        return "250 queued"


async def _arrive() -> None:
    await asyncio.sleep(0)


async def _hang() -> None:
    await asyncio.Event().wait()


async def _cancel() -> None:
    raise asyncio.CancelledError


def _waiting_for(event: asyncio.Event) -> Behaviour:
    async def behaviour() -> None:
        await event.wait()

    return behaviour


def _raising(error: Exception) -> Behaviour:
    async def behaviour() -> None:
        raise error

    return behaviour


@dataclass
class Works:
    """A running worker and what it works on."""

    outbox: Outbox
    post: Post
    logs: list[MutableMapping[str, Any]]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    swept: int = 0
    now: datetime = NOW

    @asynccontextmanager
    async def running(self, grace: float = 0.05, first_pause: float = 0.01) -> AsyncIterator[None]:
        owing = Owing(MailRules("example.com"), uuid4)
        dispatch = Dispatch(UUID(int=1), self.outbox, self.post, owing, lambda: self.now, uuid4, lambda: 0.0)
        app = cast(
            "App",
            SimpleNamespace(
                dispatch=dispatch, retention=SimpleNamespace(sweep=self.sweep, prune=_arrive, expire=_arrive)
            ),
        )
        async with running(app, self.wake, grace=grace, settling=0.1, first_pause=first_pause):
            yield

    async def sweep(self) -> int:
        self.swept += 1
        raise Unavailable

    def owe(self, recipient: str = "somebody@example.com", *, ran_out: bool = False) -> str:
        """Owe a letter, perhaps one whose claim ran out, and wake the worker."""
        owed = letter(delivery_id=uuid4(), recipient=recipient, is_rescued=ran_out)
        self.outbox.due.append(owed)
        self.wake.set()
        return str(owed.delivery_id)


@pytest.fixture
def works() -> Iterator[Works]:
    """A worker without anything to do."""
    with capture_logs() as logs:
        yield Works(Outbox(), Post(), logs)


async def until(condition: Callable[[], object]) -> None:
    """Let the worker work until something is so; fails after some seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0)


async def test_what_is_owed_before_the_start_goes_out(works: Works) -> None:
    """A delivery that an earlier process left is sent."""
    owed = works.owe()
    works.wake.clear()

    async with works.running():
        await until(lambda: works.outbox.settled)

    assert works.outbox.settled == {owed: "sent"}


async def test_a_commit_wakes_the_worker(works: Works) -> None:
    """What becomes due while the worker sleeps goes out at once, not at the next poll."""
    async with works.running():
        await until(lambda: works.outbox.claims)
        owed = works.owe()
        await until(lambda: works.outbox.settled)

    assert works.outbox.settled == {owed: "sent"}


async def test_an_idle_worker_sleeps(works: Works) -> None:
    """Nothing owed, nothing asked: one claim, and no other until something happens."""
    async with works.running():
        for _ in range(200):
            await asyncio.sleep(0)

    assert works.outbox.claims == 1


@pytest.mark.parametrize(
    "poison",
    [
        _hang,
        _cancel,
        _raising(RuntimeError("bug")),
        _raising(MemoryError()),
        _raising(UnicodeEncodeError("idna", "\u202c", 0, 1, "label")),
        _raising(TimeoutError()),
        _raising(DeliveryFailed("451 later", permanent=False)),
        _raising(DeliveryFailed("550 unknown", permanent=True)),
    ],
    ids=["hangs", "cancels", "bug", "memory", "unicode", "timeout", "transient", "permanent"],
)
async def test_no_letter_stops_the_next(works: Works, poison: Behaviour) -> None:
    """Whatever a letter does to the mailer, those after it go out."""
    works.post.behaviours["poison@example.com"] = poison
    works.owe("poison@example.com")

    async with works.running():
        await until(lambda: works.post.most)
        owed = works.owe()
        await until(lambda: works.outbox.settled.get(owed))

    assert works.outbox.settled[owed] == "sent"


async def test_slow_letters_take_places_and_not_all_of_them(works: Works) -> None:
    """With all places but one taken by letters that hang, a hundred others still go out through that one."""
    works.post.behaviours["slow@example.com"] = _hang
    for _ in range(AT_ONCE - 1):
        works.owe("slow@example.com")
    owed = [works.owe() for _ in range(100)]

    async with works.running():
        await until(lambda: len(works.outbox.settled) == len(owed))
        settled = dict(works.outbox.settled)

    assert settled == dict.fromkeys(owed, "sent")
    assert works.post.most == AT_ONCE


async def test_what_ended_its_process_is_tried_alone(works: Works) -> None:
    """Of the letters whose claims ran out each waits for the one before; new ones wait for none, and all go out."""
    held = asyncio.Event()
    works.post.behaviours["first"] = _waiting_for(held)

    async with works.running():
        first, *others = [works.owe("first", ran_out=True), *(works.owe(ran_out=True) for _ in range(3))]
        new = works.owe()
        await until(lambda: new in works.outbox.settled)
        alone = set(works.outbox.settled)
        held.set()
        await until(lambda: {first, *others} <= works.outbox.settled.keys())

    assert alone == {new}


async def test_a_worker_claims_idly_while_nothing_is_under_way(works: Works) -> None:
    """Only then no claim can be its own, whatever its clock says by now; one letter that is slow is enough."""
    arrived = asyncio.Event()
    works.post.behaviours["slow@example.com"] = _waiting_for(arrived)
    works.owe("slow@example.com")
    async with works.running():
        await until(lambda: works.post.now)
        works.owe()
        await until(lambda: len(works.outbox.settled) == 1)
        first, *meanwhile = works.outbox.idle_claims
        arrived.set()
        await until(lambda: len(works.outbox.settled) == 2)
        works.owe()
        await until(lambda: len(works.outbox.settled) == 3)
        *_, last = works.outbox.idle_claims

    assert (first, {*meanwhile}, last) == (True, {False}, True)


async def test_a_place_that_becomes_free_is_used_at_once(works: Works) -> None:
    """More letters than places: each that becomes free takes the next, and a claim takes many."""
    owed = [works.owe() for _ in range(10 * AT_ONCE)]

    async with works.running():
        await until(lambda: len(works.outbox.settled) == len(owed))

    assert works.post.most == AT_ONCE
    assert works.outbox.claims <= len(owed) / AT_ONCE


async def test_the_worker_outlives_the_database(works: Works) -> None:
    """A claim that fails is tried again after a while, and what is owed then goes out."""
    works.outbox.failures = 1
    owed = works.owe()

    async with works.running():
        await until(lambda: not works.outbox.failures)
        works.wake.set()
        await until(lambda: works.outbox.settled)

    assert works.outbox.settled == {owed: "sent"}


async def test_a_letter_that_cannot_be_settled_is_left_to_its_lease(works: Works) -> None:
    """When it cannot be written down how a letter went, the worker says so and goes on with the next."""
    unlucky = works.owe()
    works.outbox.unlucky = UUID(unlucky)

    async with works.running():
        await until(lambda: works.post.most)
        owed = works.owe()
        await until(lambda: works.outbox.settled.get(owed))

    assert unlucky not in works.outbox.settled
    assert [line["delivery_id"] for line in works.logs if line["event"] == "delivery_unsettled"] == [unlucky]


async def test_a_letter_in_flight_may_arrive_while_the_worker_stops(works: Works) -> None:
    """A stopping worker claims nothing more, and waits for what it is sending."""
    leave = asyncio.Event()

    async def arrive_late() -> None:
        await leave.wait()

    works.post.behaviours["late@example.com"] = arrive_late
    late = works.owe("late@example.com")

    async with works.running(grace=5):
        await until(lambda: works.post.now)
        asyncio.get_running_loop().call_later(0.01, leave.set)
    works.owe()

    assert works.outbox.settled == {late: "sent"}
    assert len(works.outbox.due) == 1


async def test_a_letter_that_hangs_does_not_keep_the_worker_from_stopping(works: Works) -> None:
    """After its time of grace a letter is broken off, and counts as tried, because it may have arrived."""
    works.post.behaviours["slow@example.com"] = _hang
    slow = works.owe("slow@example.com")

    async with asyncio.timeout(5):
        async with works.running(grace=0.01):
            await until(lambda: works.post.now)

    assert works.post.now == 0
    assert works.outbox.settled == {slow: "postponed"}


async def test_the_worker_stops_without_the_database(works: Works) -> None:
    """What was broken off, or waited, and cannot be written down is left to its lease, and the worker says so."""
    works.post.behaviours["slow@example.com"] = _hang
    owed = {works.owe("slow@example.com") for _ in range(AT_ONCE + 1)}

    async with asyncio.timeout(5):
        async with works.running(grace=0.01):
            await until(lambda: works.post.now == AT_ONCE)
            works.outbox.is_away = True

    assert works.outbox.settled == {}
    assert {line["delivery_id"] for line in works.logs if line["event"] == "delivery_unsettled"} == owed


async def test_what_waits_for_a_place_while_the_worker_stops_is_given_back(works: Works) -> None:
    """Letters that were claimed, and found no place before the stop, were never under way."""
    works.post.behaviours["slow@example.com"] = _hang
    slow = [works.owe("slow@example.com") for _ in range(AT_ONCE)]
    waiting = [works.owe() for _ in range(2)]

    async with works.running(grace=0.01):
        await until(lambda: works.post.now == AT_ONCE)

    assert works.outbox.settled == dict.fromkeys(slow, "postponed") | dict.fromkeys(waiting, "given back")
    assert works.post.tries == AT_ONCE


async def test_what_waited_too_long_is_not_sent_by_that_claim(works: Works) -> None:
    """A letter whose turn comes when its claim may be over is given back, and goes out by another claim."""
    held = asyncio.Event()
    works.post.behaviours["first@example.com"] = _waiting_for(held)
    first = [works.owe("first@example.com") for _ in range(AT_ONCE)]
    waiting = works.owe()

    async with works.running():
        await until(lambda: works.post.now == AT_ONCE)
        works.now += LEASE
        held.set()
        await until(lambda: works.outbox.settled.get(waiting))
        at_first = works.outbox.settled[waiting]
        await until(lambda: works.outbox.settled == dict.fromkeys([*first, waiting], "sent"))

    assert at_first == "given back"
    assert works.post.tries == AT_ONCE + 1


def test_a_claim_outlasts_the_longest_wait() -> None:
    """Letters that take as long as they may do not keep the last that was claimed with them from being sent."""
    assert (AHEAD - 1) * SEND_TIMEOUT < LONGEST_WAIT
    assert LONGEST_WAIT + SEND_TIMEOUT < LEASE - CLOCKS_DIFFER


async def test_what_is_claimed_while_the_worker_stops_is_given_back(works: Works) -> None:
    """Letters whose sending has not begun when the worker stops are due again at once, and never were under way."""
    owed = [works.owe() for _ in range(3)]
    works.outbox.answers = asyncio.Event()

    async with works.running(grace=5):
        await until(lambda: works.outbox.claims)
        asyncio.get_running_loop().call_later(0.01, works.outbox.answers.set)

    assert works.outbox.settled == dict.fromkeys(owed, "given back")
    assert works.post.tries == 0


async def test_nothing_goes_out_while_the_channel_is_down(works: Works) -> None:
    """Whoever meets a channel that is down is given back and nothing more is claimed, whatever comes in."""
    works.post.behaviours["somebody@example.com"] = _raising(ChannelDown("535 wrong password"))
    first = [works.owe() for _ in range(3)]

    async with works.running(first_pause=1000):
        await until(lambda: len(works.outbox.settled) == len(first))
        for _ in range(3):
            works.owe()
            await asyncio.sleep(2 * GATHERING)

    assert works.outbox.settled == dict.fromkeys(first, "given back")
    assert (works.outbox.claims, works.post.tries) == (1, 3)
    assert [line["reason"] for line in works.logs if line["event"] == "channel_paused"] == ["535 wrong password"]


async def test_a_channel_that_was_mended(works: Works) -> None:
    """A channel that is down is tried with one letter at a time; when one arrives, all go out, and none has failed."""
    works.post.behaviours["somebody@example.com"] = _raising(ChannelDown("535 wrong password"))
    owed = [works.owe() for _ in range(3 * AT_ONCE)]

    async with works.running():
        await until(lambda: works.post.tries == AT_ONCE)
        works.post.most = 0
        await until(lambda: works.post.tries >= AT_ONCE + 3)
        tried_with = works.post.most
        works.post.behaviours.clear()
        await until(lambda: works.outbox.settled == dict.fromkeys(owed, "sent"))

    assert tried_with == 1
    assert [line["event"] for line in works.logs if line["event"].startswith("channel")] == [
        "channel_paused",
        "channel_resumed",
    ]


async def test_a_refused_letter_does_not_prolong_a_pause(works: Works) -> None:
    """What is tried after a pause and fails for a reason of its own is followed at once by the next."""
    works.post.behaviours["down@example.com"] = _raising(ChannelDown("535 wrong password"))
    works.post.behaviours["gone@example.com"] = _raising(DeliveryFailed("550 unknown", permanent=True))
    works.owe("down@example.com")

    async with works.running():
        await until(lambda: works.outbox.settled)
        works.outbox.due.clear()
        gone, there = works.owe("gone@example.com"), works.owe()
        await until(lambda: works.outbox.settled.get(there))

    assert (works.outbox.settled[gone], works.outbox.settled[there]) == ("failed", "sent")


async def test_a_retry_wakes_the_worker_by_its_time(works: Works) -> None:
    """A delivery that is due soon is claimed then, without anybody waking the worker."""
    works.outbox.next = NOW + timedelta(milliseconds=600)

    async with works.running():
        await until(lambda: works.outbox.claims > 1)

    assert works.outbox.claims == 2


@pytest.mark.asvs("V16.2.5")
async def test_logs_carry_ids_and_no_address(works: Works) -> None:
    """Each outcome is one line that names the delivery and never the person."""
    works.post.behaviours["gone@example.com"] = _raising(DeliveryFailed("550 gone@example.com", permanent=True))
    works.post.behaviours["busy@example.com"] = _raising(DeliveryFailed("451 busy@example.com", permanent=False))
    owed = [works.owe(recipient) for recipient in ("gone@example.com", "busy@example.com", "there@example.com")]

    async with works.running():
        await until(lambda: len(works.outbox.settled) == len(owed))

    lines = {line["delivery_id"]: (line["event"], line["log_level"]) for line in works.logs if "delivery_id" in line}
    assert list(map(lines.get, owed)) == [
        ("delivery_failed", "error"),
        ("delivery_postponed", "warning"),
        ("delivery_sent", "info"),
    ]
    assert "@" not in str(works.logs)


async def test_whoever_lost_a_claim_says_just_that(works: Works) -> None:
    """What became of the delivery is another's to say; of this try, only whether the letter went out is known."""
    works.outbox.is_claim_lost = True
    works.post.behaviours["gone@example.com"] = _raising(DeliveryFailed("550 gone@example.com", permanent=True))
    works.post.behaviours["busy@example.com"] = _raising(DeliveryFailed("451 busy@example.com", permanent=False))
    owed = [works.owe(recipient) for recipient in ("gone@example.com", "busy@example.com", "there@example.com")]
    before = _counted("claim_lost")

    async with works.running():
        await until(lambda: len(works.outbox.settled) == len(owed))

    lines = [line for line in works.logs if line["event"].startswith("delivery_")]
    assert {line["delivery_id"]: line["was_sent"] for line in lines} == dict(
        zip(owed, (False, False, True), strict=True)
    )
    assert {(line["event"], line["log_level"]) for line in lines} == {("delivery_claim_lost", "warning")}
    assert _counted("claim_lost") == before + len(owed)


def _counted(outcome: str) -> float:
    labels = {"purpose": letter().purpose.value, "outcome": outcome}
    return REGISTRY.get_sample_value("leadintake_deliveries_total", labels) or 0


async def test_housekeeping_that_fails_is_no_reason_to_stop(works: Works) -> None:
    """A sweep that raises is written down, and mail goes out all the same."""
    async with works.running():
        await until(lambda: works.swept)
        works.owe()
        await until(lambda: works.outbox.settled)

    assert [line["job"] for line in works.logs if line["event"] == "housekeeping_failed"] == ["sweep"]


async def test_a_channel_that_is_down_is_tried_again_by_itself(works: Works) -> None:
    """The letter that met it goes out soon after it was mended, though nobody wakes the worker."""
    works.post.behaviours["somebody@example.com"] = _raising(ChannelDown("535 wrong password"))
    owed = works.owe()

    async with works.running():
        await until(lambda: works.outbox.settled)
        works.post.behaviours.clear()
        await until(lambda: works.outbox.settled == {owed: "sent"})

    assert [line["event"] for line in works.logs if line["event"].startswith("channel")] == [
        "channel_paused",
        "channel_resumed",
    ]


async def test_who_is_told_instead_is_told_at_once(works: Works) -> None:
    """What a letter that failed for good brings with it is looked for then, and not at the next poll."""
    works.post.behaviours["gone@example.com"] = _raising(DeliveryFailed("550 unknown", permanent=True))
    gone = works.owe("gone@example.com")

    async with works.running():
        await until(lambda: works.outbox.claims == 2)

    assert works.outbox.settled == {gone: "failed"}


async def test_attempts_are_counted_by_how_they_ended(works: Works) -> None:
    """Whoever watches the service sees that mail goes out, waits, fails, or cannot be written down."""
    works.post.behaviours["gone@example.com"] = _raising(DeliveryFailed("550 unknown", permanent=True))
    works.post.behaviours["busy@example.com"] = _raising(DeliveryFailed("451 later", permanent=False))
    works.outbox.unlucky = UUID(works.owe())
    for recipient in ("gone@example.com", "busy@example.com", "there@example.com"):
        works.owe(recipient)
    outcomes = ("sent", "postponed", "failed", "unsettled")
    before = [_counted(outcome) for outcome in outcomes]

    async with works.running():
        await until(lambda: [_counted(outcome) for outcome in outcomes] != before and len(works.outbox.settled) == 3)

    assert [_counted(outcome) for outcome in outcomes] == [number + 1 for number in before]


class Restless(Sender):
    """A worker that takes down for how long it would sleep, and looks again at once."""

    def __init__(self, dispatch: Dispatch, looks: int) -> None:
        super().__init__(dispatch, asyncio.Event(), first_pause=1)
        self.looks = looks
        self.pauses: list[float] = []

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.looks:
            self.stop()


async def test_a_database_that_is_away_is_asked_less_and_less(works: Works) -> None:
    """Twice as long after each failure, up to half a minute, and from the beginning once it has answered."""
    owing = Owing(MailRules("example.com"), uuid4)
    dispatch = Dispatch(UUID(int=1), works.outbox, works.post, owing, lambda: NOW, uuid4, lambda: 0.0)
    worker = Restless(dispatch, looks=9)
    works.outbox.failures = 7

    async def away_again() -> None:
        await until(lambda: len(worker.pauses) == 8)
        works.outbox.failures = 1

    await asyncio.gather(worker.run(1), away_again())

    assert worker.pauses == [1, 2, 4, 8, 16, 30, 30, 30, 1]


async def test_what_may_have_ended_a_process_waits_whatever_comes_in(works: Works) -> None:
    """While one whose claim ran out is under way, no claim takes the next, however often the worker is woken."""
    held = asyncio.Event()
    works.post.behaviours["first"] = _waiting_for(held)
    works.owe("first", ran_out=True)
    second = works.owe(ran_out=True)

    async with works.running():
        await until(lambda: works.post.now)
        new = [works.owe()]
        await until(lambda: new[0] in works.outbox.settled)
        new.append(works.owe())
        await until(lambda: new[1] in works.outbox.settled)
        meanwhile = set(works.outbox.settled)
        held.set()
        await until(lambda: second in works.outbox.settled)

    assert meanwhile == set(new)


async def test_the_worker_clears_away_all_that_is_no_longer_needed(works: Works) -> None:
    """Files without a lead, old keys and sessions, and leads whose time is over, from the start on."""
    done: list[str] = []

    def job(name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            done.append(name)

        return do

    owing = Owing(MailRules("example.com"), uuid4)
    dispatch = Dispatch(UUID(int=1), works.outbox, works.post, owing, lambda: NOW, uuid4, lambda: 0.0)
    retention = SimpleNamespace(sweep=job("sweep"), prune=job("prune"), expire=job("expire"))
    async with running(cast("App", SimpleNamespace(dispatch=dispatch, retention=retention)), works.wake):
        await until(lambda: len(done) == 3)

    assert sorted(done) == ["expire", "prune", "sweep"]


async def test_the_worker_says_when_it_looked_last(works: Works) -> None:
    """So an alarm can tell a worker that has nothing to send from one that hangs."""
    began = time.time()
    async with works.running():
        await until(lambda: works.outbox.claims)

    assert (REGISTRY.get_sample_value("leadintake_worker_heartbeat_timestamp_seconds") or 0) >= began


async def test_what_is_overdue_and_cannot_be_claimed_is_not_asked_for_without_end(works: Works) -> None:
    """A delivery that another has locked, or that waits for a rescue, is looked for again in half a second."""
    works.outbox.next = NOW - timedelta(minutes=1)

    async with works.running():
        for _ in range(200):
            await asyncio.sleep(0)

    assert works.outbox.claims == 1


async def test_a_place_that_becomes_free_while_the_worker_stops_is_not_taken(works: Works) -> None:
    """What waits then is given back, and not begun in the last moment, to be broken off and sent twice."""
    held = asyncio.Event()
    works.post.behaviours["slow@example.com"] = _waiting_for(held)
    slow = [works.owe("slow@example.com") for _ in range(AT_ONCE)]
    waiting = works.owe()

    async with works.running(grace=5):
        await until(lambda: works.post.now == AT_ONCE)
        asyncio.get_running_loop().call_later(0.01, held.set)

    assert works.outbox.settled == dict.fromkeys(slow, "sent") | {waiting: "given back"}
