"""What is SQLite's own: how it is set, how commits are shared, and what happens when it cannot write."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.deployment import soon
from tests.practice import Practice
from tests.records import FIRST_FIRM, lead

from leadintake.adapters.sql import checkup
from leadintake.adapters.sql.sqlite import LARGEST_GROUP, SqliteDatabase
from leadintake.adapters.sql.sqlite_connections import engine
from leadintake.application.ports.database import LeadQuery, Transaction
from leadintake.domain.errors import Unavailable
from leadintake.domain.lead import Lead

NOT_NOW = 50
"""Milliseconds to wait for a lock that is not given back."""


class Broken(Exception):
    """What goes wrong in a transaction."""


class Spy:
    """The connections that have begun a transaction, how many commits there were, and what to do at such moments."""

    def __init__(self) -> None:
        self.begun: list[sqlite3.Connection] = []
        self.commits = 0
        self.at_begin: Callable[[sqlite3.Connection], object] = lambda _: None
        self.at_commit: Callable[[], object] = lambda: None

    def begin(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self.begun.append(driver)
        self.at_begin(driver)

    def commit(self, _: sa.Connection) -> None:
        self.at_commit()
        self.commits += 1

    def pragma(self, name: str) -> object:
        """A setting of the connection that began last."""
        return self.begun[-1].execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def spy() -> Iterator[Spy]:
    """Looks over the shoulder of every connection."""
    watching = Spy()
    sa.event.listen(sa.Engine, "begin", watching.begin)
    sa.event.listen(sa.Engine, "commit", watching.commit)
    yield watching
    sa.event.remove(sa.Engine, "begin", watching.begin)
    sa.event.remove(sa.Engine, "commit", watching.commit)


@asynccontextmanager
async def opened(path: Path, **options: bool) -> AsyncIterator[SqliteDatabase]:
    """A database, open until the context ends."""
    database = SqliteDatabase(path, **options)
    try:
        yield database
    finally:
        await database.aclose()


def adding(each: Lead) -> Callable[[Transaction], None]:
    """Work that stores a lead."""
    return lambda tx: tx.leads.add(each)


def failing(tx: Transaction) -> None:
    """Work that fails halfway."""
    tx.leads.add(lead(1000))
    raise Broken


async def at_once(database: SqliteDatabase, *works: Callable[[Transaction], None]) -> list[object]:
    """The answers to works that all wait while another transaction runs."""
    has_begun, may_go_on = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        has_begun.set()
        assert may_go_on.wait(10)

    first = asyncio.ensure_future(database.write(FIRST_FIRM, slow))
    await asyncio.to_thread(has_begun.wait, 10)
    writes = [asyncio.ensure_future(database.write(FIRST_FIRM, work)) for work in works]
    await asyncio.sleep(0)
    may_go_on.set()
    _, *answers = await asyncio.gather(first, *writes, return_exceptions=True)
    return [*answers]


async def stored(database: SqliteDatabase) -> list[int]:
    """The numbers of the leads there are."""
    found = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(limit=1000)))
    return sorted(view.id.int for view in found)


async def test_writer_settings(path: Path, spy: Spy) -> None:
    """The writer syncs each commit (2 is FULL), overwrites what it deletes, waits for a lock, writes the log back.

    It makes no temporary files (2 is MEMORY).
    """
    names = [
        "journal_mode", "synchronous", "foreign_keys", "secure_delete",
        "busy_timeout", "wal_autocheckpoint", "query_only", "temp_store",
    ]  # fmt: skip
    async with opened(path) as database:
        found = await database.write(FIRST_FIRM, lambda _: [spy.pragma(name) for name in names])

    assert found == ["wal", 2, 1, 1, 5000, 8000, 0, 2]


async def test_reader_settings(path: Path, spy: Spy) -> None:
    """A reader can change nothing, and never writes the log back."""
    async with opened(path) as database:
        found = await database.read(
            FIRST_FIRM, lambda _: [spy.pragma(name) for name in ("journal_mode", "query_only", "wal_autocheckpoint")]
        )
        with pytest.raises(Unavailable):
            await database.read(FIRST_FIRM, adding(lead()))

        assert found == ["wal", 1, 0]
        assert await stored(database) == []


async def test_waiting_transactions_share_a_commit(path: Path, spy: Spy) -> None:
    """What waits while another transaction runs is committed together, as many as a group may have at once."""
    async with opened(path) as database:
        failed, *others = await at_once(
            database, failing, *(adding(lead(number)) for number in range(1, LARGEST_GROUP + 10))
        )

        assert isinstance(failed, Broken)
        assert others == [None] * len(others)
        assert await stored(database) == [*range(1, LARGEST_GROUP + 10)]
    assert spy.commits == 4  # the slow one, a full group, the rest, and the reading


async def test_waiting_tasks_of_one_work_are_one_call(path: Path) -> None:
    """Tasks of the same work that wait together are one call of it, and each by itself where that fails."""
    calls: list[list[int]] = []

    def store(tx: Transaction, numbers: Sequence[int]) -> list[int]:
        calls.append([*numbers])
        if len(numbers) > 1 and 3 in numbers:
            raise Broken
        tx.leads.add(*map(lead, numbers))
        return [*numbers]

    async with opened(path) as database:
        together = await asyncio.gather(*(database.write_together(FIRST_FIRM, store, number) for number in (1, 2)))
        alone = await asyncio.gather(*(database.write_together(FIRST_FIRM, store, number) for number in (3, 4)))

        assert (together, alone) == ([1, 2], [3, 4])
        assert calls == [[1, 2], [3, 4], [3], [4]]
        assert await stored(database) == [1, 2, 3, 4]


@pytest.mark.attack(169)
async def test_locked_by_another_process(path: Path, spy: Spy) -> None:
    """While another process holds the lock for too long, writing is refused and reading works; then all is well."""
    spy.at_begin = lambda driver: driver.execute(f"PRAGMA busy_timeout={NOT_NOW}")
    async with opened(path) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await database.write(FIRST_FIRM, adding(lead(1)))
            with pytest.raises(Unavailable):
                await database.ping()
            assert await stored(database) == []
            other.execute("ROLLBACK")
        await database.write(FIRST_FIRM, adding(lead(2)))

        assert await stored(database) == [2]


def replaced(path: Path, replacement: bytes | None) -> Path:
    """Where a file is once it was moved away, and perhaps another put in its place."""
    moved = path.rename(path.with_name("moved.db"))
    if replacement is not None:
        path.write_bytes(replacement)
    return moved


@pytest.mark.parametrize("replacement", [None, b""])
async def test_a_file_that_was_moved_away(path: Path, replacement: bytes | None) -> None:
    """Nothing is written to a file that nobody will find again, nor to another one in its place."""
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead(1)))
        moved = replaced(path, replacement)
        with pytest.raises(Unavailable):
            await database.write(FIRST_FIRM, adding(lead(2)))
        with pytest.raises(Unavailable):
            await database.ping()
        await asyncio.to_thread(moved.replace, path)
        await database.write(FIRST_FIRM, adding(lead(3)))

        assert await stored(database) == [1, 3]


async def test_ping_writes(path: Path) -> None:
    """What takes no change is noticed: a file that is only read, and a disk that is full."""
    log = path.with_name(f"{path.name}-wal")
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead()))
        before = await asyncio.to_thread(log.stat)
        await database.ping()

        assert (await asyncio.to_thread(log.stat)).st_size > before.st_size


async def test_who_keeps_an_error_keeps_nothing_open(path: Path, spy: Spy) -> None:
    """The connection of a write that failed is closed: when the database is, its log is written back and gone."""
    spy.at_begin = lambda driver: driver.execute(f"PRAGMA busy_timeout={NOT_NOW}")
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead()))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable) as kept:
                await database.ping()

    assert str(kept.value.__cause__) == "database is locked"
    assert kept.value.__cause__
    assert kept.value.__cause__.__traceback__ is None
    assert not path.with_name(f"{path.name}-wal").exists()


async def test_closing_that_is_cancelled(path: Path) -> None:
    """What was asked for is done, and the file is let go, although nobody waits for it."""
    database = SqliteDatabase(path)
    may_go_on = threading.Event()
    writing = asyncio.ensure_future(database.write(FIRST_FIRM, lambda _: may_go_on.wait(10)))
    await asyncio.sleep(0.01)
    closing_it = asyncio.ensure_future(database.aclose())
    await asyncio.sleep(0.01)
    closing_it.cancel()
    may_go_on.set()

    assert await writing
    assert await asyncio.to_thread(soon, lambda: not path.with_name(f"{path.name}-wal").exists())


async def test_a_short_lock_is_waited_for(path: Path) -> None:
    """Another process that writes for a moment is waited for."""
    async with opened(path) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.ensure_future(database.write(FIRST_FIRM, adding(lead())))
            await asyncio.sleep(0.05)
            assert not writing.done()
            other.execute("COMMIT")
            await writing

        assert await stored(database) == [1]


@pytest.mark.attack(167)
@pytest.mark.parametrize("beside", [adding(lead(2)), failing])
async def test_full_disk(path: Path, spy: Spy, beside: Callable[[Transaction], None]) -> None:
    """When the disk is full, nothing of the moment is stored and everybody is told; with room again, all is well."""
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead(1)))
        # SQLite takes it for as many pages as there are.
        spy.at_begin = lambda driver: driver.execute("PRAGMA max_page_count=1")
        answers = await at_once(database, beside, adding(lead(3, notes="x" * 100_000)))
        spy.at_begin = lambda _: None

        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert await stored(database) == [1]
        await database.write(FIRST_FIRM, adding(lead(4)))
        assert await stored(database) == [1, 4]


def interrupt_after(driver: sqlite3.Connection, steps: int) -> None:
    """Let SQLite do some steps, of which a statement takes a dozen or more, and break off what it does then."""
    done = count(1)
    driver.set_progress_handler(lambda: next(done) == steps, 1)


@pytest.mark.asvs("V2.3.3")
async def test_an_interrupted_submission(path: Path, spy: Spy) -> None:
    """Wherever in its many steps SQLite is interrupted, a submission leaves nothing; the next try stores it whole."""
    async with opened(path) as database:
        practice = Practice(database)
        await practice.user()
        for steps in count(1, 13):
            spy.at_begin = partial(interrupt_after, steps=steps)
            [answer] = await asyncio.gather(practice.submit(key="key"), return_exceptions=True)
            spy.at_begin = lambda driver: driver.set_progress_handler(None, 0)
            if not isinstance(answer, Unavailable):
                break
            assert await database.read(FIRST_FIRM, lambda tx: tx.deliveries.count_unsettled()) == {}
            assert await practice.leads() == []
        [lead] = await practice.leads()

        assert steps > 300
        assert len(await practice.deliveries(lead.id)) == 2


def interrupt() -> None:
    """What SQLite does at a commit when the disk fails."""
    raise sqlite3.OperationalError("disk I/O error")


async def test_an_interrupted_commit(path: Path, spy: Spy) -> None:
    """A commit that fails stores nothing of anybody."""
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead(1)))
        spy.at_commit = interrupt
        answers = await at_once(database, adding(lead(2)), adding(lead(3)))
        spy.at_commit = lambda: None

        assert [type(answer) for answer in answers] == [Unavailable] * 2
        assert await stored(database) == [1]
        await database.write(FIRST_FIRM, adding(lead(4)))
        assert await stored(database) == [1, 4]


async def test_a_lost_transaction(path: Path, spy: Spy) -> None:
    """When SQLite gives a transaction up by itself, nobody who shared it is told that it went well."""

    def losing(tx: Transaction) -> None:
        tx.leads.add(lead(2))
        spy.begun[-1].execute("ROLLBACK")
        raise Broken

    async with opened(path) as database:
        answers = await at_once(database, adding(lead(1)), losing, adding(lead(3)))

        assert [type(answer) for answer in answers] == [Unavailable] * 3
        assert await stored(database) == []
        await database.write(FIRST_FIRM, adding(lead(4)))
        assert await stored(database) == [4]


@pytest.mark.parametrize("broken", ["sqlite_schema", "leads", "sqlite_autoindex_leads_3"])
async def test_broken_file(path: Path, broken: str) -> None:
    """A file that is damaged, anywhere, is a service that is not available, not an error of whoever asks."""
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", [broken]).fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (pages[0] - 1) if pages else 0)
        file.write(b"\x55" * 4096)
    async with opened(path) as database:
        with pytest.raises(Unavailable):
            await database.write(FIRST_FIRM, adding(lead()))


@pytest.mark.parametrize("name", ["", "missing/leadintake.db"])
async def test_no_file(tmp_path: Path, name: str) -> None:
    """Nor is one that cannot be opened."""
    async with opened(tmp_path / name) as database:
        with pytest.raises(Unavailable):
            await database.ping()
        with pytest.raises(Unavailable):
            await database.read(FIRST_FIRM, lambda tx: tx.leads.view(lead().id))


async def test_failures_are_logged_without_names(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is logged of a failure names nobody."""
    async with opened(path) as database:
        with pytest.raises(Unavailable):
            await database.read(FIRST_FIRM, adding(lead(first_name="Wilhelmina")))

    assert "database_read_failed" in caplog.text
    assert "readonly" in caplog.text
    assert "Wilhelmina" not in caplog.text


