"""Rates hold over all processes that share a Redis, and as far as can be while it is away."""

import asyncio
import json
import re
import socketserver
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests import redis_server
from tests.redis_server import RedisServer
from tests.service import LOG, PASSWORD, form, running

from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.errors import TooManyRequests
from leadintake.entrypoints.http.rate_limits import Counts, Megabytes, MemoryCounts, RateLimit
from leadintake.entrypoints.http.redis_counts import RedisCounts
from leadintake.entrypoints.settings import BadSetting
from leadintake.entrypoints.settings.environment import load

KEY = bytes(32)
SECRET_KEY = "for-the-processes-of-one-service-alone"
ADDRESS = "192.0.2.1"
ATTORNEY = {"username": "attorney@example.org", "password": PASSWORD}

READY = {"database": "ok", "files": "ok", "rate limits": "ok"}
AWAY = {**READY, "rate limits": "Redis is unreachable"}

PATIENCE = 4.0
"""Seconds that no answer takes while Redis hangs. It is given one; its library would give it five."""


@pytest.fixture(params=["memory", "redis"])
async def counts(request: pytest.FixtureRequest) -> AsyncIterator[Counts]:
    """Each place to count in."""
    counts = MemoryCounts() if request.param == "memory" else RedisCounts(request.getfixturevalue("redis").url, 60)
    async with counts.opened(KEY):
        yield counts


async def ask(limit: RateLimit, address: str = ADDRESS, amount: int = 1) -> int:
    """Ask to be let in; returns 0, or the seconds to wait."""
    try:
        await limit.count(address, amount)
    except TooManyRequests as refused:
        return refused.retry_after
    return 0


class TestContract:
    """What holds wherever requests are counted."""

    @pytest.mark.asvs("V2.4.1")
    async def test_so_many_and_no_more(self, counts: Counts) -> None:
        """All within the rate are let in, and the next one is told to wait for no more than the time of the rate."""
        limit = RateLimit("submit", "3/hour", counts)
        waits = [await ask(limit) for _ in range(5)]

        assert waits[:3] == [0, 0, 0]
        assert all(1 <= wait <= 3601 for wait in waits[3:])

    async def test_all_at_once(self, counts: Counts) -> None:
        """Of many at the same moment, so many are let in as one after the other would be."""
        limit = RateLimit("submit", "20/hour", counts)
        waits = await asyncio.gather(*(ask(limit) for _ in range(200)))

        assert waits.count(0) == 20

    async def test_amounts(self, counts: Counts) -> None:
        """What is too much is not counted, so that less still gets in; more than all is as good as all."""
        limit = RateLimit("submit", "10/hour", counts)
        waits = [await ask(limit, amount=amount) for amount in (6, 5, 4, 1)]

        assert [bool(wait) for wait in waits] == [False, True, False, True]
        assert await ask(limit, "192.0.2.2", 99) == 0
        assert 1 <= await ask(limit, "192.0.2.2", 99) <= 2 * 3600 + 1

    async def test_all_megabytes_at_once(self, counts: Counts) -> None:
        """Of many at the same moment, no byte more is let in than one after the other would be."""
        limit = Megabytes("megabytes", "5/day", counts)
        waits = await asyncio.gather(*(ask(limit, amount=300_000) for _ in range(50)))

        assert waits.count(0) == 16

    @pytest.mark.parametrize(
        ("other", "is_let_in"),
        [
            ("192.0.2.2", True),
            (f"::ffff:{ADDRESS}", False),
            ("2001:db8::1", True),
        ],
    )
    async def test_others(self, counts: Counts, other: str, *, is_let_in: bool) -> None:
        """What one client used up is there for every other, but not for the same one in another guise."""
        limit = RateLimit("submit", "1/hour", counts)
        await ask(limit)

        assert (await ask(limit, other) == 0) is is_let_in

    async def test_ipv6_by_64_bits(self, counts: Counts) -> None:
        """Who chooses among the addresses of a network is one client; the neighbour is another."""
        limit = RateLimit("submit", "1/hour", counts)
        await ask(limit, "2001:db8:0:1::1")

        assert await ask(limit, "2001:db8:0:1:ffff:ffff:ffff:ffff")
        assert not await ask(limit, "2001:db8:0:2::1")

    async def test_limits_are_counted_apart(self, counts: Counts) -> None:
        """Who has sent all the submissions there may be can still sign in."""
        await ask(RateLimit("submit", "1/hour", counts))

        assert not await ask(RateLimit("login", "1/hour", counts))

    @pytest.mark.long
    async def test_after_the_wait_one_more_is_let_in(self, counts: Counts) -> None:
        """Whoever waits as long as told is let in."""
        limit = RateLimit("submit", "2/second", counts)
        while not (wait := await ask(limit)):
            pass
        await asyncio.sleep(wait)

        assert wait <= 2
        assert not await ask(limit)

    async def test_always_there(self, counts: Counts) -> None:
        """Asking whether it can be counted takes nothing from anybody, however often it is done."""
        for _ in range(100):
            await counts.ping()


