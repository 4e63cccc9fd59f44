"""What is wrong with a form of the inbox that was sent, for the page that shows it again."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from leadintake.domain.errors import FieldError, Invalid, Refused
from leadintake.entrypoints.http.problems import explain
from leadintake.entrypoints.http.reading import AnyRequest

NO_ERRORS: Mapping[str, str] = MappingProxyType({})
"""Of a form that nobody has sent yet."""


def form_errors(request: AnyRequest, error: Refused, at: str = "") -> dict[str, Any]:
    """The `status` of the page that shows the form again, and what is `wrong`, by field.

    An error that names no field is shown `at` this one.
    """
    errors = error.errors if isinstance(error, Invalid) else [FieldError(at, error.detail)]
    return {
        "status": explain(error, request.scope).meaning.status,
        "wrong": {each.field: each.message for each in errors},
    }
