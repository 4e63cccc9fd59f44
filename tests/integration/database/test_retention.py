"""What is no longer needed is removed, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import MemoryFiles
from tests.practice import OPERATOR, PASSWORD, SWEEP_AFTER, Practice
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, lead

from leadintake.application.desk import Change
from leadintake.application.intake import KEY_LIFETIME
from leadintake.application.ports.database import Transaction
from leadintake.application.retention import PORTION
from leadintake.domain.errors import NotFound
from leadintake.domain.events import SYSTEM, EventKind
from leadintake.domain.lead import State
from leadintake.domain.people import SESSION_LIFETIME, Role, User

MINUTE = timedelta(minutes=1)
KEEP_FOR = timedelta(days=90)
REACH_OUT = Change(state=State.REACHED_OUT)
MOMENT = timedelta(microseconds=1)
ORPHANS = 501


async def test_orphans_are_swept(practice: Practice) -> None:
    """A file that no lead refers to goes when it is older than the limit, and not before (P4)."""
    practice.files.kept["young.pdf"] = (b"", NOW - SWEEP_AFTER)
    practice.files.kept["old.pdf"] = (b"", NOW - SWEEP_AFTER - MOMENT)
    practice.files.kept["old.part"] = (b"", NOW - SWEEP_AFTER - MINUTE)

    assert await practice.retention.sweep() == 2
    assert practice.files.kept.keys() == {"young.pdf"}
    assert await practice.retention.sweep() == 0


@pytest.mark.parametrize("ahead", [-2 * SWEEP_AFTER, 2 * SWEEP_AFTER], ids=["behind", "ahead"])
async def test_no_clock_makes_a_young_file_old(practice: Practice, ahead: timedelta) -> None:
    """Neither the worker's nor the store's, whichever is wrong: the lead of the file is about to be stored (P4)."""
    practice.files.clock = lambda: practice.clock() - ahead
    practice.files.kept["young.pdf"] = (b"", practice.files.clock())

    assert await practice.retention.sweep() == 0


async def test_no_file_of_another_database_is_swept(practice: Practice) -> None:
    """What is older than the database has its lead elsewhere: nobody loses it who starts with a new database."""
    created_at = await practice.database.read(FIRST_FIRM, lambda tx: tx.database_created_at())
    practice.files.kept["before.pdf"] = (b"", created_at - MOMENT)
    practice.files.kept["since.pdf"] = (b"", created_at)

    assert [path async for path in practice.retention.older_files()] == ["before.pdf"]
    assert await practice.retention.sweep() == 1
    assert practice.files.kept.keys() == {"before.pdf"}


async def test_a_file_that_stays_keeps_no_other(practice: Practice) -> None:
    """Nor a lead from being erased: its file goes with a later sweep."""
    receipt, _ = await practice.submit()
    practice.files.kept |= dict.fromkeys(("a.pdf", "b.pdf"), (b"", NOW - 2 * SWEEP_AFTER))
    practice.files.stuck = {"a.pdf", *practice.files.kept.keys() - {"b.pdf"}}
    await practice.desk.erase(OPERATOR, receipt.id)
    swept = await practice.retention.sweep()
    practice.files.stuck = set()
    practice.clock.advance(2 * SWEEP_AFTER)

    assert swept == 1
    assert await practice.retention.sweep() == 2
    assert practice.files.kept == {}


async def test_used_files_stay(practice: Practice) -> None:
    """The file of a lead stays however old it is, among as many others as there may be, and whichever firm's it is."""
    await practice.submit()
    await practice.database.write(SECOND_FIRM, lambda tx: tx.leads.add(lead(10**6)))
    practice.files.kept[lead(10**6).resume.path] = (b"", NOW)
    used = set(practice.files.kept)
    for number in range(ORPHANS):
        practice.files.kept[f"{number}.pdf"] = (b"", NOW)
    practice.clock.advance(timedelta(days=3650))

    assert await practice.retention.sweep() == ORPHANS
    assert practice.files.kept.keys() == used


async def test_what_was_erased_is_swept(practice: Practice) -> None:
    """A file that could not be removed with its lead is removed later."""
    receipt, _ = await practice.submit()
    await practice.database.write(FIRST_FIRM, lambda tx: tx.leads.remove(tx.leads.get(receipt.id)))
    practice.clock.advance(SWEEP_AFTER + MOMENT)

    assert await practice.retention.sweep() == 1


