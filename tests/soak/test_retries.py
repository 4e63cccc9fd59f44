"""Mails that are not taken for days: when they are tried again, in which words, and who is told in the end."""

import random
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from tests.deployment import Deployment, parsed, running, soon
from tests.integration.test_end_to_end import ADMIN
from tests.smtp import Answer, Fault, MailServer
from tests.soak.clock import Clock
from tests.soak.ledger import Row, Scale
from tests.soak.setups import LOOKS_OFTEN, sent_to, submit
from tests.soak.store import Store

from leadintake.adapters.mail.message import HEADERS
from leadintake.adapters.sql.tables import EPOCH, MICROSECOND

ATTORNEY = "desk@firm.example"
FIRST, LONGEST, SPREAD, KEPT_FOR = timedelta(seconds=30), timedelta(hours=6), 0.2, timedelta(days=5)
"""The schedule, as docs/reliability.md promises it."""

LATER: tuple[Answer, ...] = (
    "450 4.2.0 Greylisted",
    "451 4.7.1 Try again later",
    "452 4.2.2 Mailbox full",
    "421 4.3.2 Closing",
    Fault.HANG_UP,
)
RESTARTS = 2


def delay_after(tries: int) -> timedelta:
    """How long to wait after so many tries, before chance comes in."""
    return LONGEST if tries > 20 else min(LONGEST, FIRST * 2 ** (tries - 1))


@dataclass(frozen=True)
class Try:
    """One try, as the mail server saw it: at some time within a step of the clock.

    The clock was not stopped for the first delivery that was due then, but `late` after that.
    """

    since: datetime
    until: datetime
    late: timedelta
    content: bytes = field(repr=False)


@dataclass
class Days:
    """Days that pass in steps, each to where something is due, and what the mail server sees of it."""

    clock: Clock
    mail: MailServer
    store: Store
    tries: dict[str, list[Try]] = field(default_factory=lambda: defaultdict(list))
    seen: int = 0

    def __post_init__(self) -> None:
        self.begin = self.since = self.clock.now()
        self.late = timedelta()

    def settle(self) -> None:
        """Wait until nothing is due."""
        assert soon(self._is_settled), "what is due is not tried"
        self._look()

    def _is_settled(self) -> bool:
        return all(status == "pending" and due > self.clock.now() for due, _, status in self.waiting())

    def waiting(self) -> list[tuple[datetime, int, str]]:
        """When each mail that is neither sent nor failed is due, how often it was tried, and its status."""
        statement = "SELECT due_at, attempts, status FROM deliveries WHERE due_at IS NOT NULL AND status <> 'sent'"
        return sorted(
            (EPOCH + due * MICROSECOND, attempts, status) for due, attempts, status in self.store.query(statement)
        )

    def step(self, late: float) -> None:
        """Let time pass until a bit after the next mail is due, by so much of how long it waits."""
        due, attempts, _ = self.waiting()[0]
        self._look()
        # No mail is so late that it would be too old, which it would not be tried at all for.
        last = self.begin + KEPT_FOR - timedelta(minutes=1)
        self.since = max(due, min(due + late * delay_after(attempts), last), self.clock.now())
        self.late = self.since - due
        self.clock.set(self.since)

    def _look(self) -> None:
        arrived, now = self.mail.mails[self.seen :], self.clock.now()
        self.seen += len(arrived)
        for one, content in zip(parsed([each.content for each in arrived]), arrived, strict=True):
            self.tries[one["Message-ID"]].append(Try(self.since, now, self.late, content.content))

    def problems(self, tries: list[Try], name: str) -> Iterator[str]:
        """What is wrong with when a mail was tried, that was given up in the end."""
        for number, (before, after) in enumerate(pairwise(tries), start=1):
            if after.until - before.since < (1 - SPREAD) * delay_after(number):
                yield f"{name}: try {number + 1} came too early: {before}, {after}"
            if after.since - before.until > (1 + SPREAD) * delay_after(number) + after.late:
                yield f"{name}: try {number + 1} came too late: {before}, {after}"
        if tries[-1].since > self.begin + KEPT_FOR + timedelta(minutes=1):
            yield f"{name}: tried for too long"
        if tries[-1].until + (1 + SPREAD) * LONGEST < self.begin + KEPT_FOR:
            yield f"{name}: given up too early"


@pytest.mark.promises("P8 P16")
def test_later_for_five_days(
    on_sqlite: Deployment, mail: MailServer, row: Row, scale: Scale, chance: random.Random
) -> None:
    """Five days of "later", by libfaketime: tries as scheduled, each in the same words; then an admin is told."""
    clock, store = Clock(on_sqlite.folder / "clock"), Store(on_sqlite.environ)
    deployment = replace(on_sqlite, program=LOOKS_OFTEN)
    deployment.environ.update(clock.environ, **sent_to(mail), LEADINTAKE_ATTORNEY_EMAIL=ATTORNEY)
    mail.always |= {"KEPT": LATER[0], f"KEPT TO:<{ADMIN}>": None}
    with running(deployment) as service:
        days = Days(clock, mail, store)
        for number in range(scale.late_leads):
            submit(service, f"late-{number}@client.example")
        days.settle()
        owed, restart_at = {one.message_id: one for one in store.owed()}, chance.sample(range(5, 30), RESTARTS)
        steps = 0
        while days.waiting():
            mail.always["KEPT"] = chance.choice(LATER)
            days.step(scale.late)
            days.settle()
            steps += 1
            if steps in restart_at:
                assert service.end(signal.SIGKILL) == {-signal.SIGKILL}
                service.start()
                days.settle()
        end = {one.message_id: one for one in store.owed()}
    given_up = {one: days.tries[one] for one in owed}
    told = [each for one, each in days.tries.items() if one not in owed]
    waits = [
        (after.since - before.since) / delay_after(number)
        for tries in given_up.values()
        for number, (before, after) in enumerate(pairwise(tries), start=1)
    ]
    row.trials, row.acknowledged = sum(map(len, given_up.values())), len(owed)
    row.faults = row.trials + RESTARTS
    row.lost = sum(end[one].status != "failed" for one in owed)
    row.note(f"{min(map(len, given_up.values()))} to {max(map(len, given_up.values()))} tries of each mail")
    row.note(f"waits of {min(waits):.2f} to {max(waits):.2f} of what is scheduled, to which the steps add {scale.late}")
    problems = [problem for one, tries in given_up.items() for problem in days.problems(tries, owed[one].recipient)]

    assert not problems, problems[:10]
    assert row.lost == 0
    assert max(waits) - min(waits) > SPREAD, "chance has no part in it"
    assert {one: end[one].attempts for one in owed} == {one: len(tries) for one, tries in given_up.items()}
    assert {len({each.content for each in tries}) for tries in given_up.values()} == {1}, "not the same words"
    assert [_headers_wrong(tries[0], days.begin) for tries in given_up.values()] == [[]] * len(owed)
    assert len(told) == scale.late_leads
    assert {parsed([one.content])[0]["To"] for [one] in told} == {ADMIN}


def _headers_wrong(first: Try, begin: datetime) -> list[str]:
    """Which headers of a mail are not as RFC 3834 and RFC 5322 have them."""
    [letter] = parsed([first.content])
    expected = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
    wrong = [name for name, value in expected.items() if letter[name] != value]
    if tuple(letter.keys()) != HEADERS:
        wrong.append(f"these: {letter.keys()}")
    if not begin - timedelta(seconds=1) <= letter["Date"].datetime <= first.until:
        wrong.append("Date")
    return wrong
