"""The users of the firm, for its admins."""

from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID

import structlog
from litestar import Router, get, patch, post
from litestar.params import FromPath
from msgspec import UNSET, Meta, Struct, UnsetType

from leadintake.application.staff import Update
from leadintake.application.views import UserView
from leadintake.domain.errors import EmailTaken, LastAdmin
from leadintake.domain.people import PASSWORD_MIN_CHARACTERS, Role
from leadintake.domain.values import ADDRESS_MAX_CHARACTERS, NAME_MAX_CHARACTERS
from leadintake.entrypoints.http.document import NAME, PASSWORD, describe
from leadintake.entrypoints.http.guard import SignedIn, signed_in_manager
from leadintake.entrypoints.http.reading import parsed_id, read_json, said
from leadintake.entrypoints.http.serving import serving

log = structlog.get_logger()

FullName = Annotated[
    str,
    Meta(
        description=f"The full name, as text of 1 to {NAME_MAX_CHARACTERS} characters.",
        extra_json_schema=NAME,
    ),
]
RoleName = Annotated[
    Role, Meta(description="Either attorney or admin; an admin may also manage users and erase leads.")
]


class NewUser(Struct):
    """A user to add."""

    email: Annotated[
        str,
        Meta(
            description="The email address to sign in with, as text.",
            extra_json_schema={"format": "email", "maxLength": ADDRESS_MAX_CHARACTERS},
        ),
    ]
    full_name: FullName
    role: RoleName
    password: (
        Annotated[
            str,
            Meta(
                description=f"The password, as text of at least {PASSWORD_MIN_CHARACTERS} characters. "
                "Without it, one is made and shown once.",
                extra_json_schema=PASSWORD,
            ),
        ]
        | UnsetType
    ) = UNSET


class UserChange(Struct):
    """What to change of a user."""

    full_name: FullName | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    is_active: (
        Annotated[bool, Meta(description="true or false; who is not active is signed out everywhere.")] | UnsetType
    ) = UNSET


class Users(Struct):
    """Who is or was there."""

    items: list[UserView]


@dataclass(frozen=True, slots=True)
class AddedUser(UserView):
    """The new user. `generated_password` is shown here and never again; null where the password was given."""

    generated_password: str | None = None


@get("/users", operation_id="listUsers", summary="See all users")
async def users(request: SignedIn) -> Users:
    """All users of the firm by creation, those who are no longer active among them."""
    return Users(await serving(request).app.staff.everybody(request.user))


@post("/users", operation_id="addUser", summary="Add a user", opt=describe(EmailTaken, json=NewUser))
async def add(request: SignedIn) -> AddedUser:
    """Add an attorney or an admin, who can sign in at once, and has 72 hours to change the password."""
    new = await read_json(request, NewUser)
    password = None if new.password is UNSET else new.password
    user, generated = await add_user(request, new.email, new.full_name, new.role, password)
    return AddedUser(**asdict(user), generated_password=generated)


@patch(
    "/users/{user_id:str}", operation_id="changeUser", summary="Change a user", opt=describe(LastAdmin, json=UserChange)
)
async def change(request: SignedIn, user_id: FromPath[str]) -> UserView:
    """Change name, role or activity. It counts from the user's next request on."""
    wished = Update(**said(await read_json(request, UserChange)))
    return await update_user(request, parsed_id(user_id), wished)


async def add_user(
    request: SignedIn, email: str, full_name: str, role: Role, password: str | None = None
) -> tuple[UserView, str | None]:
    """Staff.add, with a line in the log that says who added whom."""
    added, generated = await serving(request).app.staff.add(request.user, email, full_name, role, password)
    log.info("user_created", user_id=str(request.user.id), target=str(added.id), role=added.role)
    return added, generated


async def update_user(request: SignedIn, user_id: UUID, wished: Update) -> UserView:
    """Staff.update, with a line in the log that says who changed whom, and what the user may do from now on."""
    user = await serving(request).app.staff.update(request.user, user_id, wished)
    facts = {"role": user.role, "is_active": user.is_active}
    log.info("user_updated", user_id=str(request.user.id), target=str(user_id), **facts)
    return user


routes = Router("/", route_handlers=[users, add, change], before_request=signed_in_manager, tags=["Users"])
