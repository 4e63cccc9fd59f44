"""The outermost layer: what every request and every answer gets, whatever lies beneath and however it fails."""

import itertools
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from http import HTTPStatus

import structlog
from litestar.enums import HttpMethod, ScopeType
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)
from prometheus_client import Counter, Histogram

from leadintake.domain.errors import Malformed, NotFound
from leadintake.entrypoints.http.connection import REFUSED
from leadintake.entrypoints.http.problems import Answer, answer
from leadintake.entrypoints.http.reading import parsed_id
from leadintake.entrypoints.settings import Settings

PROCESS = secrets.token_hex(6)
served = itertools.count(1)

KNOWN_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(?::[0-9]{1,5})?")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

DEFAULT_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""A page or a file may say otherwise."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
STRICT_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

requests = Counter("leadintake_requests", "Requests by route, method and status", ["route", "method", "status"])
server_errors = Counter("leadintake_server_errors", "Answers with a status of 500 and more")
durations = Histogram(
    "leadintake_request_duration_seconds", "Time to the end of the answer", ["route"], buckets=BUCKETS
)
log = structlog.get_logger()

Arriving = HTTPReceiveMessage | WebSocketReceiveMessage  # An annotation of an inner function is made per request.


class Observed:
    """Wraps an ASGI application: request ids, security headers, allowed hosts, metrics, access log, last resort."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._base_url = settings.base_url
        self._hosts = frozenset(settings.allowed_hosts)
        is_https = settings.base_url.startswith("https:")
        self._always = (*SECURITY_HEADERS, STRICT_TRANSPORT_SECURITY) if is_https else SECURITY_HEADERS
        self._is_allowed = lru_cache(256)(self._compute_is_allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        method = scope["method"]
        if method == HttpMethod.HEAD:  # Answered as GET is; the server leaves out the body.
            scope = {**scope, "method": HttpMethod.GET}
        request_id = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        always = (*self._always, (b"x-request-id", request_id.encode()))
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                names = {name.lower() for name, _ in headers}
                headers += [header for header in DEFAULT_HEADERS if header[0] not in names]
                message["headers"] = [*headers, *always]
            await send(message)

        async def arriving() -> Arriving:
            message = await receive()
            _check_arrived(scope)
            return message

        try:
            _check_arrived(scope)
            self._check_host(scope)
            await self._app(scope, arriving, observed)
        except Exception as error:  # the last resort
            if status:
                log.exception("answer_broke_off")
            else:
                await _send(answer(error, scope, self._base_url), observed)
        finally:
            _record(scope, method, status, time.perf_counter() - start)

    def _check_host(self, scope: HTTPScope) -> None:
        """Raise Malformed unless the request is for a name of this service; health checks may use any."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if not (len(hosts) == 1 and self._is_allowed(hosts[0])) and not scope["path"].startswith("/health"):
            raise Malformed(
                "The Host header must be one name of this service: that of LEADINTAKE_BASE_URL, or one of "
                "LEADINTAKE_ALLOWED_HOSTS."
            )

    def _compute_is_allowed(self, host: bytes) -> bool:
        match = HOST.fullmatch(host)
        return match is not None and match[1].decode().lower() in self._hosts


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's own id where it is plain, else one that no other request of any process has."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else f"{PROCESS}-{next(served):x}"


def _check_arrived(scope: HTTPScope) -> None:
    """Raise what the connection has to say against the request, if it has."""
    refusal: Exception | None = scope["state"].get(REFUSED)
    if refusal:
        raise refusal


def _record(scope: HTTPScope, method: str, status: int, duration: float) -> None:
    """Count the request and log it. Nothing of query, headers or body; a path only as the template it matched."""
    route: str = scope.get("path_template", "unmatched")
    method = method if method in KNOWN_METHODS else "other"
    _count_of(route, method, status).inc()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        server_errors.inc()
    _durations_of(route).observe(duration)
    client = scope["client"]
    user = scope.get("user")
    log.info(
        "request",
        method=method,
        route=route,
        status=status,
        duration_ms=round(duration * 1000, 2),
        client=client[0] if client else None,
        **_target(scope),
        **({"user_id": str(user.id)} if user else {}),
        **({"problem": scope["state"]["problem"]} if "problem" in scope["state"] else {}),
    )


def _target(scope: HTTPScope) -> dict[str, str]:
    """The id in a path, of a lead, a user, a mail or a session, as the route says."""
    for given in scope.get("path_params", {}).values():
        with suppress(NotFound):
            return {"target": str(parsed_id(given))}
    return {}


@cache
def _count_of(route: str, method: str, status: int) -> Counter:
    """Kept, because to look it up by its labels takes twice as long as to count."""
    return requests.labels(route, method, status)


@cache
def _durations_of(route: str) -> Histogram:
    return durations.labels(route)


async def _send(what: Answer, send: Send) -> None:
    headers = {**what.headers, "content-type": what.media_type, "content-length": str(len(what.body))}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": what.status, "headers": raw})
    await send({"type": "http.response.body", "body": what.body, "more_body": False})