@pytest.mark.long
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["submit", "sweep", "wait"]), st.integers(0, 5)), max_size=12))
async def test_no_sweep_takes_a_leads_file(practice: Practice, steps: list[tuple[str, int]]) -> None:
    """However submissions and sweeps run into each other, every lead has its file (P4)."""
    running: list[asyncio.Future[object]] = []
    for step, turns in steps:
        if step == "submit":
            running.append(asyncio.ensure_future(practice.submit()))
        elif step == "sweep":
            running.append(asyncio.ensure_future(practice.retention.sweep()))
        else:
            practice.clock.advance(SWEEP_AFTER / 8)
        for _ in range(turns):
            await asyncio.sleep(0)
    await asyncio.gather(*running)

    assert {view.resume_path for view in await practice.leads()} == practice.files.kept.keys()


async def test_old_sessions_are_forgotten(practice: Practice) -> None:
    """Sessions are forgotten after twelve hours; younger ones stay."""
    user = await practice.user()
    await practice.accounts.sign_in(user.email, PASSWORD)
    practice.clock.advance(SESSION_LIFETIME + MOMENT)
    await practice.accounts.sign_in(user.email, PASSWORD)
    await practice.retention.prune()

    assert await practice.staff.end_sessions(OPERATOR, user.email) == 1


async def test_old_keys_are_forgotten(practice: Practice) -> None:
    """A key is forgotten after a day, and its lead stays."""
    await practice.submit(key="key")
    practice.clock.advance(KEY_LIFETIME)
    await practice.retention.prune()
    _, is_repeat = await practice.submit(key="key")
    practice.clock.advance(MOMENT)
    await practice.retention.prune()
    practice.clock.at = NOW
    _, is_repeat_later = await practice.submit(key="key")

    assert (is_repeat, is_repeat_later) == (True, False)
    assert len(await practice.leads()) == 2


@dataclass
class Interrupted(MemoryFiles):
    """Files of which the first one takes so long to remove that something else happens meanwhile."""

    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    async def remove(self, path: str) -> None:
        if self.meanwhile:
            await self.meanwhile.pop()()
        await super().remove(path)


@pytest.fixture
def forgetful(practice: Practice) -> Practice:
    """A practice that keeps leads for 90 days."""
    practice.keep_for = KEEP_FOR
    return practice


async def ids(practice: Practice) -> set[UUID]:
    """The leads there are outside of quarantine."""
    return {view.id for view in await practice.leads()}


async def answered(practice: Practice, user: User) -> UUID:
    """A lead that was reached out to."""
    receipt, _ = await practice.submit(first_name="Wilhelmina")
    await practice.desk.change(user, receipt.id, REACH_OUT)
    return receipt.id


@pytest.mark.asvs("V14.2.7")
async def test_a_lead_is_erased_when_its_time_is_over(forgetful: Practice) -> None:
    """A lead that was reached out to goes after so many days, and not a moment before; what stays is who did what."""
    user = await forgetful.user()
    lead_id = await answered(forgetful, user)
    until = forgetful.retention.kept_until(await forgetful.desk.view(user, lead_id))
    forgetful.clock.advance(KEEP_FOR)

    assert until == forgetful.clock()
    assert await forgetful.retention.expire() == 0

    forgetful.clock.advance(MOMENT)

    assert await forgetful.retention.expire() == 1
    events = await forgetful.desk.events(user, lead_id)
    assert [event.kind for event in events] == [EventKind.SUBMITTED, EventKind.REACHED_OUT, EventKind.ERASED]
    assert (events[-1].actor, events[-1].at) == (SYSTEM, forgetful.clock())
    assert "Wilhelmina" not in repr(events)
    assert forgetful.files.kept == {}
    assert await forgetful.deliveries(lead_id) == []
    assert await forgetful.retention.expire() == 0
    with pytest.raises(NotFound):
        await forgetful.desk.view(user, lead_id)


async def test_a_change_begins_the_time_anew(forgetful: Practice) -> None:
    """A lead that somebody works on stays."""
    user = await forgetful.user()
    lead_id = await answered(forgetful, user)
    forgetful.clock.advance(KEEP_FOR)
    await forgetful.desk.change(user, lead_id, Change(notes="Called again."))
    forgetful.clock.advance(KEEP_FOR)

    assert await forgetful.retention.expire() == 0

    forgetful.clock.advance(MOMENT)

    assert await forgetful.retention.expire() == 1


