"""The OpenAPI document. Litestar lists the calls; what it cannot know of them is told with `describe`, next to each."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict, Unpack

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Server, Tag
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

import leadintake
from leadintake.domain.errors import (
    Invalid,
    Malformed,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
    TooLarge,
    Unavailable,
)
from leadintake.domain.people import PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARACTERS
from leadintake.domain.values import NAME_MAX_CHARACTERS
from leadintake.entrypoints.errors import MEANINGS, UnsupportedMediaType
from leadintake.entrypoints.http.guard import signed_in_manager
from leadintake.entrypoints.http.problems import OAUTH_PREFIX, OAuthError, Problem
from leadintake.entrypoints.http.reading import JSON, schema_of

PROBLEMS, DESCRIPTION = "problems", "description"
REFERENCE = "#/components/schemas/{name}"
Schema = dict[str, Any]

INTRODUCTION = """Takes enquiries from a web form, keeps each with its resume, and brings it to an attorney.

To try it: send an enquiry with `POST /public/leads`, sign in with `POST /auth/token`, and read `GET /leads`.
Errors are problems (RFC 9457); the `type` of each leads to a page that says what to do. Times are RFC 3339 in UTC."""

WITHIN_NAME = r"(?:[^\p{C}\u2028\u2029]|[\u200c\u200d])*"
VISIBLE = r"[\p{L}\p{N}\p{P}\p{S}]"
NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": NAME_MAX_CHARACTERS,
    "pattern": f"^{WITHIN_NAME}{VISIBLE}{WITHIN_NAME}$",
}
"""What domain.values.name takes, as nearly as a schema can say it."""

PASSWORD: Schema = {
    "type": "string",
    "minLength": PASSWORD_MIN_CHARACTERS,
    "maxLength": PASSWORD_MAX_BYTES,
    "format": "password",
}
"""What domain.people.check_password takes; a schema counts characters, and none of them is less than a byte."""

TAGS = [
    Tag("Public", "What anyone may call: the form."),
    Tag("Signing in", "OAuth 2 with passwords and refresh tokens; errors as in RFC 6749 section 5.2."),
    Tag("Me", "One's own account and sessions."),
    Tag("Leads", "The enquiries, for attorneys."),
    Tag("Users", "Who may sign in, for admins."),
    Tag("Operation", "Health and metrics, for operators."),
]

HEADERS: dict[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "The scheme to use, and what was wrong with the token."},
    429: {"Retry-After": "Seconds to wait."},
    503: {"Retry-After": "Seconds to wait."},
}


class Description(TypedDict, total=False):
    """What a call takes and answers beyond what its signature says.

    `answers` are headers, and `content` replaces what the signature says of the body; both of the good answer.
    `redirect` says what Location leads to, where the answer may be elsewhere.
    """

    json: type[msgspec.Struct]
    query: type[msgspec.Struct]
    body: tuple[str, Schema]
    headers: Mapping[str, Schema]
    answers: Mapping[str, str]
    content: Mapping[str, Schema]
    redirect: str


def describe(*problems: type[Refused], **more: Unpack[Description]) -> dict[str, Any]:
    """The `opt` of a route handler: its problems and Description. What its router, path and body imply is added."""
    return {PROBLEMS: problems, DESCRIPTION: more}


def document(handlers: Sequence[ControllerRouterHandler], prefix: str) -> Schema:
    """The whole document, as JSON-ready data; `prefix` is the path that the service has at its base URL."""
    about = OpenAPIConfig(
        title="leadintake",
        version=leadintake.__version__,
        description=INTRODUCTION,
        use_handler_docstrings=True,
        tags=TAGS,
        servers=[Server(url=prefix or "/")],
    )
    listed = Litestar(handlers, openapi_config=about, logging_config=None)
    found = listed.openapi_schema.to_schema()
    components = found["components"]
    _, shapes = msgspec.json.schema_components((Problem, OAuthError), ref_template=REFERENCE)
    components["schemas"].update(shapes)
    token_url = f"{prefix}/auth/token"
    flow = {"tokenUrl": token_url, "refreshUrl": token_url, "scopes": {}}
    components["securitySchemes"] = {"OAuth2": {"type": "oauth2", "flows": {"password": flow}}}
    for route in listed.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if operation := found["paths"].get(route.path_format, {}).get(method.lower()):
                    _complete(operation, route.path_format, handler)
    return found


def _complete(operation: Schema, path: str, handler: HTTPRouteHandler) -> None:
    described: Description = handler.opt.get(DESCRIPTION, {})
    problems = {*handler.opt.get(PROBLEMS, ()), *_implied(path, handler, described)}
    parameters = [
        {**parameter, "schema": {"type": "string", "format": "uuid"}} for parameter in operation.get("parameters", ())
    ]
    if query := described.get("query"):
        parameters += [_parameter("query", name, about) for name, about in schema_of(query)["properties"].items()]
    parameters += [_parameter("header", name, about) for name, about in described.get("headers", {}).items()]
    if parameters:
        operation["parameters"] = parameters
    json = described.get("json")
    if body := (JSON, schema_of(json)) if json else described.get("body"):
        operation["requestBody"] = {"required": True, "content": {body[0]: {"schema": body[1]}}}
    if handler.resolve_before_request():
        operation["security"] = [{"OAuth2": []}]
    status, success = next((code, answer) for code, answer in operation["responses"].items() if code < "300")
    success["headers"] = _headers(described.get("answers", {}))
    success["description"] = HTTPStatus(int(status)).phrase
    if "content" in described:
        success["content"] = {media_type: {"schema": schema} for media_type, schema in described["content"].items()}
    operation["responses"] = {status: success, **_redirect(described), **_problems(path, problems)}


def _implied(path: str, handler: HTTPRouteHandler, described: Description) -> set[type[Refused]]:
    sign_in = handler.resolve_before_request()
    implied: set[type[Refused]] = set()
    if not path.startswith("/health"):
        implied.add(Malformed)  # a foreign Host
    if sign_in:
        implied |= {NotSignedIn, Unavailable}
    if sign_in is signed_in_manager:
        implied.add(NotAllowed)
    if "{" in path:
        implied.add(NotFound)
    if "query" in described:
        implied.add(Invalid)
    if "json" in described:
        implied |= {Invalid, TooLarge, UnsupportedMediaType}
    return implied


def _redirect(described: Description) -> dict[str, Schema]:
    """The answer that leads elsewhere, if there is one."""
    if "redirect" not in described:
        return {}
    found, headers = HTTPStatus.FOUND, _headers({"Location": described["redirect"]})
    return {str(found.value): {"description": found.phrase, "headers": headers}}


def _problems(path: str, problems: set[type[Refused]]) -> dict[str, Schema]:
    """The answers to errors, by status, each naming what it may be about."""
    media_type, shape = (JSON, OAuthError) if path.startswith(OAUTH_PREFIX) else ("application/problem+json", Problem)
    content = {media_type: {"schema": {"$ref": REFERENCE.format(name=shape.__name__)}}}
    meanings = sorted((MEANINGS[problem] for problem in problems), key=lambda meaning: (meaning.status, meaning.slug))
    answers: dict[str, Schema] = {}
    for status in dict.fromkeys(meaning.status for meaning in meanings):
        titles = [f"{meaning.title} (`{meaning.slug}`)." for meaning in meanings if meaning.status == status]
        headers = _headers(HEADERS.get(status, {}))
        answers[str(status)] = {"description": " ".join(titles), "content": content, "headers": headers}
    return answers


def _parameter(where: str, name: str, about: Schema) -> Schema:
    """An optional parameter from the schema of its value."""
    schema = {key: value for key, value in about.items() if key != "description"}
    return {"name": name, "in": where, "description": about["description"], "required": False, "schema": schema}


def _headers(texts: Mapping[str, str]) -> dict[str, Schema]:
    every = {**texts, "X-Request-ID": "Names this request in the log."}
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in every.items()}
