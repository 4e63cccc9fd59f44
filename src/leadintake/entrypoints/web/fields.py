"""Forms of the desk that come back with something wrong."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from leadintake.domain.errors import FieldError, Invalid, Refused
from leadintake.entrypoints.http.problems import explain
from leadintake.entrypoints.http.reading import AnyRequest

NOTHING: Mapping[str, str] = MappingProxyType({})
"""What is wrong with a form that nobody has sent yet."""


def refused(request: AnyRequest, error: Refused, at: str = "") -> dict[str, Any]:
    """The `status` of the page that shows the form again, and what is `wrong`, by field.

    An error that names no field is said `at` one.
    """
    errors = error.errors if isinstance(error, Invalid) else [FieldError(at, error.detail)]
    return {
        "status": explain(error, request.scope).meaning.status,
        "wrong": {each.field: each.message for each in errors},
    }
