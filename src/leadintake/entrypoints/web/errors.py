"""Errors for people: a page where a page was asked for, and a problem everywhere else."""

import re
from typing import Any

from litestar import Response
from litestar.response import Template

from leadintake.entrypoints.errors import MethodNotAllowed
from leadintake.entrypoints.http import problems
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.web.pages import page, redirect
from leadintake.entrypoints.web.session import inbox_path

PAGES = frozenset({"", "inbox", "received"})
"""What the addresses of pages begin with."""

HAS_FORMS = re.compile(r"/inbox/(?:(?:leads|users)/[^/]+|account)(?=/)")
"""What the address of a page is whose forms go to addresses below it."""


def on_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """The framework's handler for every exception."""
    if not _is_for_a_page(request):
        return problems.on_error(request, error)
    error = problems.translated(error)
    if isinstance(error, MethodNotAllowed) and request.method == "GET" and request.url.path.startswith("/inbox/"):
        page_of_form = HAS_FORMS.match(request.url.path)
        return redirect(request, inbox_path(page_of_form[0] if page_of_form else ""))
    return error_page(request, error)


def error_page(request: AnyRequest, error: Exception, draft: str = "") -> Template:
    """A page about an error, with the draft that could not be saved because of it."""
    explained = problems.explain(error, request.scope)
    home = "/inbox" if request.url.path.startswith("/inbox") else "/"
    return page(
        "error",
        status=explained.meaning.status,
        headers=explained.headers,
        title=explained.meaning.title,
        detail=explained.detail,
        draft=draft,
        home=home,
        request_id=request.scope["state"]["request_id"],
    )


def _is_for_a_page(request: AnyRequest) -> bool:
    """Whether a person looks at the answer: at the address of a page, or where there is nothing, in a browser."""
    if request.scope["path"].split("/")[1] in PAGES:
        return True
    return not request.scope.get("path_template") and "text/html" in request.headers.get("accept", "")
