"""The sender: what is owed goes out as soon as it is due, and the log says what became of it."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime

import structlog
from prometheus_client import Counter, Gauge

from leadintake.application.dispatch import Dispatch
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import LEASE, Status
from leadintake.domain.errors import ChannelDown
from leadintake.entrypoints.circuit_breaker import CircuitBreaker

GATHERING = 0.05
"""Seconds between being woken and looking, so that one claim takes what many submissions of a rush hour owe.

With 0.02, and 16 clients, submissions cost a fourteenth more, as mails are claimed, synced and settled more often.
"""

LONGEST_SLEEP = 30.0
"""Seconds; how late at most a delivery goes out that another process asked for, such as the command line."""

SHORTEST_SLEEP = 0.5
"""Seconds; what is stored meanwhile wakes the worker, so this delays nothing."""

AHEAD = 3
"""Letters that may be claimed for each that may go out at once. The rest wait here, so that a claim takes many.

When letters were claimed as places became free, two or three at a time, a mail server got a third fewer under load.
"""

LONGEST_WAIT = LEASE / 2
"""For a place. Each letter before it may take SEND_TIMEOUT, and so may itself, and the claim still holds."""

LONGEST_BACK_OFF = 30.0

ENDS = {
    Status.SENT: (logging.INFO, "delivery_sent"),
    Status.PENDING: (logging.WARNING, "delivery_postponed"),
    Status.FAILED: (logging.ERROR, "delivery_failed"),
}

log = structlog.get_logger()
deliveries = Counter("leadintake_deliveries", "Attempts to send, by how they ended", ["purpose", "outcome"])
heartbeat = Gauge("leadintake_worker_heartbeat_timestamp_seconds", "When the worker last looked for something to send")


class Sender:
    """Claims deliveries a little ahead of those that go out, each by itself, so that a slow one delays no other."""

    def __init__(self, dispatch: Dispatch, wake: asyncio.Event, first_pause: float) -> None:
        self._dispatch = dispatch
        self._wake = wake
        self._breaker = CircuitBreaker(AHEAD * dispatch.mailer.at_once, first_pause)
        self._places = asyncio.Semaphore(dispatch.mailer.at_once)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._rescue: asyncio.Task[None] | None = None
        self._more_is_due = False
        self._is_stopping = False

    async def run(self, settling: float) -> None:
        """Send until stopped, whatever happens to a letter or to the database, then wait for the letters in flight.

        When this is cancelled, those still in flight are broken off, and have `settling` seconds to be written down.
        """
        failures = 0
        try:
            while not self._is_stopping:
                heartbeat.set_to_current_time()
                self._wake.clear()
                try:
                    pause = self._breaker.pause_left or await self._start_what_is_due()
                    failures = 0
                except Exception:
                    log.exception("outbox_unavailable")
                    pause = min(LONGEST_BACK_OFF, 2.0**failures)
                    failures += 1
                await self._sleep(pause)
            if self._in_flight:
                await asyncio.wait(self._in_flight)
        finally:
            for patience in (settling, None):
                for task in self._in_flight:
                    task.cancel()
                if self._in_flight:
                    await asyncio.wait(self._in_flight, timeout=patience)

    def stop(self) -> None:
        """Claim nothing more."""
        self._is_stopping = True
        self._wake.set()

    async def _start_what_is_due(self) -> float:
        """Start as many letters as there is room for; returns the seconds until there may be more to do.

        Of those whose claims ran out, the next is taken when the one before is settled: had it ended the process, it
        would have been alone.
        """
        self._more_is_due = self._has_enough()
        if self._more_is_due:
            return LONGEST_SLEEP
        capacity, now = self._breaker.capacity, self._dispatch.now()
        room = capacity - len(self._in_flight)
        claimed = await self._dispatch.claim(room, rescue=self._rescue is None, is_idle=not self._in_flight)
        if claimed and self._is_stopping:
            await self._dispatch.give_back(claimed)
            return 0
        for letter in claimed:
            task = asyncio.create_task(self._send_in_turn(letter, capacity, now))
            self._in_flight.add(task)
            task.add_done_callback(self._make_room)
            if letter.is_rescued:
                self._rescue = task
        self._more_is_due = len(claimed) == room
        if self._more_is_due:
            return LONGEST_SLEEP if self._has_enough() else 0
        if self._wake.is_set():  # There is more already, so when the next is due does not matter.
            return LONGEST_SLEEP
        due = await self._dispatch.next_due()
        until_due = (due - self._dispatch.now()).total_seconds() if due else LONGEST_SLEEP
        return min(max(until_due, SHORTEST_SLEEP), LONGEST_SLEEP)

    def _has_enough(self) -> bool:
        """Whether nothing has to be claimed until half of the letters are out. More is claimed while the others go."""
        return len(self._in_flight) > self._breaker.capacity // 2

    def _make_room(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if task is self._rescue:
            self._rescue = None
            self._wake.set()
        if self._more_is_due and not self._has_enough():
            self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                if not self._more_is_due:  # Else the place that was waited for would stay empty.
                    await asyncio.sleep(GATHERING)
        except TimeoutError:
            pass

    async def _send_in_turn(self, letter: Letter, capacity: int, claimed_at: datetime) -> None:
        """Send a letter once there is a place for it, or give it back when nothing goes out by then, or it took long.

        Whoever slept through a lease, such as a machine that was suspended, must not send what others have sent since.
        Nor may what was claimed for a larger `capacity` go out beside the one letter that tries a channel.
        """
        with suppress(asyncio.CancelledError):  # While it waits; from then on, `_send` sees to that.
            async with self._places:
                is_open = not self._is_stopping and not self._breaker.pause_left and capacity <= self._breaker.capacity
                if is_open and self._dispatch.now() - claimed_at < LONGEST_WAIT:
                    await self._send(letter)
                    return
        try:
            await self._dispatch.give_back([letter])
            self._wake.set()  # It is due again.
        except (Exception, asyncio.CancelledError):
            log.exception("delivery_unsettled", delivery_id=str(letter.delivery_id))

    async def _send(self, letter: Letter) -> None:
        facts = {
            "delivery_id": str(letter.delivery_id),
            "lead_id": str(letter.lead_id),
            "purpose": letter.purpose.value,
            "attempt": letter.attempt,
        }
        try:
            try:
                outcome = await self._dispatch.deliver(letter)
            except asyncio.CancelledError:
                outcome = await self._dispatch.break_off(letter)
        except ChannelDown as down:
            self._breaker.went_down(down.reason)
            self._wake.set()  # It is due again, which it was not when the worker went to sleep.
            return
        except (Exception, asyncio.CancelledError):
            log.exception("delivery_unsettled", **facts)
            deliveries.labels(letter.purpose.value, "unsettled").inc()
            return
        if outcome.status is Status.SENT:  # A refusal often repeats the address; it is kept with the delivery.
            self._breaker.worked()
            facts["answer"] = outcome.answer
        if not outcome.is_settled:
            log.warning("delivery_claim_lost", was_sent=outcome.status is Status.SENT, **facts)
            deliveries.labels(letter.purpose.value, "claim_lost").inc()
            return
        if outcome.status is Status.FAILED:
            self._wake.set()  # An admin may have to be told instead.
        level, event = ENDS[outcome.status]
        log.log(level, event, **facts)
        deliveries.labels(letter.purpose.value, event.removeprefix("delivery_")).inc()
