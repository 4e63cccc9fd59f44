"""The database goes away under load, and comes back."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deployment import Deployment, Running, running, soon
from tests.postgres import Postgres
from tests.relay import Relay
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects
from tests.soak.setups import OnPostgres
from tests.soak.store import Store

RECOVERED = 10.0
"""Seconds in which all works again."""


@dataclass(frozen=True)
class Network:
    """The way to PostgreSQL, in a thread of its own, which can be cut or made to swallow everything."""

    relay: Relay
    loop: asyncio.AbstractEventLoop

    def fail(self, how: str) -> None:
        """Refuse all connections, or take everything and bring nothing."""
        if how == "dropped":
            asyncio.run_coroutine_threadsafe(self.relay.stop(), self.loop).result(10)
        else:
            self.loop.call_soon_threadsafe(self.relay.flows.clear)

    def mend(self, how: str) -> None:
        """Let everything pass again."""
        if how == "dropped":
            asyncio.run_coroutine_threadsafe(self.relay.start(), self.loop).result(10)
        else:
            self.loop.call_soon_threadsafe(self.relay.flows.set)


@contextmanager
def network(to_port: int) -> Iterator[Network]:
    """A way to a port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="network")
    thread.start()
    relay = Relay(to_port)
    asyncio.run_coroutine_threadsafe(relay.start(), loop).result(10)
    try:
        yield Network(relay, loop)
    finally:
        asyncio.run_coroutine_threadsafe(relay.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.attack(170)
@pytest.mark.promises("P11")
@pytest.mark.parametrize("how", ["dropped", "black_holed"])
def test_postgres_is_away(on_postgres: OnPostgres, server: Postgres, row: Row, scale: Scale, how: str) -> None:
    """PostgreSQL is away under load: 503 with Retry-After; server and worker stay up, and recover by themselves."""
    store = Store({"DATABASE_URL": server.url()})
    with network(server.port) as way:
        deployment = on_postgres(1, 1)
        deployment.environ["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{way.relay.port}/postgres"
        with running(deployment) as service:
            prospects = Prospects(lambda: service.servers[0].port, clients=8)
            with prospects.sending(200):
                soon(lambda: len(prospects.acknowledged) > 50)
                way.fail(how)
                time.sleep(scale.away)
                refused = dict(prospects.answers)
                way.mend(how)
                _recovers(row, prospects, lambda: _sent(store))
            assert all(one.popen.poll() is None for one in (*service.servers, *service.workers))
            assert refused.get(503)
            _nothing_is_lost(row, prospects, store, service)


@pytest.mark.attack(169)
@pytest.mark.promises("P11")
def test_sqlite_is_locked(on_sqlite: Deployment, row: Row, scale: Scale) -> None:
    """Another process locks SQLite under load: 503 with Retry-After, and all works once it is given back."""
    store = Store(on_sqlite.environ)
    with running(on_sqlite) as service:
        prospects = Prospects(lambda: service.servers[0].port, clients=8)
        with prospects.sending(200):
            soon(lambda: len(prospects.acknowledged) > 50)
            path = Path(on_sqlite.environ["LEADINTAKE_DATA_DIR"]) / "leadintake.db"
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
                other.execute("PRAGMA wal_autocheckpoint = 0")
                other.execute("BEGIN IMMEDIATE")
                time.sleep(scale.locked)
                refused = dict(prospects.answers)
                other.execute("ROLLBACK")
            _recovers(row, prospects, lambda: _sent(store))
        assert refused.get(503)
        _nothing_is_lost(row, prospects, store, service)


def _sent(store: Store) -> int:
    return sum(one.status == "sent" for one in store.owed())


def _recovers(row: Row, prospects: Prospects, sent: Callable[[], int]) -> None:
    """From now on submissions are stored and mails go out, before long."""
    begin, stored, gone_out = time.monotonic(), len(prospects.acknowledged), sent()
    assert soon(lambda: len(prospects.acknowledged) > stored)
    first = time.monotonic() - begin
    assert soon(lambda: sent() > gone_out)
    mail = time.monotonic() - begin
    row.faults = 1
    row.note(f"once it was back, the first submission took {first:.1f} s and the first mail {mail:.1f} s")
    row.note(f"answers meanwhile: {prospects.answers}")

    assert max(first, mail) < RECOVERED


def _nothing_is_lost(row: Row, prospects: Prospects, store: Store, service: Running) -> None:
    """What was acknowledged is stored once, and all mails go out."""
    leads = {lead.id for lead in store.leads()}
    acknowledged = {lead_id.replace("-", "") for lead_id in prospects.acknowledged.values()}
    row.trials = row.acknowledged = len(acknowledged)
    row.lost = len(acknowledged - leads)
    row.duplicates = len(leads - acknowledged)

    assert not prospects.unasked, prospects.unasked[:5]
    assert (row.lost, row.duplicates) == (0, 0)
    assert soon(lambda: {one.status for one in store.owed()} == {"sent"}), service.written()[-2000:]
