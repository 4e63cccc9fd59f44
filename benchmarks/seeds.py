"""Data folders with many leads, kept from run to run because a million takes a minute or two to make."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.leads import A_YEAR, MICROSECONDS, Maker
from benchmarks.processes import NotMeasured
from benchmarks.prospects import prospects
from benchmarks.servers import peer, service
from leadintake.adapters.sql.migrate import HEAD

AT_ONCE = 20_000
BYTES_EACH = 2_500
HOUR = 3600 * MICROSECONDS
INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?, ?)"


def seeded(bench: Bench, leads: int) -> Path:
    """A data folder of the service with so many leads, of the last year."""
    return _kept(bench.out / "seeded" / f"service-{HEAD}-{leads}", leads, lambda folder: _seed(bench, folder, leads))


def seeded_peer(bench: Bench, leads: int) -> Path:
    """A folder of the peer with as many."""
    return _kept(bench.out / "seeded" / f"peer-{leads}", leads, lambda folder: _seed_peer(bench, folder, leads))


def _kept(folder: Path, leads: int, make: Callable[[Path], None]) -> Path:
    """A folder that was made whole before, or is made now; raises NotMeasured where the disk is too small for it."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder.parent).free < leads * BYTES_EACH:
            raise NotMeasured(f"{folder.parent} has no room for {leads:,} leads of {BYTES_EACH:,} bytes each.")
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
