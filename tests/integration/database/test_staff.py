"""Users, managed by admins and from the command line."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from tests.practice import OPERATOR, PASSWORD, Practice
from tests.records import FIRST_FIRM, NOW

from leadintake.application.staff import Update
from leadintake.application.views import UserView
from leadintake.domain.errors import (
    EmailTaken,
    Invalid,
    LastAdmin,
    NotAllowed,
    NotFound,
    NotSignedIn,
    WrongCredentials,
)
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Role, User

NEW = "another good password"
DEACTIVATE = Update(is_active=False)
UNTIL = NOW + FIRST_PASSWORD_LIFETIME


async def can_sign_in(practice: Practice, password: str) -> bool:
    """Whether Joan can sign in with a password."""
    try:
        await practice.accounts.sign_in("joan@firm.example", password)
    except WrongCredentials:
        return False
    return True


async def test_adding_a_user(practice: Practice) -> None:
    """An admin adds a user, who can sign in with the password that was given."""
    admin = await practice.user(Role.ADMIN)
    added, made = await practice.staff.add(admin, " Joan@firm.example ", " Joan\u200b Clarke ", Role.ATTORNEY, NEW)

    assert added == UserView(added.id, "Joan@firm.example", "Joan Clarke", Role.ATTORNEY, True, NOW, UNTIL)  # noqa: FBT003 - active
    assert made is None
    assert await can_sign_in(practice, NEW)
    assert await practice.staff.everybody(admin) == [
        UserView(admin.id, admin.email, admin.full_name, Role.ADMIN, True, NOW, UNTIL),  # noqa: FBT003 - active
        added,
    ]


async def test_a_password_is_made(practice: Practice) -> None:
    """Where no password is given one is made, and returned this once."""
    _, made = await practice.staff.add(OPERATOR, "joan@firm.example", "Joan", Role.ADMIN)

    assert made
    assert await can_sign_in(practice, made)


@pytest.mark.parametrize(
    ("email", "name", "password", "field"),
    [
        ("nobody", "Joan", NEW, "email"),
        ("joan@firm.example", " ", NEW, "full_name"),
        ("joan@firm.example", "\0", NEW, "full_name"),
        ("joan@firm.example", "Joan", "", "password"),
        ("joan@firm.example", "Joan", "short", "password"),
        ("joan@firm.example", "Joan", "joan@firm.example", "password"),
        ("joan@firm.example", "Joan Elisabeth Clarke", "Joan Elisabeth Clarke", "password"),
    ],
)
async def test_a_user_that_cannot_be_added(
    practice: Practice, email: str, name: str, password: str, field: str
) -> None:
    """The field that is wrong is named, and nobody is added."""
    with pytest.raises(Invalid) as refused:
        await practice.staff.add(OPERATOR, email, name, Role.ATTORNEY, password)

    assert [error.field for error in refused.value.errors] == [field]
    assert await practice.staff.everybody(OPERATOR) == []


async def test_one_account_an_address(practice: Practice) -> None:
    """Of ten at once with one address one is added."""
    answers = await asyncio.gather(
        *(practice.staff.add(OPERATOR, "joan@firm.example", "Joan", Role.ATTORNEY, NEW) for _ in range(10)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers].count(EmailTaken) == 9
    assert len(await practice.staff.everybody(OPERATOR)) == 1


async def test_updating(practice: Practice) -> None:
    """What is given changes, and the rest stays."""
    admin, joan = await practice.user(Role.ADMIN), await practice.user(name="joan")
    renamed = await practice.staff.update(admin, joan.id, Update(full_name=" Joan  Murray "))
    promoted = await practice.staff.update(admin, joan.id, Update(role=Role.ADMIN))
    unchanged = await practice.staff.update(admin, joan.id, Update())

    assert (renamed.full_name, renamed.role, renamed.is_active) == ("Joan  Murray", Role.ATTORNEY, True)
    assert (promoted.full_name, promoted.role, promoted.is_active) == ("Joan  Murray", Role.ADMIN, True)
    assert unchanged == promoted


async def test_wrong_name(practice: Practice) -> None:
    """A name that cannot be one is refused, and nothing else of the update is done."""
    admin, joan = await practice.user(Role.ADMIN), await practice.user(name="joan")
    with pytest.raises(Invalid):
        await practice.staff.update(admin, joan.id, Update(full_name="\u200b", role=Role.ADMIN))

    assert (await practice.staff.find(OPERATOR, joan.email)).role is Role.ATTORNEY


@pytest.mark.parametrize("update", [DEACTIVATE, Update(role=Role.ATTORNEY)])
async def test_the_last_admin_stays(practice: Practice, update: Update) -> None:
    """There is always somebody who can manage users, and a refusal changes nothing."""
    admin = await practice.user(Role.ADMIN)
    session = await practice.accounts.sign_in(admin.email, PASSWORD)
    with pytest.raises(LastAdmin):
        await practice.staff.update(admin, admin.id, update)

    assert (await practice.accounts.authenticate(session.access_token)).user == admin


async def test_the_last_two_admins(practice: Practice) -> None:
    """When two admins deactivate each other at once, one of them stays."""
    one, two = await practice.user(Role.ADMIN, "one"), await practice.user(Role.ADMIN, "two")
    answers = await asyncio.gather(
        practice.staff.update(one, two.id, DEACTIVATE),
        practice.staff.update(two, one.id, DEACTIVATE),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers].count(LastAdmin) == 1
    assert [view.is_active for view in await practice.staff.everybody(OPERATOR)].count(True) == 1


async def test_deactivation_signs_out(practice: Practice) -> None:
    """Who is deactivated has no session left, also when active again."""
    await practice.user(Role.ADMIN)
    joan = await practice.user(name="joan")
    await practice.accounts.sign_in(joan.email, PASSWORD)
    await practice.staff.update(OPERATOR, joan.id, DEACTIVATE)

    assert await practice.staff.end_sessions(OPERATOR, joan.email) == 0


@pytest.mark.parametrize(("given", "returned"), [(NEW, None), (None, PASSWORD)])
async def test_resetting_a_password(practice: Practice, given: str | None, returned: str | None) -> None:
    """The new password counts, be it given or made, and whoever was signed in with the old one is out."""
    joan = await practice.user(name="joan")
    await practice.database.write(FIRST_FIRM, lambda tx: tx.people.set_password(joan.id, "hash of forgotten", None))
    await practice.accounts.sign_in(joan.email, "forgotten")
    made = await practice.staff.reset_password(OPERATOR, "JOAN@firm.example", given)

    assert made == returned
    assert await practice.staff.end_sessions(OPERATOR, joan.email) == 0
    assert await can_sign_in(practice, given or PASSWORD)
    assert not await can_sign_in(practice, "forgotten")


async def test_renewing_a_password(practice: Practice) -> None:
    """A password that is made counts for that user alone, who is out everywhere."""
    admin, joan = await practice.user(Role.ADMIN, "admin"), await practice.user(name="joan")
    await practice.database.write(FIRST_FIRM, lambda tx: tx.people.set_password(joan.id, "hash of forgotten", None))
    await practice.accounts.sign_in(joan.email, "forgotten")
    cookie = await practice.accounts.open_browser_session(joan.email, "forgotten")
    mine = await practice.accounts.sign_in(admin.email, PASSWORD)
    renewed, password = await practice.staff.renew_password(admin, joan.id)

    assert (renewed.id, renewed.email, password) == (joan.id, joan.email, PASSWORD)
    with pytest.raises(NotSignedIn):
        await practice.accounts.recognise(cookie)
    assert await practice.staff.end_sessions(OPERATOR, joan.email) == 0
    assert await can_sign_in(practice, password)
    assert not await can_sign_in(practice, "forgotten")
    assert (await practice.accounts.authenticate(mine.access_token)).user == admin


async def test_renewing_ones_own_password(practice: Practice) -> None:
    """An admin may, and is out like anybody else."""
    admin = await practice.user(Role.ADMIN, "admin")
    session = await practice.accounts.sign_in(admin.email, PASSWORD)
    renewed, _ = await practice.staff.renew_password(admin, admin.id)

    assert renewed.id == admin.id
    with pytest.raises(NotSignedIn):
        await practice.accounts.authenticate(session.access_token)


async def test_a_password_that_will_not_do(practice: Practice) -> None:
    """A reset to a bad password is refused, and signs nobody out."""
    joan = await practice.user(name="joan")
    await practice.accounts.sign_in(joan.email, PASSWORD)
    for password in ("short", joan.email):
        with pytest.raises(Invalid):
            await practice.staff.reset_password(OPERATOR, joan.email, password)

    assert await practice.staff.end_sessions(OPERATOR, joan.email) == 1


@pytest.mark.parametrize("email", ["nobody@firm.example", "", "\udcff"])
async def test_unknown_users(practice: Practice, email: str) -> None:
    """Who is not there can be neither found nor changed."""
    for ask in (practice.staff.find, practice.staff.reset_password, practice.staff.end_sessions):
        with pytest.raises(NotFound):
            await ask(OPERATOR, email)
    with pytest.raises(NotFound):
        await practice.staff.update(OPERATOR, UUID(int=404), Update())
    with pytest.raises(NotFound):
        await practice.staff.renew_password(OPERATOR, UUID(int=404))


VERBS: dict[str, Callable[[Practice, User], Awaitable[object]]] = {
    "everybody": lambda practice, who: practice.staff.everybody(who),
    "add": lambda practice, who: practice.staff.add(who, "joan@firm.example", "Joan", Role.ADMIN),
    "update": lambda practice, who: practice.staff.update(who, who.id, Update(role=Role.ADMIN)),
    "reset_password": lambda practice, who: practice.staff.reset_password(who, "admin@firm.example", NEW),
    "renew_password": lambda practice, who: practice.staff.renew_password(who, who.id),
    "end_sessions": lambda practice, who: practice.staff.end_sessions(who, "admin@firm.example"),
    "find": lambda practice, who: practice.staff.find(who, "admin@firm.example"),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_attorneys_manage_nobody(practice: Practice, verb: str) -> None:
    """Users are managed by admins alone, oneself included."""
    attorney, admin = await practice.user(), await practice.user(Role.ADMIN, "admin")
    await practice.accounts.sign_in(admin.email, PASSWORD)
    before = await practice.staff.everybody(OPERATOR)
    with pytest.raises(NotAllowed):
        await VERBS[verb](practice, attorney)

    assert await practice.staff.everybody(OPERATOR) == before
    assert await practice.staff.end_sessions(OPERATOR, admin.email) == 1