@pytest.mark.asvs("V14.2.7")
async def test_nobody_who_waits_is_forgotten(forgetful: Practice) -> None:
    """A lead that waits for an answer stays, however long that takes, and also when it came from quarantine."""
    user = await forgetful.user(Role.ADMIN)
    waiting, _ = await forgetful.submit()
    released, _ = await forgetful.submit(trap="filled in")
    await forgetful.desk.release(user, released.id)
    forgetful.clock.advance(timedelta(days=3650))

    assert await forgetful.retention.expire() == 0
    assert await ids(forgetful) == {waiting.id, released.id}
    assert forgetful.retention.kept_until(await forgetful.desk.view(user, waiting.id)) is None


@pytest.mark.asvs("V14.2.7")
async def test_what_was_left_in_quarantine_goes_too(forgetful: Practice) -> None:
    """It is discarded as an attorney would have done, and the record says why it was there."""
    user = await forgetful.user()
    receipt, _ = await forgetful.submit(trap="filled in")
    forgetful.clock.advance(KEEP_FOR + MOMENT)

    assert await forgetful.retention.expire() == 1
    assert forgetful.files.kept == {}
    event = (await forgetful.desk.events(user, receipt.id))[-1]
    assert (event.kind, event.actor) == (EventKind.DISCARDED, SYSTEM)
    assert event.data == {"reference": receipt.reference, "quarantine": "trap no-ticket"}


async def test_nothing_is_erased_unless_asked_for(practice: Practice) -> None:
    """Without a time to keep leads for, each is kept for ever."""
    user = await practice.user()
    lead_id = await answered(practice, user)
    practice.clock.advance(timedelta(days=36_500))

    assert await practice.retention.expire() == 0
    assert practice.retention.kept_until(await practice.desk.view(user, lead_id)) is None


@pytest.mark.long
async def test_all_go_in_the_end_and_each_once(forgetful: Practice) -> None:
    """However many are due, and though two workers begin at the same moment, each is erased by one of them."""
    due = [lead(number, state=State.REACHED_OUT) for number in range(1, PORTION + 6)]
    waiting, late = lead(1000), lead(1001, state=State.REACHED_OUT, updated_at=NOW + timedelta(days=1))

    def add_all(tx: Transaction) -> None:
        for each in (*due, waiting, late):
            tx.leads.add(each)

    await forgetful.database.write(FIRST_FIRM, add_all)
    forgetful.clock.advance(KEEP_FOR + MOMENT)
    erased = await asyncio.gather(forgetful.retention.expire(), forgetful.retention.expire())

    assert sum(erased) == len(due)
    assert await ids(forgetful) == {waiting.id, late.id}


async def test_what_is_due_is_told_before(forgetful: Practice) -> None:
    """As many are named as go, up to a number, and none goes for it; where nothing is set, none."""
    user = await forgetful.user()
    for _ in range(3):
        await answered(forgetful, user)
    await forgetful.submit()
    early = await forgetful.retention.count_expired(9)
    forgetful.clock.advance(KEEP_FOR + MOMENT)
    due = [await forgetful.retention.count_expired(at_most) for at_most in (2, 9)]
    unset = await replace(forgetful.retention, keep_for=None).count_expired(9)

    assert (early, due, unset) == (0, [2, 3], 0)
    assert await forgetful.retention.expire() == 3


async def test_what_changes_meanwhile_stays(forgetful: Practice) -> None:
    """A lead that somebody changes between being found and being erased is kept, and the others are erased."""
    user = await forgetful.user()
    forgetful.files = files = Interrupted(clock=forgetful.clock)
    found = [await answered(forgetful, user) for _ in range(3)]
    forgetful.clock.advance(KEEP_FOR + MOMENT)
    kept: list[UUID] = []

    async def change_one() -> None:
        left = (await ids(forgetful)) & set(found)
        kept.append(min(left))
        await forgetful.desk.change(user, kept[0], Change(notes="Not yet."))

    files.meanwhile.append(change_one)

    assert await forgetful.retention.expire() == 2
    assert await ids(forgetful) == set(kept)
    assert len(files.kept) == 1


async def test_a_lead_in_quarantine_says_until_when_it_is_kept(forgetful: Practice) -> None:
    """It goes like one that was answered, so whoever looks at it is told of that before."""
    user = await forgetful.user()
    receipt, _ = await forgetful.submit(trap="filled in")

    assert forgetful.retention.kept_until(await forgetful.desk.view(user, receipt.id)) == NOW + KEEP_FOR