class TestShared:
    """Several processes with one Redis."""

    @pytest.mark.long
    async def test_in_all_processes_at_once(self, redis: RedisServer) -> None:
        """However many count at the same moment, together they let in what the rate allows."""
        one, other = RedisCounts(redis.url), RedisCounts(redis.url)
        async with one.opened(KEY), other.opened(KEY):
            limits = [RateLimit("submit", "20/hour", counts) for counts in (one, other)]
            waits = await asyncio.gather(*(ask(limit) for _ in range(100) for limit in limits))

        assert waits.count(0) == 20

    async def test_nobody_can_be_told_from_the_keys(self, redis: RedisServer) -> None:
        """An address is hidden by the key; what is ours in Redis has a prefix, and does not stay for ever."""
        for key in (KEY, b"another key"):
            counts = RedisCounts(redis.url)
            async with counts.opened(key):
                await ask(RateLimit("submit", "3/hour", counts))
        keys = re.findall(r"^\w+:.*$", redis.ask("KEYS *"), re.MULTILINE)
        submissions = [key.strip() for key in keys if "submit" in key]

        assert len(submissions) == 2
        assert all(key.startswith("leadintake:") and ADDRESS not in key for key in keys)
        assert all(3600 < int(redis.ask(f"TTL {key}").strip(":\r\n")) <= 7200 for key in submissions)

    @pytest.mark.long
    @pytest.mark.asvs("V6.3.1")
    @pytest.mark.attack(121)
    def test_services_count_together(self, redis: RedisServer, tmp_path: Path) -> None:
        """Submissions and sign-ins count in each of several services, and still do when one is started anew."""
        settings: dict[str, Any] = {
            "REDIS_URL": redis.url,
            "SECRET_KEY": SECRET_KEY,
            "RATE_LIMIT_SUBMIT": "3/day",
            "RATE_LIMIT_LOGIN": "2/day",
            "TRUSTED_PROXIES": "127.0.0.1",
        }
        with running(tmp_path / "one", **settings) as one, running(tmp_path / "two", **settings) as two:
            submitted = [service.client().post("/public/leads", **form()) for service in (one, two, one, two, one)]
            signed_in = [service.client().post("/auth/token", data=ATTORNEY) for service in (one, two, one, two)]
            other = two.client().post("/public/leads", **form(), headers={"X-Forwarded-For": "203.0.113.7"})
        with running(tmp_path / "one", **settings) as again:
            afterwards = again.client().post("/public/leads", **form())

        assert [answer.status_code for answer in submitted] == [201, 201, 201, 429, 429]
        assert [answer.status_code for answer in signed_in] == [400, 400, 429, 429]
        assert (other.status_code, afterwards.status_code) == (201, 429)
        for refused in (*submitted[3:], *signed_in[2:], afterwards):
            assert 80_000 < int(refused.headers["retry-after"]) <= 86_401


def changes(since: int) -> list[tuple[str, str | None]]:
    """What was logged about Redis, or as an error, since the log had a length: events and their reasons."""
    lines = (json.loads(line) for line in LOG.getvalue()[since:].splitlines())
    return [
        (line["event"], line.get("reason"))
        for line in lines
        if line["event"].startswith("redis_") or line["level"] == "error"
    ]


def checks(client: httpx.Client) -> tuple[int, dict[str, str]]:
    """Whether the service is ready, and what it says of its parts."""
    answer = client.get("/health/ready")
    return answer.status_code, answer.json()["checks"]


def gauge(client: httpx.Client) -> str:
    """The metric that tells of Redis."""
    [value] = re.findall(r"^leadintake_redis_unavailable (.*)$", client.get("/metrics").text, re.MULTILINE)
    return str(value)


