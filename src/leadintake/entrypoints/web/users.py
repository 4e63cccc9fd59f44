"""The users of the firm, for its admins."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from leadintake.application.staff import Update
from leadintake.application.views import UserView
from leadintake.domain.errors import EmailTaken, FieldError, Invalid, LastAdmin, NotFound
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Role
from leadintake.domain.values import ADDRESS_MAX_CHARACTERS, NAME_MAX_CHARACTERS
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.reading import parsed_id, read_pairs
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.http.users import add_user, update_user
from leadintake.entrypoints.web.form_errors import NO_ERRORS, form_errors
from leadintake.entrypoints.web.pages import desk_page, just_done, redirect, saying

log = structlog.get_logger()

DONE = {
    "changed": "The change is saved. It counts from the user's next click on.",
    "deactivated": "The user is deactivated, and signed out everywhere.",
    "activated": "The user is active again, with the same password as before.",
}
"""What was done just before, by what the address of the page says."""


@get("/inbox/users")
async def users(request: SignedIn) -> Template:
    """Everybody who is or was a user, and a form to add one."""
    return await _list(request, {"role": Role.ATTORNEY})


@post("/inbox/users")
async def add(request: SignedIn) -> Template:
    """Add a user, and show the password that was made."""
    form = await read_pairs(request)
    try:
        added, password = await add_user(request, form.get("email", ""), form.get("full_name", ""), _role(form))
    except (Invalid, EmailTaken) as error:
        return await _list(request, form, **form_errors(request, error, at="email"))
    return await _shown(request, "password", status=HTTPStatus.CREATED, person=added, password=password, is_new=True)


@get("/inbox/users/{user_id:str}")
async def user(request: SignedIn, user_id: FromPath[str]) -> Template:
    """One user, and what can be changed."""
    return await _one(request, parsed_id(user_id))


@post("/inbox/users/{user_id:str}")
async def change(request: SignedIn, user_id: FromPath[str]) -> Template | Redirect:
    """Change name and role. Whoever is no admin any more sees no users either."""
    form, wanted = await read_pairs(request), parsed_id(user_id)
    try:
        update = Update(full_name=form.get("full_name", ""), role=_role(form))
        changed = await update_user(request, wanted, update)
    except (Invalid, LastAdmin) as error:
        return await _one(request, wanted, form, **form_errors(request, error, at="role"))
    if changed.id == request.user.id and changed.role is not Role.ADMIN:
        return redirect(request, "/inbox/account")
    return redirect(request, saying(f"/inbox/users/{wanted}", "changed"))


@post("/inbox/users/{user_id:str}/deactivate")
async def deactivate(request: SignedIn, user_id: FromPath[str]) -> Template | Redirect:
    """Let a user in no longer."""
    wanted = parsed_id(user_id)
    try:
        await update_user(request, wanted, Update(is_active=False))
    except LastAdmin as error:
        return await _one(request, wanted, **form_errors(request, error, at="access"))
    return redirect(request, saying(f"/inbox/users/{wanted}", "deactivated"))


@post("/inbox/users/{user_id:str}/activate")
async def activate(request: SignedIn, user_id: FromPath[str]) -> Redirect:
    """Let a user in again."""
    wanted = parsed_id(user_id)
    await update_user(request, wanted, Update(is_active=True))
    return redirect(request, saying(f"/inbox/users/{wanted}", "activated"))


@post("/inbox/users/{user_id:str}/password")
async def renew_password(request: SignedIn, user_id: FromPath[str]) -> Template | Redirect:
    """Make a new password for a user, and show it. One's own is changed with one's account."""
    wanted = parsed_id(user_id)
    if wanted == request.user.id:
        return redirect(request, "/inbox/account")
    person, password = await serving(request).app.staff.renew_password(request.user, wanted)
    log.info("user_password_reset", user_id=str(request.user.id), target=str(wanted))
    return await _shown(request, "password", person=person, password=password, is_new=False)


def _role(form: Mapping[str, str]) -> Role:
    """The role in a form; raises Invalid."""
    try:
        return Role(form.get("role", ""))
    except ValueError:
        raise Invalid(FieldError("role", "Choose a role.")) from None


async def _list(
    request: SignedIn, typed: Mapping[str, str], *, status: int = HTTPStatus.OK, wrong: Mapping[str, str] = NO_ERRORS
) -> Template:
    everybody = await serving(request).app.staff.everybody(request.user)
    return await _shown(request, "users", status=status, typed=typed, wrong=wrong, everybody=everybody)


async def _one(
    request: SignedIn,
    user_id: UUID,
    typed: Mapping[str, str] | None = None,
    *,
    status: int = HTTPStatus.OK,
    wrong: Mapping[str, str] = NO_ERRORS,
) -> Template:
    person = await _find(request, user_id)
    typed = typed or {"full_name": person.full_name, "role": person.role}
    done = just_done(request, DONE)
    return await _shown(request, "user", status=status, typed=typed, wrong=wrong, person=person, done=done)


async def _find(request: SignedIn, user_id: UUID) -> UserView:
    for found in await serving(request).app.staff.everybody(request.user):
        if found.id == user_id:
            return found
    raise NotFound


async def _shown(request: SignedIn, template: str, **facts: Any) -> Template:
    return desk_page(
        request,
        template,
        await serving(request).app.inbox.trouble(request.user),
        place=template,
        roles=list(Role),
        name_max=NAME_MAX_CHARACTERS,
        address_max=ADDRESS_MAX_CHARACTERS,
        first_password_lifetime=FIRST_PASSWORD_LIFETIME,
        now=serving(request).app.staff.now(),
        **facts,
    )
