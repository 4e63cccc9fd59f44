import inspect

import msgspec
import pytest

from leadintake.domain import errors
from leadintake.domain.errors import FieldError, IllegalTransition, Invalid, Refused
from leadintake.entrypoints import errors as http_errors
from leadintake.entrypoints.errors import BY_SLUG, MEANINGS, TooManyRequests, meaning_of
from leadintake.entrypoints.http.problems import answer

STATUSES = {400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 431, 501, 503}
"""Those the design allows; 500 is nobody's fault but ours."""

SHARED = {
    errors.FileDamaged,
    errors.ReferenceTaken,
    http_errors.Busy,
    http_errors.NotCounted,
    http_errors.TooManyGuesses,
    http_errors.TooManyMegabytes,
    http_errors.TooManyUploads,
}
"""Errors for which the meaning of the class above will do: one never leaves the application, the others are special."""

REFUSALS = sorted(
    {
        kind
        for module in (errors, http_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Refused)
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_error_has_a_row(kind: type[Refused]) -> None:
    """A new error that nobody gave a meaning would be a nameless 400."""
    assert kind in MEANINGS or kind in SHARED


@pytest.mark.parametrize("kind", REFUSALS)
def test_statuses_are_those_of_the_design(kind: type[Refused]) -> None:
    """No refusal has a status that the contract does not list."""
    assert meaning_of(kind.__new__(kind)).status in STATUSES


def test_a_subclass_means_what_its_class_means() -> None:
    """The table is read along the class hierarchy, not by exact class."""

    class Elsewhere(errors.Stale):
        """Stale in some other way."""

    assert meaning_of(Elsewhere()).status == 412
    assert meaning_of(http_errors.Busy()).slug == "unavailable"
    assert meaning_of(ZeroDivisionError()).status == 500


def test_slugs_are_unique() -> None:
    """The type of a problem leads to one explanation."""
    assert len(BY_SLUG) == len(MEANINGS)


def _answered(
    error: Exception, path: str = "/leads", authorization: bytes | None = None
) -> tuple[int, dict[str, str], str, bytes]:
    headers = [(b"authorization", authorization)] if authorization else []
    scope = {"type": "http", "path": path, "headers": headers, "state": {"request_id": "r1"}}
    found = answer(error, scope, "https://firm.example")  # type: ignore[arg-type] # the few keys that are read
    return found.status, found.headers, found.media_type, found.body


def test_problem_names_fields() -> None:
    """Each wrong field is listed with what to do about it."""
    status, _, media_type, body = _answered(Invalid(FieldError("email", "Use one address.")))

    assert (status, media_type) == (422, "application/problem+json")
    assert msgspec.json.decode(body) == {
        "type": "https://firm.example/problems/invalid-fields",
        "title": "Some fields are missing or wrong",
        "status": 422,
        "detail": "Some fields are missing or wrong.",
        "request_id": "r1",
        "errors": [{"field": "email", "message": "Use one address."}],
    }


def test_problem_says_who_was_first() -> None:
    """An illegal transition carries by and at."""
    *_, body = _answered(IllegalTransition("It is REACHED_OUT already.", by="Grace Hopper", at=None))

    assert msgspec.json.decode(body)["by"] == "Grace Hopper"


@pytest.mark.asvs("V16.5.1-4")
@pytest.mark.attack(161)
def test_unexpected_errors_show_nothing() -> None:
    """What an exception says may be a secret."""
    status, _, _, body = _answered(RuntimeError("postgresql://user:secret@db"))

    assert status == 500
    assert b"secret" not in body


def test_oauth_errors_have_their_own_shape() -> None:
    """RFC 6749 section 5.2, with nothing that its grammar forbids."""
    status, headers, media_type, body = _answered(errors.Malformed('a "b" \\ \u00fc'), "/auth/token")

    assert (status, media_type, headers["Pragma"]) == (400, "application/json", "no-cache")
    assert msgspec.json.decode(body) == {"error": "invalid_request", "error_description": "a b  "}


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (TooManyRequests(17), "Retry-After", "17"),
        (errors.Unavailable(), "Retry-After", "5"),
        (http_errors.Busy(), "Retry-After", "5"),
        (errors.NotSignedIn(), "WWW-Authenticate", 'Bearer realm="leadintake"'),
        (http_errors.MethodNotAllowed("GET"), "Allow", "GET"),
    ],
)
def test_statuses_bring_their_headers(error: Exception, name: str, value: str) -> None:
    """HTTP wants a header with some statuses."""
    assert _answered(error)[1][name] == value


def test_a_token_that_was_given_is_called_invalid() -> None:
    """RFC 6750 section 3.1; without a token there is nothing to blame."""
    headers = _answered(errors.NotSignedIn(), authorization=b"bearer abc")[1]

    assert headers["WWW-Authenticate"] == 'Bearer realm="leadintake", error="invalid_token"'
