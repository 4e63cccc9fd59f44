"""Several processes on one SQLite file: they write in turn, and hear of each other."""

import asyncio
import fcntl
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.deployment import soon
from tests.records import FIRST_FIRM, lead

from leadintake.adapters.sql.sqlite import SqliteDatabase
from leadintake.adapters.sql.turn import Turns
from leadintake.adapters.sql.watch import watched
from leadintake.application.ports.database import LeadQuery, Transaction
from leadintake.domain.errors import Unavailable


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The database, as a process of its own has it open: locks belong to whoever opened their file."""
    database = SqliteDatabase(path)
    try:
        yield database
    finally:
        await database.aclose()


def adding(number: int) -> Callable[[Transaction], None]:
    """Work that stores a lead."""
    return lambda tx: tx.leads.add(lead(number))


def hold(path: Path) -> None:
    """Take a turn and never end it."""
    with Turns(path, 1).one():
        signal.pause()


async def test_nobody_writes_out_of_turn(path: Path) -> None:
    """Of two that write all the time each has its turns, and while one has its own, nobody else can take one."""
    holders: list[str] = []

    def writing(who: str, number: int) -> Callable[[Transaction], None]:
        def work(tx: Transaction) -> None:
            with open(f"{path}-turn", "rb") as other, pytest.raises(BlockingIOError):  # noqa: PTH123 - no pathlib name
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holders.append(who)
            tx.leads.add(lead(number))

        return work

    async with opened(path) as one, opened(path) as two:
        for number in range(1, 61, 2):
            await asyncio.gather(
                one.write(FIRST_FIRM, writing("one", number)), two.write(FIRST_FIRM, writing("two", number + 1))
            )
        found = await one.read(FIRST_FIRM, lambda tx: tx.leads.count(LeadQuery(limit=100)))

    assert found == 60
    assert (holders.count("one"), holders.count("two")) == (30, 30)


async def test_a_turn_ends_with_its_process(path: Path) -> None:
    """A process that dies in its turn holds up nobody, and one that fails in it neither."""
    dying = multiprocessing.get_context("fork").Process(target=hold, args=(path,))
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(1))
        assert await asyncio.to_thread(lambda: Path(f"{path}-turn").stat().st_mode & 0o777) == 0o600
        dying.start()
        turns = Turns(path, 0)
        assert soon(lambda: not is_free(turns))
        writing = asyncio.ensure_future(database.write(FIRST_FIRM, adding(2)))
        await asyncio.sleep(0.05)
        assert not writing.done()
        assert dying.pid
        os.kill(dying.pid, signal.SIGKILL)
        await writing
        dying.join()
        with pytest.raises(ZeroDivisionError):
            await database.write(FIRST_FIRM, lambda _: 1 // 0)

        assert is_free(turns)
        turns.close()


def is_free(turns: Turns) -> bool:
    """Whether a turn can be had at once."""
    try:
        with turns.one():
            return True
    except TimeoutError:
        return False


def test_who_had_a_turn_lets_others_go_first(path: Path) -> None:
    """However long a turn takes, who asks for one gets it before a process that always has something to write."""
    taken, is_over = 0, threading.Event()

    def write_all_the_time() -> None:
        nonlocal taken
        turns = Turns(path, 5)
        while not is_over.is_set():
            with turns.one():
                taken += 1
                time.sleep(0.005)
        turns.close()

    busy, other = threading.Thread(target=write_all_the_time), Turns(path, 5)
    busy.start()
    waited: list[int] = []
    for _ in range(20):
        before = taken
        with other.one():
            waited.append(taken - before)
    is_over.set()
    busy.join()
    other.close()

    assert max(waited) <= 3


def test_turns_are_of_the_file_and_not_of_its_name(path: Path, tmp_path: Path) -> None:
    """A process that knows the database by another name waits for the same turns."""
    (tmp_path / "link.db").symlink_to(path)
    one, other = Turns(path, 0), Turns(tmp_path / "link.db", 0)
    with one.one():
        assert not is_free(other)

    assert is_free(other)


def test_what_root_makes_is_the_databases_owners(path: Path) -> None:
    """A command that root runs once must not take writing away from the service's user."""
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    assert is_free(Turns(path, 0))

    assert {Path(f"{path}{of}").stat().st_uid for of in ("", "-turn", "-door")} == {path.stat().st_uid}


def test_root_gives_away_nothing_that_was_there(path: Path, tmp_path: Path) -> None:
    """Else whoever owns the folder could put there another name of a file of root's, and be given that."""
    other = tmp_path / "other"
    other.write_text("of root")
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    was = other.stat().st_uid
    Path(f"{path}-turn").symlink_to(other)
    os.link(other, f"{path}-door")
    with pytest.raises(OSError, match="symbolic link"), Turns(path, 0).one():
        pass
    Path(f"{path}-turn").unlink()

    assert is_free(Turns(path, 0))
    assert other.stat().st_uid == was


@pytest.mark.attack(169)
async def test_a_turn_that_does_not_come(path: Path) -> None:
    """Where another process keeps its turn for too long, writing is refused and reading works; then all is well."""
    async with opened(path) as database:
        database._turns = Turns(path, patience=0.05)  # noqa: SLF001 - five seconds are long for a test
        other = Turns(path, 1)
        with other.one():
            with pytest.raises(Unavailable) as refused:
                await database.write(FIRST_FIRM, adding(1))
            assert str(refused.value.__cause__) == "Another process writes to the database."
            assert await database.read(FIRST_FIRM, lambda tx: tx.leads.count(LeadQuery())) == 0
        await database.write(FIRST_FIRM, adding(2))
        other.close()

        assert await database.read(FIRST_FIRM, lambda tx: tx.leads.count(LeadQuery())) == 1


async def test_another_process_is_heard(path: Path) -> None:
    """Whoever watches is woken when somebody else has committed, and not while nobody does."""
    woken = asyncio.Event()
    async with watched(path, woken.set), opened(path) as database:
        await asyncio.wait_for(woken.wait(), 10)  # Something may have been stored before.
        woken.clear()
        await asyncio.sleep(0.2)
        assert not woken.is_set()
        await database.write(FIRST_FIRM, adding(1))
        await asyncio.wait_for(woken.wait(), 10)


async def test_a_file_that_cannot_be_watched(tmp_path: Path) -> None:
    """Nothing depends on it: the log says so, and it is tried again."""
    with capture_logs() as logs:
        async with watched(tmp_path / "missing" / "leadintake.db", lambda: None):
            await asyncio.sleep(0.05)

    assert [line["event"] for line in logs] == ["watch_failed"]
