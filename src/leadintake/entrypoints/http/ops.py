"""For operators: is it alive, is it ready, how does it do."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from litestar import Response, Router, get
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from leadintake.domain.delivery import Status
from leadintake.domain.errors import NotAllowed, Unavailable
from leadintake.entrypoints.http.document import describe
from leadintake.entrypoints.http.reading import AnyRequest, client_of
from leadintake.entrypoints.http.serving import serving

PING_SECONDS = 2.0
"""How long a part may take to answer; monitors commonly give up after five."""

FORWARDED = ("forwarded", "x-forwarded-for")

PROMETHEUS = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
"""Litestar adds the charset."""

outbox = Gauge("leadintake_outbox_deliveries", "Deliveries in each status but sent", ["status"])
redis_unavailable = Gauge("leadintake_redis_unavailable", "1 while rates cannot be counted in Redis, else 0")


class Health(Struct, omit_defaults=True):
    """That all is well, and what was looked at."""

    status: str
    checks: dict[str, str] = {}


@get("/health", operation_id="health", summary="Is it alive?")
async def health() -> Health:
    """The same as /health/live."""
    return Health("ok")


@get("/health/live", operation_id="live", summary="Is it alive?")
async def live() -> Health:
    """Whether the process answers. It looks at nothing else, so when it fails, a restart is the cure."""
    return Health("ok")


@get("/health/ready", operation_id="ready", summary="Is it ready?", opt=describe(Unavailable))
async def ready(request: AnyRequest) -> Health:
    """Whether submissions can be stored: the database answers, and a file could be written.

    Where rates are counted in Redis, `rate limits` says whether it answers; submissions can be stored without it.
    """
    here = serving(request)
    needed = {
        "database": _answers(here.app.database.ping),
        "files": here.can_write_files.get(lambda: _answers(here.app.files.ping)),  # It writes, and anybody may ask.
    }
    checks = {**needed, "rate limits": _answers(here.counts.ping)} if here.settings.redis_url else needed
    answers = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
    failed = [name for name in needed if not answers[name]]
    if failed:
        raise Unavailable(f"Not ready: {' and '.join(failed)}.")
    return Health("ok", {name: "ok" if answered else "Redis is unreachable" for name, answered in answers.items()})


async def _answers(ping: Callable[[], Awaitable[None]]) -> bool:
    """Whether it answers in time. What does not is not waited for while it is broken off, which may take as long."""
    asked = asyncio.ensure_future(ping())
    asked.add_done_callback(lambda task: task.cancelled() or task.exception())  # Else asyncio logs what nobody hears.
    try:
        await asyncio.wait([asked], timeout=PING_SECONDS)
        return asked.done() and asked.result() is None
    except Unavailable:
        return False
    finally:
        asked.cancel()


@get("/metrics", operation_id="metrics", summary="Metrics", media_type=PROMETHEUS, opt=describe(NotAllowed))
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Figures for Prometheus. For the machine itself, or with `Authorization: Bearer` and the metrics token."""
    _check_access(request)
    here = serving(request)
    redis_unavailable.set(not await _answers(here.counts.ping))
    try:
        counts = await here.app.dispatch.count_unsettled()
        for status in set(Status) - {Status.SENT}:
            outbox.labels(status).set(counts.get(status, 0))
    except Unavailable:  # The other figures are wanted most when something fails; old ones are taken for new.
        outbox.clear()
    return Response(generate_latest(), media_type=PROMETHEUS)


def _check_access(request: AnyRequest) -> None:
    """Raise NotAllowed unless the request has the token, or comes from this machine and was not forwarded to it."""
    token = serving(request).settings.metrics_token
    given = request.headers.get("authorization", "").encode()
    if token is not None and hmac.compare_digest(given, f"Bearer {token}".encode()):
        return
    try:
        is_local = ip_address(client_of(request)).is_loopback
    except ValueError:
        is_local = False
    if not is_local or any(name in request.headers for name in FORWARDED):
        raise NotAllowed("Metrics are for this machine itself, or for who has the metrics token.")


routes = Router("/", route_handlers=[health, live, ready, metrics], tags=["Operation"])
