"""Counts that all processes share, in Redis or Valkey. Only where these are used does anything import this module."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError, ResponseError

from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.http.rate_limits import hit
from leadintake.entrypoints.settings import BadSetting

ANSWER_SECONDS = 1.0
"""How long Redis may take to answer, connecting included; so long it is also left in peace when it has not."""

KEY_PREFIX = "leadintake"
PROBE = RateLimitItemPerSecond(1_000_000)

T = TypeVar("T")

log = structlog.get_logger()


class RedisCounts:
    """Counts in Redis, under keys that do not show whose they are.

    Whether Redis answers is logged when it changes. While it does not, only one request a second waits to find out.
    Of its errors the log has the class alone, since some servers repeat in the text what they were sent: the password.
    """

    def __init__(self, url: str, patience: float = ANSWER_SECONDS) -> None:
        self._patience = patience
        seconds = {"socket_timeout": patience, "socket_connect_timeout": patience}
        try:  # RESP 2, because every server has it, and a connection begins with less talk.
            self._pool = BlockingConnectionPool.from_url(url, protocol=2, **seconds)
            pool: Any = self._pool  # for calls that are not annotated
            pool.make_connection()
        except (ValueError, TypeError, RedisError):  # Some of these repeat the URL.
            raise BadSetting("LEADINTAKE_REDIS_URL is no URL of Redis: give redis://:password@host:6379/0.") from None
        self._storage = RedisStorage("redis://", implementation="redispy", key_prefix=KEY_PREFIX, connection_pool=pool)
        self._key = b""
        self._ask_again_at: float | None = None

    @asynccontextmanager
    async def opened(self, key: bytes) -> AsyncIterator[None]:
        """Count until the context ends; asks Redis once, so that what is wrong is in the log from the start.

        Networks are hidden with the key, because a plain hash can be undone by trying every IPv4 address there is.
        """
        self._key = key
        try:
            with suppress(Unavailable):
                await self.ping()
            yield
        finally:
            with suppress(RedisError):
                await self._pool.aclose()

    async def add(self, rate: RateLimitItem, name: str, network: str, amount: int) -> int:
        hidden = self.hidden(f"network{network}")
        return await self.ask(lambda storage: hit(storage, rate, name, hidden, amount=amount))

    def hidden(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    async def ask(self, work: Callable[[RedisStorage], Awaitable[T]]) -> T:
        if self._ask_again_at is not None:
            if time.monotonic() < self._ask_again_at:
                raise Unavailable
            self._ask_again_at = time.monotonic() + self._patience
        return await self._ask(work)

    async def ping(self) -> None:
        """Count something, for a server may answer a PING and yet refuse to write."""
        await self._ask(lambda storage: hit(storage, PROBE, "probe"))

    async def _ask(self, work: Callable[[RedisStorage], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                answer = await work(self._storage)
        except (RedisError, OSError) as error:
            if self._ask_again_at is None:
                reason = error.__context__ if isinstance(error.__context__, OSError) else error
                log.error("redis_unavailable", reason=type(reason).__name__)  # noqa: TRY400 - as the class says
            self._ask_again_at = time.monotonic() + self._patience
            if isinstance(error, ResponseError):  # Such as of a replica: whoever writes now is behind a new connection.
                await self._pool.disconnect(inuse_connections=False)
            raise Unavailable from error
        if self._ask_again_at is not None:
            self._ask_again_at = None
            log.info("redis_available")
        return answer
