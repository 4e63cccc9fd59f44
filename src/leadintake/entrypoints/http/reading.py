"""Reading requests strictly: what is not understood is refused, and one answer names every field that is wrong."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from leadintake.domain.errors import FieldError, Invalid, Malformed, NotFound
from leadintake.entrypoints.errors import UnsupportedMediaType

S = TypeVar("S", bound=msgspec.Struct)
AnyRequest = Request[Any, Any, Any]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

PAIRS_MAX = 32
"""Names and values in a query or an urlencoded body; no call knows that many."""

SHOWN_CHARACTERS = 100

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_TRUTH = {"true": True, "false": False}
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates, which a JSON string can spell and no database keeps."""


def parsed_id(text: str) -> UUID:
    """The id in a path; raises NotFound for what is no UUID, because nothing has such an id."""
    if not _UUID.fullmatch(text):
        raise NotFound
    return UUID(text)


def client_of(request: AnyRequest) -> str:
    """The network address of the client, as far as trusted proxies tell it."""
    return request.client.host if request.client else ""


def header(request: AnyRequest, name: str) -> str | None:
    """A header that may be sent once at most; raises Malformed."""
    wanted = name.lower().encode()
    given = [value for key, value in request.scope["headers"] if key == wanted]
    if len(given) > 1:
        raise Malformed(f"Send one {name} header at most.")
    return given[0].decode("latin-1") if given else None


def media_type(request: AnyRequest) -> str:
    """The media type of the body, without its parameters, in lower case; empty when there is none."""
    return (header(request, "Content-Type") or "").partition(";")[0].strip().lower()


async def pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises UnsupportedMediaType when it is compressed, Malformed when it breaks off."""
    if (header(request, "Content-Encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    try:
        async for piece in request.stream():
            yield piece
    except InternalServerException:  # the framework's way to say that the client has left
        raise Malformed("The connection was closed before the body was complete.") from None


async def read_json(request: AnyRequest, kind: type[S]) -> S:
    """The JSON body as a flat struct; raises UnsupportedMediaType, Malformed or Invalid."""
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as Content-Type: {JSON}.")
    raw = b"".join([piece async for piece in pieces(request)])
    try:
        given = json.loads(raw.decode(), object_pairs_hook=_each_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON.") from None
    if not isinstance(given, dict):
        raise Invalid(FieldError("body", "Send a JSON object."))
    return _built(kind, given)


def read_query(request: AnyRequest, kind: type[S]) -> S:
    """The query as a flat struct; raises Malformed or Invalid."""
    pairs = _pairs(request.scope["query_string"])
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        raise Invalid(*(FieldError(printable(name), "Give this once.") for name in given if names.count(name) > 1))
    about = schema_of(kind)["properties"]
    return _built(kind, {name: _meant(text, about.get(name, {}).get("type")) for name, text in given.items()})


async def read_pairs(request: AnyRequest) -> dict[str, str]:
    """The urlencoded body, each name once; raises Malformed."""
    if media_type(request) != FORM:
        raise Malformed(f"Send the body as Content-Type: {FORM}.")
    pairs = _pairs(b"".join([piece async for piece in pieces(request)]))
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Malformed("Give each parameter once.")
    if any(_NOT_TEXT.search(text) for text in given.values()):
        raise Malformed("A parameter is not text.")
    return given


def said(change: msgspec.Struct) -> dict[str, Any]:
    """The fields of a change that were given; raises Invalid when none was."""
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
    if not given:
        raise Invalid(FieldError("body", "Name at least one thing to change."))
    return given


def printable(name: str) -> str:
    """A name that a client made up, as it may be repeated: not too long, and ASCII."""
    return name[:SHOWN_CHARACTERS].encode("ascii", "backslashreplace").decode()


@cache
def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a flat struct, references resolved. Its descriptions are also what a wrong field is told."""
    _, parts = msgspec.json.schema_components((kind,), ref_template="{name}")
    schema: dict[str, Any] = parts[kind.__name__]
    properties = {name: _resolved(about, parts) for name, about in schema["properties"].items()}
    at_least = {} if schema["required"] else {"minProperties": 1}
    return {**schema, "properties": properties, "additionalProperties": False, **at_least}


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _resolved(about: dict[str, Any], parts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if {"type": "null"} in about.get("anyOf", ()):  # None stands for "not given"; nothing that is given is null.
        about = about["anyOf"][0]
    if "$ref" not in about:
        return about
    choices = parts[about["$ref"]]["enum"]
    return {"type": "string", "enum": choices, **{key: value for key, value in about.items() if key != "$ref"}}


def _built(kind: type[S], given: Mapping[str, object]) -> S:
    wrong = [
        FieldError(printable(name), "This is not known here.") for name in given if name not in kind.__struct_fields__
    ]
    values: dict[str, Any] = {}
    for field in _fields(kind):
        value = given.get(field.name, msgspec.UNSET)
        if value is msgspec.UNSET:
            if field.required:
                wrong.append(FieldError(field.name, "Fill in this field."))
        elif isinstance(value, str) and _NOT_TEXT.search(value):
            wrong.append(FieldError(field.name, "Remove the characters that are not text."))
        else:
            try:
                values[field.name] = msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                wrong.append(FieldError(field.name, schema_of(kind)["properties"][field.name]["description"]))
    if wrong:
        raise Invalid(*wrong)
    return kind(**values)


def _meant(text: str, json_type: str | None) -> object:
    """A number or a truth value where one is expected and given, else the text."""
    if json_type == "integer" and _NUMBER.fullmatch(text):
        return int(text)
    return _TRUTH.get(text, text) if json_type == "boolean" else text


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=PAIRS_MAX)
    except ValueError:
        raise Malformed(f"Names and values must be urlencoded UTF-8, at most {PAIRS_MAX} of them.") from None


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise Malformed("A name stands twice in one JSON object.")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(constant)