def test_an_error_names_nobody(path: Path) -> None:
    """What was to be stored is not in the text of the error, which a log may show."""
    failing = sa.text("INSERT INTO nowhere VALUES (:name)")
    with engine(path, None).connect() as connection, pytest.raises(sa.exc.OperationalError) as failed:
        connection.execute(failing, {"name": "Wilhelmina"})

    assert "no such table" in str(failed.value)
    assert "Wilhelmina" not in str(failed.value)


async def test_closing(path: Path) -> None:
    """What was asked for before is finished, and what comes after is refused instead of waiting for ever."""
    database = SqliteDatabase(path)
    writes = [asyncio.ensure_future(database.write(FIRST_FIRM, adding(lead(number)))) for number in range(1, 101)]
    reading = asyncio.ensure_future(stored(database))
    await asyncio.sleep(0)
    await database.aclose()

    assert await asyncio.gather(*writes) == [None] * 100
    assert isinstance(await reading, list)
    with pytest.raises(Unavailable):
        await database.write(FIRST_FIRM, adding(lead(101)))
    with pytest.raises(Unavailable):
        await stored(database)
    async with opened(path) as again:
        assert await stored(again) == [*range(1, 101)]
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}-turn", f"{path.name}-door"}


async def test_erasing_what_was_folded_otherwise(path: Path) -> None:
    """The search words of an erased lead go, even if an older Python folded its name to others than today's would."""
    async with opened(path) as database:
        await database.write(FIRST_FIRM, adding(lead()))
        with closing(sqlite3.connect(path)) as older, older:
            older.execute("UPDATE lead_words SET word = 'adda' WHERE word = 'ada'")
            older.execute("UPDATE leads SET words = replace(words, 'ada', 'adda')")
        await database.write(FIRST_FIRM, lambda tx: tx.leads.remove(tx.leads.get(lead().id)))

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM lead_words").fetchone() == (0,)


@pytest.mark.attack(176)
def test_a_file_system_that_cannot_share_memory() -> None:
    """A database that cannot have its log beside it, as on a network drive, is refused with what to do."""
    with sa.create_engine("sqlite://", poolclass=sa.NullPool).connect() as connection:
        why = checkup.obstacle(connection)

    assert why == "its file system cannot share memory: keep the data folder on a local disk"
