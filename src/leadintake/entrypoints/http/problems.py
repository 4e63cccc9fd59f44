"""Errors on their way out: one shape for all of them, whoever noticed, and a page that explains each."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from html import escape
from http import HTTPStatus
from typing import Annotated

import msgspec
import structlog
from litestar import MediaType, Response, get
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import Scope

from leadintake.domain import errors
from leadintake.domain.errors import FieldError
from leadintake.entrypoints.errors import (
    BY_SLUG,
    RETRY_AFTER,
    Busy,
    Meaning,
    MethodNotAllowed,
    MethodUnknown,
    NotCounted,
    TooManyRequests,
    meaning_of,
)
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.http.serving import serving

OAUTH_PREFIX = "/auth/"
NOT_IN_OAUTH = re.compile(r'[^ -~]|["\\]')
"""What an error_description must not contain (RFC 6749 section 5.2)."""

log = structlog.get_logger()


class Problem(msgspec.Struct, omit_defaults=True):
    """An error (RFC 9457). `type` leads to a page about it; `by` and `at` say who moved the lead first, and when."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] = []
    by: str | None = None
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class OAuthError(msgspec.Struct):
    """An error of /auth/* (RFC 6749 section 5.2)."""

    error: str
    error_description: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a client is told of an error, in whatever shape. Only refusals show their text."""

    meaning: Meaning
    detail: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as it goes out."""

    status: int
    headers: dict[str, str]
    media_type: str
    body: bytes


def explain(error: Exception, scope: Scope) -> Explanation:
    """Look an error up, and log what the operator should know."""
    meaning = meaning_of(error)
    detail = (
        error.detail if isinstance(error, errors.Refused) else "The request failed. The log says more to the operator."
    )
    scope["state"]["problem"] = meaning.slug
    _note(error, meaning, scope)
    return Explanation(meaning, detail, _headers(error, meaning, scope))


def answer(error: Exception, scope: Scope, base_url: str) -> Answer:
    """Turn an error into its answer."""
    explained = explain(error, scope)
    meaning, headers = explained.meaning, explained.headers
    if scope["path"].startswith(OAUTH_PREFIX):
        oauth = OAuthError(meaning.oauth, NOT_IN_OAUTH.sub("", explained.detail))
        return Answer(meaning.status, {**headers, "Pragma": "no-cache"}, "application/json", msgspec.json.encode(oauth))
    request_id: str = scope["state"]["request_id"]
    problem = Problem(
        f"{base_url}/problems/{meaning.slug}", meaning.title, meaning.status, explained.detail, request_id
    )
    if isinstance(error, errors.Invalid):
        problem.errors = list(error.errors)
    if isinstance(error, errors.IllegalTransition):
        problem.by, problem.at = error.by, error.at
    return Answer(meaning.status, headers, "application/problem+json", msgspec.json.encode(problem))


def on_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """The framework's handler for every exception."""
    found = answer(translated(error), request.scope, serving(request).settings.base_url)
    return Response(found.body, status_code=found.status, headers=found.headers, media_type=found.media_type)


def translated(error: Exception) -> Exception:
    """What the framework refused, in our words; every other error as it is."""
    if not isinstance(error, HTTPException) or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return error
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return errors.NotFound("There is nothing at this address.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed(with_head((error.headers or {}).get("allow", "").split(", ")))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return errors.TooLarge("The request is too large.")
    return errors.Malformed()


def with_head(methods: Collection[str]) -> str:
    """What an address takes, as Allow says it; where there is GET there is HEAD."""
    return ", ".join(sorted({*methods, HttpMethod.HEAD} if HttpMethod.GET in methods else methods))


def _note(error: Exception, meaning: Meaning, scope: Scope) -> None:
    """Log what somebody has to look into. The line of the request itself names every other problem.

    What NotCounted comes of is logged once already, and a line for each request would hide it.
    """
    if meaning.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Busy | NotCounted | MethodUnknown):
        log.error(meaning.slug.replace("-", "_"), exc_info=error)
    elif isinstance(error, errors.NotAllowed):
        user = scope.get("user")
        log.warning("authz_fail", user_id=str(user.id) if user else None)


def _headers(error: Exception, meaning: Meaning, scope: Scope) -> dict[str, str]:
    """The headers that HTTP wants with a status."""
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    if meaning.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER)}
    if meaning.status == HTTPStatus.UNAUTHORIZED:
        given = any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in scope["headers"])
        return {"WWW-Authenticate": 'Bearer realm="leadintake"' + (', error="invalid_token"' if given else "")}
    return {"Allow": error.allow} if isinstance(error, MethodNotAllowed) else {}


@get("/problems/{slug:str}", media_type=MediaType.HTML, include_in_schema=False)
async def problem_page(slug: FromPath[str]) -> str:
    """What a problem means and what to do about it, for people who follow the type of one."""
    meaning = BY_SLUG.get(slug)
    if meaning is None:
        raise errors.NotFound("There is no problem of this name.")
    title, advice = escape(meaning.title), escape(meaning.advice)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><main><h1>{title}</h1><p>HTTP status {meaning.status}</p><p>{advice}</p></main></body></html>"
    )
