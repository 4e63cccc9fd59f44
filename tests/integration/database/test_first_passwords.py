"""Passwords that somebody else set: they run out, unless their owner changes them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.practice import OPERATOR, PASSWORD, Practice

from leadintake.domain.errors import Invalid, PasswordRanOut, WrongCredentials
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Role, User

EMAIL = "grace@firm.example"
NEW = "another good password"
MOMENT = timedelta(microseconds=1)
AGES = timedelta(days=3650)

SET: dict[str, Callable[[Practice, User], Awaitable[object]]] = {
    "added": lambda *_: _nothing(),
    "reset": lambda practice, user: practice.staff.reset_password(OPERATOR, user.email),
    "reset to one that is given": lambda practice, user: practice.staff.reset_password(OPERATOR, user.email, PASSWORD),
    "renewed": lambda practice, user: practice.staff.renew_password(OPERATOR, user.id),
}


async def _nothing() -> None:
    """The user is there already."""


async def changed(practice: Practice, new: str = NEW) -> None:
    """Sign in, and choose a password of one's own."""
    grant = await practice.accounts.sign_in(EMAIL, PASSWORD)
    identity = await practice.accounts.authenticate(grant.access_token)
    await practice.accounts.change_password(identity, PASSWORD, new)


@pytest.mark.asvs("V6.4.1")
@pytest.mark.parametrize("how", SET)
async def test_they_run_out(practice: Practice, how: str) -> None:
    """However somebody else set it, it counts for three days to the moment. Then who knows it is told so."""
    user = await practice.user()
    practice.clock.advance(timedelta(hours=1) if how != "added" else timedelta())
    await SET[how](practice, user)
    practice.clock.advance(FIRST_PASSWORD_LIFETIME - MOMENT)
    await practice.accounts.sign_in(EMAIL, PASSWORD)
    await practice.accounts.open_browser_session(EMAIL, PASSWORD)
    practice.clock.advance(MOMENT)

    for sign_in in (practice.accounts.sign_in, practice.accounts.open_browser_session):
        with pytest.raises(PasswordRanOut):
            await sign_in(EMAIL, PASSWORD)


@pytest.mark.asvs("V6.4.1")
async def test_nobody_else_learns_that_it_ran_out(practice: Practice) -> None:
    """Who does not know the password is told what everybody is told who guesses."""
    await practice.user()
    practice.clock.advance(FIRST_PASSWORD_LIFETIME)
    with pytest.raises(WrongCredentials) as refused:
        await practice.accounts.sign_in(EMAIL, NEW)

    assert type(refused.value) is WrongCredentials


@pytest.mark.asvs("V6.4.1")
async def test_ones_own_does_not_run_out(practice: Practice) -> None:
    """Once it is changed by its owner it counts for ever, and the list of users shows that."""
    user = await practice.user()
    before = await practice.staff.everybody(OPERATOR)
    await changed(practice)
    after = await practice.staff.everybody(OPERATOR)
    practice.clock.advance(AGES)

    assert [view.password_expires_at for view in before] == [user.created_at + FIRST_PASSWORD_LIFETIME]
    assert [view.password_expires_at for view in after] == [None]
    assert (await practice.accounts.sign_in(EMAIL, NEW)).access_token


@pytest.mark.asvs("V6.4.1")
async def test_it_does_not_become_ones_own(practice: Practice) -> None:
    """A change to the same password is none."""
    await practice.user()
    with pytest.raises(Invalid) as refused:
        await changed(practice, PASSWORD)

    assert [error.field for error in refused.value.errors] == ["new_password"]
    practice.clock.advance(FIRST_PASSWORD_LIFETIME)
    with pytest.raises(PasswordRanOut):
        await practice.accounts.sign_in(EMAIL, PASSWORD)


async def test_a_session_goes_on(practice: Practice) -> None:
    """Who signed in in time stays signed in, and may still choose a password."""
    await practice.user()
    practice.clock.advance(FIRST_PASSWORD_LIFETIME - MOMENT)
    grant = await practice.accounts.sign_in(EMAIL, PASSWORD)
    practice.clock.advance(MOMENT)
    identity = await practice.accounts.authenticate(grant.access_token)
    await practice.accounts.change_password(identity, PASSWORD, NEW)

    assert (await practice.accounts.sign_in(EMAIL, NEW)).access_token


async def test_the_last_admin_gets_back_in(practice: Practice) -> None:
    """The command line sets another one, which has its own three days."""
    await practice.user(Role.ADMIN)
    practice.clock.advance(AGES)
    await practice.staff.reset_password(OPERATOR, EMAIL, NEW)
    practice.clock.advance(FIRST_PASSWORD_LIFETIME - MOMENT)

    assert (await practice.accounts.sign_in(EMAIL, NEW)).access_token
