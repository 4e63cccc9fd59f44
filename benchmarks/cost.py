"""What one lead costs: bytes, syncs, SQL statements and requests to the object store, its two mails included."""

import asyncio
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tests import postgres, s3
from tests.relay import Relay

from benchmarks.bench import Bench
from benchmarks.engines import DURABLE, on_postgres
from benchmarks.load_process import loaded, settle
from benchmarks.processes import NotMeasured, Server
from benchmarks.rows import Row
from benchmarks.servers import service

PART = "cost"
LEADS, WARM_UP = 240, 32
ROUNDS = 3
SIZE = 100_000
SIZE_NOW = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
WAL_NOW = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
Found = dict[tuple[str, str], list[float]]
"""What is used for a lead and in which unit, and how much of it in each round."""

EVERYTHING = {**DURABLE, "log_statement": "all"}


def measure(bench: Bench) -> None:
    """On SQLite and a folder, then on PostgreSQL and S3."""
    found: Found = {}
    rounds = min(ROUNDS, bench.form.rounds)
    with service(bench.folder("cost/sqlite")) as server:
        _submit(server, WARM_UP)
        for _ in bench.each("cost: SQLite and a folder", range(rounds)):
            _bytes(server, found)
            for at_once in (1, 16):
                with _synced(server, bench.folder("cost/strace") / "calls") as seen:
                    _submit(server, LEADS, at_once)
                _note(found, f"syncs of files and folders, {at_once} at once", "calls", _calls(seen))
    _on_postgres(bench, rounds, found)
    bench.add(
        *(Row(PART, f"a lead of 100 KB: {what}", unit, values, better="less")
          for (what, unit), values in found.items())
    )  # fmt: skip


def _submit(server: Server, leads: int, at_once: int = 1) -> None:
    loaded(server, size=SIZE, requests=leads, connections=at_once)


def _note(found: Found, what: str, unit: str, used: float) -> None:
    found.setdefault((what, unit), []).append(used / LEADS)


def _bytes(server: Server, found: Found) -> None:
    settle(server)
    before = _pages(server.folder / "leadintake.db")
    _submit(server, LEADS, 16)
    _note(found, "bytes in SQLite", "KB", (_pages(server.folder / "leadintake.db") - before) / 1000)
    _note(found, "bytes of its file on the disk", "KB", _on_disk(server.uploads) / 1000)
    _note(found, "bytes of its mails on the disk", "KB", _on_disk(server.mails) / 1000)


def _pages(path: Path) -> int:
    """Bytes of a database, of which some may still be in its log."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        ((pages,),), ((size,),) = database.execute("PRAGMA page_count"), database.execute("PRAGMA page_size")
        return int(pages) * int(size)


def _on_disk(folder: Path) -> int:
    """Bytes in whole blocks; a block of stat is 512."""
    return sum(path.stat().st_blocks for path in folder.iterdir()) * 512


@contextmanager
def _synced(server: Server, into: Path) -> Iterator[Path]:
    """Have strace write down a server's syncs until the context ends; raises NotMeasured without it."""
    strace = shutil.which("strace")
    if strace is None:
        raise NotMeasured("strace, which counts syncs, is not installed. Debian has it: apt install strace")
    calls = "trace=fsync,fdatasync,syncfs,io_submit"
    command = [strace, "-f", "-e", calls, "-p", str(server.process.pid), "-o", str(into)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        if process.stderr is None or "attached" not in (said := process.stderr.readline()):
            raise NotMeasured(f"strace: {said}")
        try:
            yield into
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _calls(seen: Path) -> int:
    """How many syncs there were; one call may ask the kernel for several."""
    return len(re.findall(r"\bf(?:data)?sync\(|\bsyncfs\(|IOCB_CMD_FSYNC", seen.read_text()))


def _on_postgres(bench: Bench, rounds: int, found: Found) -> None:
    folder = bench.folder("cost/postgres")
    with (
        postgres.running(EVERYTHING) as database,
        s3.running(bench.folder("cost/store") / "s3") as store,
        _relayed(store.port) as relay,
    ):
        through = {**store.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
        settings = {**on_postgres(database), "LEADINTAKE_FILES": store.url(), **through}
        log, url = database.folder / "log.txt", database.url()
        with service(folder, **settings) as server:
            _submit(server, WARM_UP)
            for at_once in bench.rounds("cost: PostgreSQL and S3", (1, 16), rounds):
                statements, written, size = _statements(log), _ask(url, WAL_NOW), _ask(url, SIZE_NOW)
                relay.requests.clear()
                _submit(server, LEADS, at_once)
                how = f"{at_once} at once"
                _note(found, f"SQL statements, {how}", "statements", _statements(log) - statements)
                _note(found, f"log of PostgreSQL, {how}", "KB", (_ask(url, WAL_NOW) - written) / 1000)
                _note(found, f"requests to S3, {how}", "requests", len(relay.requests))
                _note(found, f"bytes in PostgreSQL, {how}", "KB", (_ask(url, SIZE_NOW) - size) / 1000)


def _ask(url: str, question: str) -> float:
    async def ask() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return float(asyncio.run(ask()))


def _statements(log: Path) -> int:
    """How many statements were logged so far, those that begin and end transactions among them."""
    return len(re.findall(r"LOG:  (?:execute|statement)", log.read_text()))


@contextmanager
def _relayed(port: int) -> Iterator[Relay]:
    """A relay to a port, in a thread of its own, which notes the requests that pass."""
    relay, loop = Relay(port), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(relay.start(), loop).result()
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
