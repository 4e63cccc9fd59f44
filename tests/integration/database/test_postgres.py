"""What is PostgreSQL's own: many transactions at once, and a server that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from uuid import UUID

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.fakes import numbered_ids
from tests.postgres import Postgres
from tests.practice import OPERATOR, PASSWORD, Practice
from tests.records import FIRST_FIRM, NOW, delivery, lead
from tests.relay import Relay, relay

from leadintake.adapters.sql.bell import bell
from leadintake.adapters.sql.postgres import CONNECTIONS, STATEMENT_SECONDS, PostgresDatabase, connect
from leadintake.application.owing import Limit
from leadintake.application.ports.database import LeadQuery, Transaction
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import Status
from leadintake.domain.errors import SessionOver, Unavailable, WrongCredentials
from leadintake.domain.events import PROSPECT, Event, EventKind
from leadintake.domain.lead import Lead

pytestmark = pytest.mark.long

BRIEFLY = 0.2
"""Seconds that a statement may take where a test wants it to take too long."""


@asynccontextmanager
async def opened(url: str, statement_seconds: float = STATEMENT_SECONDS) -> AsyncIterator[PostgresDatabase]:
    """A database, open until the context ends."""
    database = PostgresDatabase(url, statement_seconds=statement_seconds)
    try:
        yield database
    finally:
        await database.aclose()


@pytest.fixture
async def way(server: Postgres) -> AsyncIterator[Relay]:
    """The way to the server."""
    async with relay(server.port) as way:
        yield way


def through(way: Relay, url: str) -> str:
    """The URL of a database by that way."""
    return url.replace(str(way.to_port), str(way.port))


def adding(each: Lead) -> Callable[[Transaction], None]:
    """Work that stores a lead."""
    return lambda tx: tx.leads.add(each)


def branch(database: PostgresDatabase, number: int) -> Practice:
    """The practice as one of several processes runs it."""
    return Practice(database, new_id=numbered_ids(number * 10**6), random=count(number * 10**6))


async def stored(database: PostgresDatabase) -> list[int]:
    """The numbers of the leads there are."""
    found = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(limit=1000)))
    return sorted(view.id.int for view in found)


async def setting(url: str, name: str) -> object:
    """A setting of the sessions that the service has."""
    connection = await connect(url)
    try:
        return await connection.fetchval(f"SHOW {name}")
    finally:
        await connection.close()


async def test_a_commit_is_durable_whatever_the_server_says(server: Postgres, url: str) -> None:
    """A database that answers before it has written is told not to (P2)."""
    server.execute("ALTER DATABASE practice SET synchronous_commit = off")
    try:
        found = await setting(url, "synchronous_commit")
    finally:
        server.execute("ALTER DATABASE practice RESET synchronous_commit")

    assert found == "on"


async def test_a_server_that_takes_no_changes_is_not_ready(server: Postgres, url: str) -> None:
    """As one that follows another: it can be read from, and the service says that it cannot store."""
    server.execute("ALTER DATABASE practice SET default_transaction_read_only = on")
    try:
        async with opened(url) as database:
            with pytest.raises(Unavailable):
                await database.ping()
            with pytest.raises(Unavailable):
                await database.write(FIRST_FIRM, adding(lead(1)))

            assert await stored(database) == []
    finally:
        server.execute("ALTER DATABASE practice RESET default_transaction_read_only")


@pytest.mark.attack(170)
async def test_a_server_that_was_away(server: Postgres, url: str) -> None:
    """Nothing works while it is away, all of it is refused as a thing that passes, and all works when it is back."""
    async with opened(url) as database:
        await asyncio.gather(*(database.write(FIRST_FIRM, adding(lead(number))) for number in range(1, 21)))
        server.stop()
        answers = await asyncio.gather(
            database.ping(), database.write(FIRST_FIRM, adding(lead(21))), stored(database), return_exceptions=True
        )
        server.start()

        assert [type(answer) for answer in answers] == [Unavailable] * 3
        await database.ping()
        assert await stored(database) == list(range(1, 21))


async def test_connections_that_were_lost_meanwhile(url: str, way: Relay) -> None:
    """Nobody notices that the network dropped all connections of the pool."""
    async with opened(through(way, url)) as database:
        await asyncio.gather(*(database.write(FIRST_FIRM, adding(lead(number))) for number in range(1, 21)))
        await way.become(way.passing)
        await asyncio.gather(*(database.write(FIRST_FIRM, adding(lead(number))) for number in range(21, 41)))

        assert await stored(database) == list(range(1, 41))


@pytest.mark.parametrize("last", [b"BEGIN", b"INSERT INTO leads", b"INSERT INTO lead_words"])
async def test_a_connection_lost_before_the_commit(url: str, way: Relay, last: bytes) -> None:
    """The transaction is repeated on another connection, and has happened once."""
    async with opened(through(way, url)) as database:
        await database.ping()
        cuts = iter([True])
        there = lambda sent: b"" if last in sent and next(cuts, False) else sent  # noqa: E731 - read where it is used
        await way.become(partial(way.passing, there=there))
        await database.write(FIRST_FIRM, adding(lead(1)))

        assert next(cuts, None) is None
        assert await stored(database) == [1]


async def test_a_connection_lost_with_the_commit(url: str, way: Relay) -> None:
    """Nobody knows whether it happened, so it is refused and not repeated; here it has."""
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        runs.append(1)
        tx.leads.add(lead(1))

    async with opened(through(way, url)) as database:
        await way.become(partial(way.passing, back=lambda sent: b"" if b"COMMIT" in sent else sent))
        with pytest.raises(Unavailable):
            await database.write(FIRST_FIRM, work)
        await way.become(way.passing)
        for _ in range(100):  # The server may still be at it.
            if await stored(database):
                break

        assert await stored(database) == [1]
        assert len(runs) == 1


@pytest.mark.attack(170)
async def test_a_network_that_swallows_everything(url: str, way: Relay) -> None:
    """Who waits is told before long, and the next is served as soon as the network is back."""
    async with opened(through(way, url), statement_seconds=BRIEFLY) as database:
        await database.ping()
        way.flows.clear()
        with capture_logs() as logged, pytest.raises(Unavailable):
            await database.write(FIRST_FIRM, adding(lead(1)))
        way.flows.set()

        await database.write(FIRST_FIRM, adding(lead(2)))
        assert 2 in await stored(database)
        assert [line["reason"] for line in logged] == ["TimeoutError"]


async def test_more_at_once_than_there_are_connections(url: str) -> None:
    """Who finds none free waits for one."""
    async with opened(url) as database:
        many = 5 * CONNECTIONS
        await asyncio.gather(*(database.write(FIRST_FIRM, adding(lead(number))) for number in range(1, many + 1)))

        assert await stored(database) == list(range(1, many + 1))


async def test_transactions_that_block_each_other(url: str) -> None:
    """Two that wait for each other both succeed: what the server ends, one or both at once, is repeated."""
    both_began = asyncio.Barrier(2)

    async with opened(url) as database, opened(url) as another:
        await asyncio.gather(*(database.write(FIRST_FIRM, adding(lead(number))) for number in (1, 2)))
        waits = [0, 0]

        def locking(number: int, first: int, second: int) -> Callable[[Transaction], None]:
            def work(tx: Transaction) -> None:
                tx.leads.get(UUID(int=first))
                waits[number] += 1
                if waits[number] == 1:
                    sa.util.await_only(both_began.wait())
                tx.leads.get(UUID(int=second))

            return work

        await asyncio.gather(database.write(FIRST_FIRM, locking(0, 1, 2)), another.write(FIRST_FIRM, locking(1, 2, 1)))

        assert max(waits) == 2


async def test_what_cannot_be_stored_is_no_outage(url: str) -> None:
    """NUL is no text for PostgreSQL. That it came so far is a mistake of ours, and shows as one."""
    async with opened(url) as database:
        with pytest.raises(sa.exc.DBAPIError):
            await database.write(FIRST_FIRM, adding(lead(1, first_name="Nul\0")))

        assert await stored(database) == []


async def test_failures_are_logged_without_names(server: Postgres, url: str) -> None:
    """The log says what PostgreSQL said, but not which values it was about."""
    server.execute("ALTER DATABASE practice SET default_transaction_read_only = on")
    try:
        with capture_logs() as logged:
            async with opened(url) as database:
                with pytest.raises(Unavailable):
                    await database.write(FIRST_FIRM, adding(lead(1, first_name="Confidential")))
    finally:
        server.execute("ALTER DATABASE practice RESET default_transaction_read_only")

    assert [line["event"] for line in logged] == ["database_failed"]
    assert "read-only transaction" in logged[0]["reason"]
    assert "Confidential" not in str(logged)


def owing(numbers: range) -> Callable[[Transaction], None]:
    """Work that owes a delivery for each number."""

    def work(tx: Transaction) -> None:
        for number in numbers:
            tx.leads.add(lead(number))
            [event_id] = tx.events.add(Event(UUID(int=number), EventKind.SUBMITTED, NOW, PROSPECT, {}))
            tx.outbox.add([(delivery(number), event_id)])

    return work


def claiming(limit: int, token: int) -> Callable[[Transaction], list[Letter]]:
    """Work that claims at most so many."""
    return lambda tx: tx.outbox.claim(NOW, limit, UUID(int=token))


@pytest.mark.asvs("V2.3.4")
async def test_no_delivery_is_claimed_twice(url: str) -> None:
    """Four engines that claim at once share what is due (P6)."""

    async def claim_all(database: PostgresDatabase, engine: int) -> list[Letter]:
        claimed: list[Letter] = []
        tokens = count(engine * 1000)
        while some := await database.write(FIRST_FIRM, claiming(7, next(tokens))):
            claimed += some
        return claimed

    async with opened(url) as one, opened(url) as two, opened(url) as three, opened(url) as four:
        await one.write(FIRST_FIRM, owing(range(1, 301)))
        shares = await asyncio.gather(*(claim_all(each, at) for at, each in enumerate((one, two, three, four))))

    assert sorted(letter.delivery_id.int for share in shares for letter in share) == list(range(1, 301))
    assert sum(bool(share) for share in shares) > 1


async def test_who_claims_waits_for_nobody(url: str) -> None:
    """What another worker is about to claim is passed over."""
    async with opened(url) as one, opened(url) as two:
        await one.write(FIRST_FIRM, owing(range(1, 4)))

        def work(tx: Transaction) -> tuple[list[Letter], list[Letter]]:
            mine = claiming(1, 1)(tx)
            return mine, sa.util.await_only(asyncio.wait_for(two.write(FIRST_FIRM, claiming(3, 2)), 10))

        mine, others = await one.write(FIRST_FIRM, work)

    assert sorted(letter.delivery_id.int for letter in mine + others) == [1, 2, 3]
    assert len(mine) == 1


async def test_a_refresh_token_is_exchanged_once(url: str) -> None:
    """Also by two servers at the same moment: who comes second shows that it was copied, and the session ends."""
    async with opened(url) as one, opened(url) as two:
        here, there = branch(one, 1), branch(two, 2)
        user = await here.user()
        grant = await here.accounts.sign_in(user.email, PASSWORD)
        answers = await asyncio.gather(
            *(practice.accounts.refresh(grant.refresh_token) for practice in (here, there) * 5), return_exceptions=True
        )

    assert sum(isinstance(answer, SessionOver) for answer in answers) == 9


@pytest.mark.asvs("V15.4.2")
async def test_no_session_outlives_a_reset(url: str) -> None:
    """Who signs in with the old password while it is being reset ends up signed out, whoever was first."""
    async with opened(url) as one, opened(url) as two:
        here, there = branch(one, 1), branch(two, 2)
        user = await here.user()
        for turn in range(10):
            password = f"{PASSWORD} {turn}"
            await here.staff.reset_password(OPERATOR, user.email, password)
            signing_in = [practice.accounts.sign_in(user.email, password) for practice in (here, there) * 2]
            resetting = there.staff.reset_password(OPERATOR, user.email, f"another {password}")
            *answers, _ = await asyncio.gather(*signing_in, resetting, return_exceptions=True)

            assert {type(answer).__name__ for answer in answers} <= {"Grant", WrongCredentials.__name__}
            assert await here.staff.end_sessions(OPERATOR, user.email) == 0


async def test_no_more_confirmations_than_allowed(url: str) -> None:
    """Whoever submits at the same moment through several servers: the caps hold."""
    async with opened(url) as one, opened(url) as two:
        here, there = branch(one, 1), branch(two, 2)
        here.rules = there.rules = replace(here.rules, confirmations_per_mailbox=Limit(3, timedelta(days=1)))
        await asyncio.gather(*(practice.submit() for practice in (here, there) * 10))
        statuses = [owed.status for each in await here.leads() for owed in await here.deliveries(each.id)]

    assert (statuses.count(Status.PENDING), statuses.count(Status.HELD)) == (3, 17)


async def test_a_bell_is_heard_in_every_process(url: str) -> None:
    """Whoever stores something to send wakes all workers, and again after the connection was lost."""
    heard = [asyncio.Event(), asyncio.Event()]
    async with bell(url, heard[0].set) as ring, bell(url, heard[1].set):
        for each in heard:
            await asyncio.wait_for(each.wait(), 10)  # They listen.
            each.clear()
        ring()

        await asyncio.wait_for(heard[1].wait(), 10)
        assert heard[0].is_set()


async def test_a_bell_that_is_rung_at_the_last_moment(url: str) -> None:
    """As by a command that is done at once."""
    heard = asyncio.Event()
    async with bell(url, heard.set):
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()
        async with bell(url, lambda: None) as ring:
            ring()

        await asyncio.wait_for(heard.wait(), 10)


async def test_a_bell_that_waits_and_is_rung_at_the_last_moment(url: str) -> None:
    """As by a command that did several things: it ends, and the others hear of it."""
    heard, listens = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(10), bell(url, heard.set):
        await heard.wait()
        heard.clear()
        async with bell(url, listens.set) as ring:
            await listens.wait()
            ring()

        await heard.wait()


async def test_a_bell_whose_connection_is_lost(url: str, way: Relay) -> None:
    """It connects again, and takes it that it has missed something."""
    heard = asyncio.Event()
    async with bell(through(way, url), heard.set):
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()
        await way.become(way.passing)

        await asyncio.wait_for(heard.wait(), 10)


async def test_a_ring_that_got_lost_is_repeated(url: str, way: Relay) -> None:
    """When a notification is lost with its connection, the others hear of it over the next one."""
    is_lost, heard, listens = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def losing(sent: bytes) -> bytes:
        if b"NOTIFY" not in sent:
            return sent
        is_lost.set()
        return b""

    await way.become(partial(way.passing, there=losing))
    async with bell(through(way, url), listens.set) as ring, bell(url, heard.set):
        await asyncio.wait_for(asyncio.gather(listens.wait(), heard.wait()), 10)
        heard.clear()
        ring()
        await asyncio.wait_for(is_lost.wait(), 10)
        await way.become(way.passing)

        await asyncio.wait_for(heard.wait(), 10)
