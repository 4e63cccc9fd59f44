"""The HTTP service, put together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.enums import HttpMethod
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from leadintake.application.app import App
from leadintake.entrypoints import bootstrap, worker
from leadintake.entrypoints.http import auth, deliveries, docs, lead_list, leads, me, ops, public, users
from leadintake.entrypoints.http.document import document
from leadintake.entrypoints.http.guesses import Guesses
from leadintake.entrypoints.http.observe import Observed
from leadintake.entrypoints.http.problems import problem_page, with_head
from leadintake.entrypoints.http.rate_limits import Counts, Megabytes, MemoryCounts, RateLimit
from leadintake.entrypoints.http.serving import Serving
from leadintake.entrypoints.http.upload_slots import Slots
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.web import form, routes
from leadintake.entrypoints.web.errors import on_error
from leadintake.entrypoints.web.pages import templates

Opened = Callable[[Settings, Callable[[], None]], AbstractAsyncContextManager[App]]

BODY_MAX_BYTES = 256 * 1024
"""For JSON: the longest notes, every character of them escaped, take 120,000."""


def create_app(settings: Settings, opened: Opened = bootstrap.opened) -> ASGIApp:
    """The ASGI application; its lifespan opens the use cases and runs the worker."""
    counts, own = _counts(settings), MemoryCounts()
    serving = Serving(
        settings=settings,
        uploads=Slots(settings.max_uploads, are_shared=settings.rate_limit_submit is not None),
        submissions=RateLimit("submit", settings.rate_limit_submit, counts, or_else=own),
        megabytes=Megabytes("megabytes", settings.rate_limit_megabytes, counts, or_else=own),
        sign_ins=RateLimit("login", settings.rate_limit_login, counts),
        guesses=Guesses("guesses", counts, is_limited=settings.rate_limit_login is not None),
        own_passwords=Guesses("own-password", counts, is_limited=settings.rate_limit_login is not None),
        counts=counts,
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        wake = asyncio.Event()
        async with (
            opened(settings, wake.set) as app,
            counts.opened(app.sealing_keys[0]),
            nullcontext() if settings.worker == "separate" else worker.running(app, wake),
        ):
            serving.app = app
            yield

    calls: list[ControllerRouterHandler] = [
        public.routes(settings),
        auth.routes,
        me.routes,
        lead_list.routes,
        leads.routes,
        deliveries.routes,
        users.routes,
        ops.routes,
    ]
    prefix = urlsplit(settings.base_url).path
    pages: list[ControllerRouterHandler] = [form.routes(settings), *routes.ROUTERS, problem_page]
    if settings.docs:
        pages.append(docs.routes(lambda: document(calls, prefix), prefix))
    app = Litestar(
        [*calls, *pages],
        lifespan=[lifespan],
        state=State({"serving": serving}),
        exception_handlers={Exception: on_error},
        template_config=templates(settings),
        before_send=[_list_all_methods],
        request_max_body_size=BODY_MAX_BYTES,
        cors_config=_cors(settings),
        openapi_config=None,
        logging_config=None,
    )
    observed = Observed(app, settings)
    if not settings.trusted_proxies:
        return observed
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", observed), list(settings.trusted_proxies)))


def _counts(settings: Settings) -> Counts:
    """Where requests are counted; raises BadSetting."""
    if settings.redis_url is None:
        return MemoryCounts()
    from leadintake.entrypoints.http.redis_counts import RedisCounts  # noqa: PLC0415 - a start without Redis is quicker

    return RedisCounts(settings.redis_url)


async def _list_all_methods(message: Message, scope: Scope) -> None:
    """Correct the answer to OPTIONS: of the handlers of a path, Litestar 2.25 lists only the method of the first."""
    if (
        message["type"] == "http.response.start"
        and scope.get("method") == HttpMethod.OPTIONS
        and "path_template" in scope
    ):
        route = next(route for route in scope["litestar_app"].routes if route.path_format == scope["path_template"])
        MutableScopeHeaders.from_message(message)["Allow"] = with_head(route.methods)


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match"],
        expose_headers=["ETag", "Idempotency-Replayed", "Retry-After", "X-Request-ID"],
    )
