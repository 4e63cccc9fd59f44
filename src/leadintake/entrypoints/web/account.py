"""One's own account: who one is, one's password, and where one is signed in."""

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from leadintake.domain.errors import Invalid, NotFound, Unavailable
from leadintake.domain.people import PASSWORD_MIN_CHARACTERS
from leadintake.entrypoints.errors import TooManyRequests
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.me import replace_password
from leadintake.entrypoints.http.problems import explain
from leadintake.entrypoints.http.reading import parsed_id, read_pairs
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web.form_errors import NO_ERRORS, form_errors
from leadintake.entrypoints.web.pages import desk_page, just_done, redirect, saying

DONE = {
    "changed": "Your password is changed. You are signed out everywhere else.",
    "ended": "The other session is over.",
}
"""What was done just before, by what the address of the page says."""


@get("/inbox/account")
async def account(request: SignedIn) -> Template:
    """One's own account."""
    return await _shown(request)


@post("/inbox/account/password")
async def change_password(request: SignedIn) -> Template | Redirect:
    """Change the password. All other sessions end; this one goes on."""
    form = await read_pairs(request)
    try:
        await replace_password(request, form.get("current_password", ""), form.get("new_password", ""))
    except Invalid as error:
        return await _shown(request, **form_errors(request, error))
    except (TooManyRequests, Unavailable) as error:
        explained = explain(error, request.scope)
        wrong = {"current_password": explained.detail}
        return await _shown(request, status=explained.meaning.status, headers=explained.headers, wrong=wrong)
    return redirect(request, saying("/inbox/account", "changed"))


@post("/inbox/account/sessions/{session_id:str}/end")
async def end_session(request: SignedIn, session_id: FromPath[str]) -> Redirect:
    """Sign out somewhere else. A session that is over already needs nothing more."""
    wanted = parsed_id(session_id)
    with suppress(NotFound):
        await serving(request).app.accounts.end_session(request.auth, wanted)
    return redirect(request, saying("/inbox/account", "ended"))


async def _shown(
    request: SignedIn,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    wrong: Mapping[str, str] = NO_ERRORS,
) -> Template:
    app = serving(request).app
    return desk_page(
        request,
        "account",
        await app.inbox.trouble(request.user),
        status=status,
        headers=headers,
        place="account",
        done=just_done(request, DONE),
        wrong=wrong,
        password_min=PASSWORD_MIN_CHARACTERS,
        sessions=await app.accounts.sessions(request.auth),
    )
