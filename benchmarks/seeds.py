"""Data folders with many leads, kept from run to run because a million takes a minute or two to make."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.leads import A_YEAR, MICROSECONDS, Maker
from benchmarks.prospects import prospects
from benchmarks.servers import peer, service
from leadintake.adapters.sql.migrate import HEAD

AT_ONCE = 20_000
BYTES_EACH, BYTES_EACH_OF_PEER = 2_200, 350
HOUR = 3600 * MICROSECONDS
INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?, ?)"


def seeded(bench: Bench, leads: int) -> Path:
    """A data folder of the service with so many leads, of the last year; those of other tables are of no more use."""
    for folder in (bench.out / "seeded").glob(f"service-*-{leads}"):
        if folder != _folder(bench.out, leads):
            shutil.rmtree(folder)
    return _kept(_folder(bench.out, leads), lambda folder: _seed(bench, folder, leads))


def seeded_peer(bench: Bench, leads: int) -> Path:
    """A folder of the peer with as many."""
    return _kept(_peer_folder(bench.out, leads), lambda folder: _seed_peer(bench, folder, leads))


def bytes_to_make(out: Path, numbers: Sequence[int]) -> int:
    """How many bytes the leads need that are not there from an earlier run."""
    ours = sum(leads for leads in numbers if not _folder(out, leads).exists())
    theirs = sum(leads for leads in numbers[1:3] if not _peer_folder(out, leads).exists())
    return ours * BYTES_EACH + theirs * BYTES_EACH_OF_PEER


def _folder(out: Path, leads: int) -> Path:
    return out / "seeded" / f"service-{HEAD}-{leads}"


def _peer_folder(out: Path, leads: int) -> Path:
    return out / "seeded" / f"peer-{leads}"


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that was made whole before, or is made now."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        make(unfinished)
        unfinished.rename(folder)
    return folder


def _fast(path: Path) -> sqlite3.Connection:
    """A connection that trusts that nothing crashes: what is broken off is made again."""
    connection = sqlite3.connect(path)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _seed(bench: Bench, folder: Path, leads: int) -> None:
    with service(folder):
        pass
    with closing(_fast(folder / "leadintake.db")) as database:
        ((admin_id,),) = database.execute("SELECT id FROM users")
        indexes = database.execute(INDEXES, ("leads", "events", "deliveries")).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        since = time.time_ns() // 1000 - A_YEAR - HOUR
        batches = Maker(since=since, apart=A_YEAR // leads, admin_id=admin_id).batches(leads, AT_ONCE)
        steps = range(-(-leads // AT_ONCE))
        for _, rows in zip(bench.each(f"seeding {leads:,} leads", steps), batches, strict=True):
            rows.insert(database)
        for _, statement in bench.each("indexing them", indexes):
            database.execute(statement)
        database.commit()
        database.execute("PRAGMA journal_mode=WAL").fetchall()


def _seed_peer(bench: Bench, folder: Path, leads: int) -> None:
    with peer(folder):
        pass
    begin = time.time() - (A_YEAR + HOUR) / MICROSECONDS
    apart = A_YEAR / MICROSECONDS / leads
    people = enumerate(prospects(leads))
    with closing(_fast(folder / "leads.db")) as database:
        for _ in bench.each(f"seeding {leads:,} leads of the peer", range(-(-leads // AT_ONCE))):
            database.executemany(
                "INSERT INTO leads (id, first_name, last_name, email, resume, state, created_at)"
                " VALUES (?, ?, ?, ?, ?, 'PENDING', ?)",
                (
                    (f"{number:032x}", *person, f"{number:032x}.pdf", _moment(begin + number * apart))
                    for number, person in islice(people, AT_ONCE)
                ),
            )
        database.commit()


def _moment(seconds: float) -> str:
    """A moment as SQLAlchemy writes it into SQLite."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
