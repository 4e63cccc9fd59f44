"""What the machine can do: files that are synced, and commits of the rows of leads."""

import itertools
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.leads import Maker

THREADS = 16
LEADS_A_COMMIT = 16
MOST_LEADS = 40_000


def synced_files(folder: Path, size: int, seconds: float, *, with_folder: bool) -> float:
    """Files a second: written, synced, renamed and, on request, their folder synced, by THREADS threads."""
    content = os.urandom(size)
    names = itertools.count()
    end = time.perf_counter() + seconds

    def work() -> int:
        done = 0
        while time.perf_counter() < end:
            part = folder / f"{next(names)}.part"
            with part.open("wb", buffering=0) as file:
                file.write(content)
                os.fsync(file.fileno())
            part.rename(part.with_suffix(".pdf"))
            if with_folder:
                sync_folder(folder)
            done += 1
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in range(THREADS)])
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    return done / seconds


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def batched_commits(database: Path, seconds: float) -> float:
    """Leads a second: their rows and nothing else, LEADS_A_COMMIT of them in each durable commit of one thread."""
    with closing(sqlite3.connect(database)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        ((admin_id,),) = connection.execute("SELECT id FROM users")
        ((last,),) = connection.execute("SELECT coalesce(max(id), 0) FROM events")
        maker = Maker(since=time.time_ns() // 1000, apart=1, admin_id=admin_id, event_id=last + 1)
        made = list(maker.batches(MOST_LEADS, LEADS_A_COMMIT))
        begin = time.perf_counter()
        done = 0
        while done < len(made) and time.perf_counter() - begin < seconds:
            with connection:
                made[done].insert(connection)
            done += 1
        return done * LEADS_A_COMMIT / (time.perf_counter() - begin)
