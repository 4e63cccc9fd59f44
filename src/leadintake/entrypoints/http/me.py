"""One's own account: who am I, my password, my sessions."""

from typing import Annotated

import structlog
from litestar import Router, delete, get, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from leadintake.application.staff import view
from leadintake.application.views import SessionView, UserView
from leadintake.domain.people import PASSWORD_MIN_CHARACTERS
from leadintake.entrypoints.errors import TooManyRequests
from leadintake.entrypoints.http.document import PASSWORD, describe
from leadintake.entrypoints.http.guard import SignedIn, signed_in
from leadintake.entrypoints.http.reading import parsed_id, read_json
from leadintake.entrypoints.http.serving import serving

log = structlog.get_logger()


class PasswordChange(Struct):
    """A change of password."""

    current_password: Annotated[str, Meta(description="The password so far, as text.")]
    new_password: Annotated[
        str,
        Meta(
            description=f"The new password, as text of at least {PASSWORD_MIN_CHARACTERS} characters.",
            extra_json_schema=PASSWORD,
        ),
    ]


class Sessions(Struct):
    """Where one is signed in."""

    items: list[SessionView]


@get("/me", operation_id="getMe", summary="Who am I")
async def me(request: SignedIn) -> UserView:
    """The user that the access token belongs to."""
    return view(request.user)


@post(
    "/me/password",
    operation_id="changePassword",
    summary="Change my password",
    status_code=204,
    opt=describe(TooManyRequests, json=PasswordChange),
)
async def change_password(request: SignedIn) -> None:
    """Change the password. All other sessions end; this one goes on."""
    change = await read_json(request, PasswordChange)
    await replace_password(request, change.current_password, change.new_password)


async def replace_password(request: SignedIn, current: str, new: str) -> None:
    """Change one's own password, and write a line about it to the log; raises Invalid, TooManyRequests or NotCounted.

    What is wrong with the new one is told first, because that is no guess at the current one.
    """
    here = serving(request)
    await here.app.accounts.check_new_password(request.auth, current, new)
    async with here.own_passwords.one(str(request.user.id)):
        await here.app.accounts.change_password(request.auth, current, new)
    log.info("authn_password_change", user_id=str(request.user.id))


@get("/me/sessions", operation_id="listSessions", summary="See where I am signed in")
async def sessions(request: SignedIn) -> Sessions:
    """The sessions that are not over, the newest first."""
    return Sessions(await serving(request).app.accounts.sessions(request.auth))


@delete("/me/sessions/{session_id:str}", operation_id="endSession", summary="Sign out somewhere")
async def end_session(request: SignedIn, session_id: FromPath[str]) -> None:
    """End one of one's own sessions at once."""
    await serving(request).app.accounts.end_session(request.auth, parsed_id(session_id))


routes = Router("/", route_handlers=[me, change_password, sessions, end_session], before_request=signed_in, tags=["Me"])
