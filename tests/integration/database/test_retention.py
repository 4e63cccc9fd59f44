"""What is no longer needed is removed, and nothing else."""

import asyncio
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.practice import OPERATOR, PASSWORD, SWEEP_AFTER, Practice
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, lead

from leadintake.application.intake import KEY_LIFETIME
from leadintake.domain.people import SESSION_LIFETIME

MINUTE = timedelta(minutes=1)
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
