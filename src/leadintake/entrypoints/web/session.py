"""Sessions in a browser: a cookie names one, and no other site can send anything in its name."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypedDict, Unpack
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect, Template

from leadintake.domain.errors import NotAllowed
from leadintake.domain.people import Permission, User
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.web.pages import page, redirect

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OUR_SITE = frozenset({"same-origin", "none"})

INBOX_PATH = re.compile(r"/inbox(?:/[A-Za-z0-9/_-]*)?(?:\?[A-Za-z0-9=&%+._~-]*)?")
"""Where a sign-in may lead to, so that no link of ours ends on another site."""

POLLS = {"is_poll": True}
"""Options of a handler that a page asks by itself, which is no sign that anybody is there."""

RECORDS = {"is_recorded": True}
"""Options of a handler that only reads, and yet leaves a trace in the record."""


async def same_origin(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse what the page of another site makes a browser send (cross-site request forgery); raises NotAllowed.

    Browsers say where a request comes from: in Sec-Fetch-Site (W3C Fetch Metadata), which no page can forge, and over
    plain HTTP, where they leave that out, in Origin. What says neither is no form of ours.
    """
    site = connection.headers.get("sec-fetch-site")
    if connection.scope.get("method") in SAFE and not (site and handler.opt.get("is_recorded")):
        return
    if site is None:
        ours = {connection.headers.get("host"), urlsplit(serving(connection).settings.base_url).netloc}
        is_ours = connection.headers.get("origin", "").partition("://")[2] in ours
    else:
        is_ours = site in OUR_SITE
    if not is_ours:
        raise NotAllowed("This was sent from another site. Open the page here, and do it from there.")


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in whose cookie names a session that is not over; raises NotSignedIn."""
    accounts = serving(connection).app.accounts
    identity = await accounts.recognise(cookie_of(connection), keep_alive=not handler.opt.get("is_poll"))
    connection.scope["user"] = identity.user
    connection.scope["auth"] = identity


async def may_manage_users(connection: ASGIConnection[Any, User, Any, Any], _: BaseRouteHandler) -> None:
    """Let in those who may manage users; raises NotAllowed."""
    connection.user.require(Permission.MANAGE_USERS)


def ask_to_sign_in(request: AnyRequest, _: Exception) -> Template | Redirect:
    """Lead to the sign-in, and from there back to what was asked for; say of what was sent that it was not done."""
    if request.method not in SAFE:
        return sign_in_form(_came_from(request), status=HTTPStatus.UNAUTHORIZED, is_undone=True)
    url = request.url
    came_for = inbox_path(f"{url.path}?{url.query}" if url.query else url.path)
    if "is_poll" in request.route_handler.opt:
        came_for = _came_from(request)
    elif "is_recorded" in request.route_handler.opt:
        came_for = inbox_path(url.path.rpartition("/")[0])  # To a download, a browser shows no page.
    return redirect(request, f"/inbox/sign-in?{urlencode({'next': came_for})}")


def _came_from(request: AnyRequest) -> str:
    """The page of ours that sent a request, without the names in its address that say what was done before."""
    path, _, query = request.headers.get("referer", "").partition("://")[2].partition("/")[2].partition("?")
    of_page = f"/{path}".removeprefix(urlsplit(serving(request).settings.base_url).path)
    selection = urlencode(parse_qsl(query))  # Those names have no value, and are left out.
    return inbox_path(f"{of_page}?{selection}" if selection else of_page)


class Told(TypedDict, total=False):
    """Why somebody is asked to sign in. `email` is what was typed, and `wrong` what is wrong with it or the password.

    `is_undone` says that the session was over when something was to be done.
    """

    email: str
    wrong: str
    is_signed_out: bool
    is_undone: bool


def sign_in_form(
    wanted: str, *, status: int = HTTPStatus.OK, kept: Mapping[str, str] | None = None, **told: Unpack[Told]
) -> Template:
    """The page that asks for address and password, and leads to what was `wanted`.

    It sends along what was `kept` of a form that came too late.
    """
    facts: dict[str, Any] = {"email": "", "wrong": "", "is_signed_out": False, "is_undone": False, **told}
    return page("sign_in", status=status, wanted=wanted, kept=kept or {}, **facts)


def inbox_path(path: str) -> str:
    """A path of the inbox as it is; for anything else, the inbox."""
    return path if INBOX_PATH.fullmatch(path) else "/inbox"


def _name(settings: Settings) -> str:
    """Over HTTPS, a name that browsers let only this very host set, and only in a secure way (RFC 6265bis 4.1.3.2)."""
    return "__Host-leadintake" if settings.base_url.startswith("https:") else "leadintake"


def cookie_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The value of the cookie, empty when there is none. Of two, one was planted; nobody can tell which."""
    name = _name(serving(connection).settings)
    pairs = [pair.strip().partition("=") for pair in "; ".join(connection.headers.getall("cookie", [])).split(";")]
    found = [value for key, _, value in pairs if key == name]
    return found[0] if len(found) == 1 else ""


def session_cookie(settings: Settings, value: str, max_age: int | None = None) -> Cookie:
    """The cookie that names a session, until the browser is closed or for `max_age` seconds."""
    is_secure = settings.base_url.startswith("https:")
    return Cookie(
        _name(settings), value=value, max_age=max_age, path="/", secure=is_secure, httponly=True, samesite="lax"
    )