class TestAway:
    """A Redis that is gone, hangs or refuses to count."""

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("leave", "come_back"),
        [(RedisServer.stop, RedisServer.start), (RedisServer.pause, RedisServer.resume)],
        ids=["gone", "hung"],
    )
    def test_away_and_back(
        self,
        redis: RedisServer,
        tmp_path: Path,
        leave: Callable[[RedisServer], None],
        come_back: Callable[[RedisServer], None],
    ) -> None:
        """Submissions go on within a rate of this process, sign-ins wait; one line of the log for each change."""
        limits: dict[str, Any] = {"RATE_LIMIT_SUBMIT": "3/day", "RATE_LIMIT_LOGIN": "5/day"}
        with running(tmp_path / "data", REDIS_URL=redis.url, **limits) as service:
            service.add_user(ATTORNEY["username"])
            client = service.client()
            refresh_token = client.post("/auth/token", data=ATTORNEY).json()["refresh_token"]
            client.post("/public/leads", **form())

            assert checks(client) == (200, READY)
            assert gauge(client) == "0.0"

            begin = len(LOG.getvalue())
            leave(redis)
            submitted = [client.post("/public/leads", **form()) for _ in range(5)]
            sign_ins = [client.post("/auth/token", data=ATTORNEY) for _ in range(2)]
            refreshed = client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": refresh_token})

            assert [answer.status_code for answer in submitted] == [201, 201, 201, 429, 429]
            assert 1 <= int(submitted[-1].headers["retry-after"]) <= 86_401
            assert refreshed.status_code == 200
            for answer in sign_ins:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == "application/json"
                assert answer.json()["error"] == "temporarily_unavailable"
            assert checks(client) == (200, AWAY)
            assert gauge(client) == "1.0"
            assert [event for event, _ in changes(begin)] == ["redis_unavailable"]
            assert all(answer.elapsed.total_seconds() < PATIENCE for answer in (*submitted, *sign_ins))

            come_back(redis)

            assert checks(client) == (200, READY)
            assert gauge(client) == "0.0"
            assert [event for event, _ in changes(begin)] == ["redis_unavailable", "redis_available"]
            assert client.post("/auth/token", data=ATTORNEY).status_code == 200
            assert client.post("/public/leads", **form()).status_code == 201
            assert "submit" in redis.ask("KEYS *")

    @pytest.mark.long
    def test_it_is_found_again_by_who_is_counted(self, redis: RedisServer, tmp_path: Path) -> None:
        """Without anybody asking for health, requests find out by themselves that Redis is back."""
        redis.stop()
        begin = len(LOG.getvalue())
        with running(tmp_path / "data", REDIS_URL=redis.url, RATE_LIMIT_LOGIN="99/day") as service:
            client = service.client()

            assert changes(begin) == [("redis_unavailable", "ConnectionRefusedError")]
            assert client.post("/auth/token", data=ATTORNEY).status_code == 503

            redis.start()
            deadline = time.monotonic() + 10
            while client.post("/auth/token", data=ATTORNEY).status_code == 503:
                assert time.monotonic() < deadline
                time.sleep(0.05)

            assert changes(begin) == [("redis_unavailable", "ConnectionRefusedError"), ("redis_available", None)]

    async def test_one_that_refuses_to_write(self, redis: RedisServer) -> None:
        """A Redis that became a replica answers and counts nothing: it is away, and is asked over new connections."""
        counts = RedisCounts(redis.url)
        async with counts.opened(KEY):
            redis.ask("REPLICAOF 127.0.0.1 1")
            with pytest.raises(Unavailable):
                await counts.ping()

            assert "connected_clients:1\r\n" in redis.ask("INFO clients")

            redis.ask("REPLICAOF NO ONE")
            await counts.ping()


class Echo(socketserver.StreamRequestHandler):
    """A server that takes nothing and repeats what it was sent, as Redis does with commands that it does not know."""

    def handle(self) -> None:
        sent = self.request.recv(999).replace(b"\r\n", b" ")
        self.wfile.write(b"-ERR unknown command, with args beginning with: " + sent + b"\r\n")


@contextmanager
def echoing() -> Iterator[int]:
    """Its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class TestSecrets:
    """The password of Redis is nobody's business."""

    @pytest.mark.long
    @pytest.mark.asvs("V16.2.5")
    @pytest.mark.parametrize(
        ("kind", "logged"),
        [
            ("right", []),
            ("wrong", [("redis_unavailable", "AuthenticationError")]),
            ("echoed", [("redis_unavailable", "ResponseError")]),
        ],
    )
    def test_no_password_in_log_or_answers(
        self, redis: RedisServer, tmp_path: Path, kind: str, logged: list[tuple[str, str]]
    ) -> None:
        """Whatever Redis makes of the password, it is neither logged nor shown."""
        begin = len(LOG.getvalue())
        with echoing() as port:
            secret = redis_server.PASSWORD if kind == "right" else "hunter2-and-more"
            url = f"redis://:{secret}@127.0.0.1:{port if kind == 'echoed' else redis.port}"
            with running(tmp_path / "data", REDIS_URL=url, RATE_LIMIT_LOGIN="9/day") as service:
                client = service.client()
                answers = [
                    client.post("/auth/token", data=ATTORNEY),
                    client.get("/health/ready"),
                    client.get("/metrics"),
                ]
        written = LOG.getvalue()[begin:].decode() + "".join(answer.text for answer in answers)

        assert changes(begin) == logged
        assert secret not in written

    @pytest.mark.parametrize(
        "url",
        [
            "redis://:hunter2/7@127.0.0.1",
            "redis://:x@127.0.0.1:hunter2",
            "redis://127.0.0.1?hunter2=hunter2",
            "redis://127.0.0.1?protocol=9&password=hunter2",
        ],
    )
    def test_a_bad_url_stops_the_start_and_is_not_shown(self, url: str) -> None:
        """What cannot be read as a URL may be a password with a character that has to be escaped."""
        with pytest.raises(BadSetting, match="LEADINTAKE_REDIS_URL") as refused:
            create_app(load({"LEADINTAKE_REDIS_URL": url}, {}))

        assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.long
def test_what_is_not_used_is_not_imported() -> None:
    """Who has no Redis, PostgreSQL, bucket or mail server waits for none of their libraries at a start."""
    code = """
import sys
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.settings.environment import load
create_app(load({}, {}))
sys.exit(bool({"redis", "asyncpg", "obstore", "aiosmtplib", "alembic", "zxcvbn"} & sys.modules.keys()))
"""

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
