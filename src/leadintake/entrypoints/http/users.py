"""The users of the firm, for its admins."""

from dataclasses import asdict, dataclass
from typing import Annotated

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
    user, generated = await serving(request).app.staff.add(request.user, new.email, new.full_name, new.role, password)
    return AddedUser(**asdict(user), generated_password=generated)


@patch(
    "/users/{user_id:str}", operation_id="changeUser", summary="Change a user", opt=describe(LastAdmin, json=UserChange)
)
async def change(request: SignedIn, user_id: FromPath[str]) -> UserView:
    """Change name, role or activity. It counts from the user's next request on."""
    wished = Update(**said(await read_json(request, UserChange)))
    return await serving(request).app.staff.update(request.user, parsed_id(user_id), wished)


routes = Router("/", route_handlers=[users, add, change], before_request=signed_in_manager, tags=["Users"])
