"""Signing in and out."""

from dataclasses import asdict
from http import HTTPStatus

from litestar import get, post
from litestar.response import Redirect, Template

from leadintake.domain.errors import NotSignedIn, Unavailable, WrongCredentials
from leadintake.entrypoints.errors import TooManyRequests
from leadintake.entrypoints.http.auth import attempt_sign_in
from leadintake.entrypoints.http.problems import explain
from leadintake.entrypoints.http.reading import AnyRequest, read_pairs
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web import notes
from leadintake.entrypoints.web.pages import redirect
from leadintake.entrypoints.web.session import cookie_of, inbox_path, session_cookie, sign_in_form, signed_in


@get("/inbox/sign-in")
async def sign_in_page(request: AnyRequest) -> Template | Redirect:
    """Ask for address and password, or go on where somebody is signed in already."""
    wanted = inbox_path(request.query_params.get("next", ""))
    try:
        await signed_in(request, request.route_handler)
    except NotSignedIn:
        return sign_in_form(wanted, is_signed_out="signed-out" in request.query_params)
    return redirect(request, wanted)


@post("/inbox/sign-in", status_code=HTTPStatus.OK)
async def sign_in(request: AnyRequest) -> Template | Redirect:
    """Open a session, in place of the one that the browser has; then do what was waiting for it."""
    form = await read_pairs(request)
    email, wanted, draft = form.get("email", ""), inbox_path(form.get("next", "")), notes.Draft.read(form)
    accounts = serving(request).app.accounts
    try:
        cookie = await attempt_sign_in(request, email, form.get("password", ""), accounts.open_browser_session)
        await _end(request, cookie_of(request))
        answer: Template | Redirect = redirect(request, wanted)
        if draft:
            identity = await accounts.recognise(cookie)
            request.scope["user"], request.scope["auth"] = identity.user, identity
            answer = await notes.save(request, draft, wanted)
    except (WrongCredentials, TooManyRequests, Unavailable) as error:
        explained = explain(error, request.scope)
        again = sign_in_form(
            wanted,
            email=email,
            wrong=explained.detail,
            kept=asdict(draft) if draft else None,
            status=explained.meaning.status,
        )
        again.headers.update(explained.headers)
        return again
    answer.set_cookie(session_cookie(serving(request).settings, cookie))
    return answer


@post("/inbox/sign-out", status_code=HTTPStatus.SEE_OTHER)
async def sign_out(request: AnyRequest) -> Redirect:
    """End the session, if it is not over already."""
    await _end(request, cookie_of(request))
    answer = redirect(request, "/inbox/sign-in?signed-out")
    answer.set_cookie(session_cookie(serving(request).settings, "", max_age=0))
    return answer


async def _end(request: AnyRequest, cookie: str) -> None:
    accounts = serving(request).app.accounts
    try:
        identity = await accounts.recognise(cookie, keep_alive=False)
    except NotSignedIn:
        return
    await accounts.end_session(identity, identity.session_id)
