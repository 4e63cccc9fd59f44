"""Signing in, staying signed in, and signing out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from tests.fakes import PlainPasswords
from tests.practice import OPERATOR, PASSWORD, Practice
from tests.records import FIRST_FIRM, NOW

from leadintake.application.accounts import ACCESS_LIFETIME, Grant, Identity
from leadintake.application.ports.security import Claims
from leadintake.application.staff import Update
from leadintake.domain.errors import Invalid, NotFound, NotSignedIn, SessionOver, WrongCredentials
from leadintake.domain.people import SESSION_IDLE, SESSION_LIFETIME, Role

EMAIL = "grace@firm.example"
NEW = "another good password"
MOMENT = timedelta(microseconds=1)


async def signed_in(practice: Practice) -> Grant:
    """A user who has just signed in."""
    await practice.user()
    return await practice.accounts.sign_in(EMAIL, PASSWORD)


async def is_signed_in(practice: Practice, grant: Grant) -> bool:
    """Whether an access token counts."""
    try:
        await practice.accounts.authenticate(grant.access_token)
    except NotSignedIn:
        return False
    return True


async def test_signing_in(practice: Practice) -> None:
    """The right password opens a session for 15 minutes at a time, whatever the case of the address."""
    user = await practice.user()
    grant = await practice.accounts.sign_in(" GRACE@firm.example", PASSWORD)
    identity = await practice.accounts.authenticate(grant.access_token)

    assert grant.expires_in == 15 * 60
    assert identity.user == user
    assert [(view.id, view.current) for view in await practice.accounts.sessions(identity)] == [
        (identity.session_id, True)
    ]
    practice.clock.advance(ACCESS_LIFETIME)
    assert not await is_signed_in(practice, grant)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        (EMAIL, ""),
        (EMAIL, PASSWORD + "\0"),
        (EMAIL, "\ud800"),
        (EMAIL, "x" * 1025),
        ("nobody@firm.example", PASSWORD),
        ("\ud800", PASSWORD),
        ("a\0b", PASSWORD),
        ("", ""),
    ],
)
async def test_wrong_credentials(practice: Practice, email: str, password: str) -> None:
    """Whatever is wrong, the refusal is the same."""
    await practice.user()
    with pytest.raises(WrongCredentials) as refused:
        await practice.accounts.sign_in(email, password)

    assert refused.value.detail == "The email address or the password is wrong."


async def test_who_is_not_active(practice: Practice) -> None:
    """The right password of a user who is not active is wrong."""
    user = await practice.user()
    await practice.user(Role.ADMIN, "admin")
    await practice.staff.update(OPERATOR, user.id, Update(is_active=False))

    with pytest.raises(WrongCredentials):
        await practice.accounts.sign_in(EMAIL, PASSWORD)


@dataclass
class Meanwhile(PlainPasswords):
    """Passwords that take their time, in which something else happens."""

    happens: Callable[[], Awaitable[object]]
    asked: list[str | None] = field(default_factory=list)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        self.asked.append(password_hash)
        if len(self.asked) == 1:
            await self.happens()
        return await super().verify(password_hash, password)


@pytest.mark.asvs("V6.4.3")
async def test_a_password_that_is_reset_meanwhile(practice: Practice) -> None:
    """Who signs in with a password that is replaced at the same moment gets no session, and does not bring it back."""
    await practice.user()
    practice.passwords = Meanwhile(lambda: practice.staff.reset_password(OPERATOR, EMAIL, NEW))
    with pytest.raises(WrongCredentials):
        await practice.accounts.sign_in(EMAIL, PASSWORD)

    assert await is_signed_in(practice, await practice.accounts.sign_in(EMAIL, NEW))
    assert await practice.staff.end_sessions(OPERATOR, EMAIL) == 1


async def test_a_user_who_is_deactivated_meanwhile(practice: Practice) -> None:
    """Nor does one whose account is closed at the same moment, so that no session is there when it is opened again."""
    user = await practice.user()
    await practice.user(Role.ADMIN, "admin")
    practice.passwords = Meanwhile(lambda: practice.staff.update(OPERATOR, user.id, Update(is_active=False)))
    with pytest.raises(WrongCredentials):
        await practice.accounts.sign_in(EMAIL, PASSWORD)
    await practice.staff.update(OPERATOR, user.id, Update(is_active=True))

    assert await practice.staff.end_sessions(OPERATOR, EMAIL) == 0


async def test_a_change_does_not_undo_a_reset(practice: Practice) -> None:
    """Who changes a password that is reset at the same moment has the wrong current one."""
    identity = await practice.accounts.authenticate((await signed_in(practice)).access_token)
    practice.passwords = Meanwhile(lambda: practice.staff.reset_password(OPERATOR, EMAIL, NEW))
    with pytest.raises(Invalid):
        await practice.accounts.change_password(identity, PASSWORD, "an attacker's password")

    assert await is_signed_in(practice, await practice.accounts.sign_in(EMAIL, NEW))


@pytest.mark.asvs("V6.3.8")
async def test_nobody_takes_as_long(practice: Practice) -> None:
    """A password is verified even where there is no user to verify it for."""
    practice.passwords = asked = Meanwhile(practice.database.ping)
    with pytest.raises(WrongCredentials):
        await practice.accounts.sign_in("nobody@firm.example", PASSWORD)

    assert asked.asked == [None]


@pytest.mark.asvs("V11.2.2", "V11.4.2")
async def test_an_outdated_hash_is_renewed(practice: Practice) -> None:
    """Signing in replaces a hash that was made with weaker parameters, only such a one, and nothing else."""
    user = await practice.user()
    until, old = user.password_expires_at, f"old hash of {PASSWORD}"
    await practice.database.write(FIRST_FIRM, lambda tx: tx.people.set_password(user.id, old, until))
    await practice.accounts.sign_in(EMAIL, PASSWORD)
    found = await practice.database.read(FIRST_FIRM, lambda tx: tx.people.with_password(EMAIL))

    assert found == (user, f"hash of {PASSWORD}")


async def test_refreshing(practice: Practice) -> None:
    """A refresh token is exchanged for new tokens, and the session goes on."""
    first = await signed_in(practice)
    practice.clock.advance(SESSION_IDLE - MOMENT)
    second = await practice.accounts.refresh(first.refresh_token)

    assert second.refresh_token != first.refresh_token
    assert await is_signed_in(practice, second)


async def test_a_copied_token_ends_the_session(practice: Practice) -> None:
    """A refresh token that is used twice was copied, so nobody goes on with the session (RFC 9700)."""
    first = await signed_in(practice)
    second = await practice.accounts.refresh(first.refresh_token)
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(first.refresh_token)

    assert not await is_signed_in(practice, second)
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(second.refresh_token)


async def test_one_refresh_of_many_wins(practice: Practice) -> None:
    """Of ten at once with one token at most one gets new tokens, and they do not count, because it was used twice."""
    first = await signed_in(practice)
    answers = await asyncio.gather(
        *(practice.accounts.refresh(first.refresh_token) for _ in range(10)), return_exceptions=True
    )
    [second] = [answer for answer in answers if isinstance(answer, Grant)]

    assert [type(answer) for answer in answers].count(SessionOver) == 9
    assert not await is_signed_in(practice, second)


@pytest.mark.parametrize("token", ["", ".", "x.y", "\ud800.x", f"{UUID(int=0)}.x", f"{UUID(int=0)}", "x" * 10_000])
async def test_tokens_that_are_none(practice: Practice, token: str) -> None:
    """Anything else is no token, and no harm."""
    grant = await signed_in(practice)
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(token)
    with pytest.raises(NotSignedIn):
        await practice.accounts.authenticate(token)
    await practice.accounts.revoke(token)

    assert await is_signed_in(practice, grant)


async def test_a_wrong_secret_changes_nothing(practice: Practice) -> None:
    """Who knows a session's id but not its secret can neither go on with it nor end it."""
    grant = await signed_in(practice)
    forged = grant.refresh_token.partition(".")[0] + ".forged"
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(forged)
    await practice.accounts.revoke(forged)

    assert await is_signed_in(practice, await practice.accounts.refresh(grant.refresh_token))


@pytest.mark.attack(111)
async def test_a_token_for_somebody_elses_session(practice: Practice) -> None:
    """A token counts only for the user whose session it names, whoever signed it."""
    grant = await signed_in(practice)
    identity = await practice.accounts.authenticate(grant.access_token)
    joan = await practice.user(name="joan")
    token = practice.tokens.issue(Claims(joan.id, identity.session_id), NOW, ACCESS_LIFETIME)

    with pytest.raises(NotSignedIn):
        await practice.accounts.authenticate(token)
    await practice.accounts.revoke(token)
    assert await is_signed_in(practice, grant)


@pytest.mark.asvs("V7.3.1-2")
async def test_an_idle_session_ends(practice: Practice) -> None:
    """A session that was not refreshed for half an hour is over."""
    grant = await signed_in(practice)
    practice.clock.advance(SESSION_IDLE)

    with pytest.raises(SessionOver):
        await practice.accounts.refresh(grant.refresh_token)


@pytest.mark.asvs("V7.3.1-2")
async def test_a_session_lasts_twelve_hours(practice: Practice) -> None:
    """However often it is refreshed, a session ends twelve hours after it began, and its last tokens with it."""
    grant = await signed_in(practice)
    while practice.clock.at + SESSION_IDLE - MOMENT < NOW + SESSION_LIFETIME:
        practice.clock.advance(SESSION_IDLE - MOMENT)
        grant = await practice.accounts.refresh(grant.refresh_token)
    practice.clock.at = NOW + SESSION_LIFETIME - timedelta(minutes=1)
    last = await practice.accounts.refresh(grant.refresh_token)
    practice.clock.at = NOW + SESSION_LIFETIME

    assert last.expires_in == 60
    assert not await is_signed_in(practice, last)
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(last.refresh_token)


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
async def test_revoking(practice: Practice, token: str) -> None:
    """Either token ends its session at once, and no other; to revoke it again is no error."""
    first = await signed_in(practice)
    second = await practice.accounts.sign_in(EMAIL, PASSWORD)
    for _ in range(2):
        await practice.accounts.revoke(getattr(first, token))

    assert not await is_signed_in(practice, first)
    assert await is_signed_in(practice, second)
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(first.refresh_token)


async def test_revoking_what_was_replaced(practice: Practice) -> None:
    """A refresh token that was exchanged already still ends its session."""
    first = await signed_in(practice)
    second = await practice.accounts.refresh(first.refresh_token)
    await practice.accounts.revoke(first.refresh_token)

    assert not await is_signed_in(practice, second)


@pytest.mark.asvs("V7.4.3")
async def test_changing_the_password(practice: Practice) -> None:
    """The new password counts from now on, and all other sessions are over."""
    first = await signed_in(practice)
    other = await practice.accounts.sign_in(EMAIL, PASSWORD)
    identity = await practice.accounts.authenticate(first.access_token)
    await practice.accounts.change_password(identity, PASSWORD, NEW)

    assert await is_signed_in(practice, first)
    assert not await is_signed_in(practice, other)
    assert await is_signed_in(practice, await practice.accounts.sign_in(EMAIL, NEW))
    with pytest.raises(WrongCredentials):
        await practice.accounts.sign_in(EMAIL, PASSWORD)


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("wrong", NEW, "current_password"),
        ("\ud800", NEW, "current_password"),
        ("x" * 2000, NEW, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "\0" * 12, "new_password"),
        (PASSWORD, EMAIL, "new_password"),
    ],
)
async def test_a_password_that_cannot_be_changed(practice: Practice, current: str, new: str, field: str) -> None:
    """The field that is wrong is named, and the password stays."""
    identity = await practice.accounts.authenticate((await signed_in(practice)).access_token)
    with pytest.raises(Invalid) as refused:
        await practice.accounts.change_password(identity, current, new)

    assert [error.field for error in refused.value.errors] == [field]
    assert await is_signed_in(practice, await practice.accounts.sign_in(EMAIL, PASSWORD))


async def test_ones_own_sessions(practice: Practice) -> None:
    """A user sees the own sessions that are not over, newest first, and ends those and no others."""
    old = await signed_in(practice)
    practice.clock.advance(SESSION_IDLE)
    other = await practice.accounts.sign_in(EMAIL, PASSWORD)
    practice.clock.advance(MOMENT)
    identity = await practice.accounts.authenticate((await practice.accounts.sign_in(EMAIL, PASSWORD)).access_token)
    seen = await practice.accounts.sessions(identity)
    joan = await practice.user(name="joan")

    assert [view.current for view in seen] == [True, False]
    assert str(seen[1].id) == other.refresh_token.partition(".")[0] != old.refresh_token.partition(".")[0]
    assert seen[0].expires_at == practice.clock.at + SESSION_IDLE
    with pytest.raises(NotFound):
        await practice.accounts.end_session(Identity(joan, UUID(int=404)), seen[1].id)
    await practice.accounts.end_session(identity, seen[1].id)
    with pytest.raises(NotFound):
        await practice.accounts.end_session(identity, seen[1].id)
    assert not await is_signed_in(practice, other)
    assert [view.id for view in await practice.accounts.sessions(identity)] == [identity.session_id]


@pytest.mark.asvs("V7.2.1-2", "V8.3.2")
async def test_changes_count_at_once(practice: Practice) -> None:
    """A role that changes counts from the next request on, and who is deactivated has none."""
    grant = await signed_in(practice)
    await practice.user(Role.ADMIN, "admin")
    user = (await practice.accounts.authenticate(grant.access_token)).user
    await practice.staff.update(OPERATOR, user.id, Update(role=Role.ADMIN))
    promoted = await practice.accounts.authenticate(grant.access_token)
    await practice.staff.update(OPERATOR, user.id, Update(is_active=False))
    while_closed = await is_signed_in(practice, grant)
    await practice.staff.update(OPERATOR, user.id, Update(is_active=True))

    assert promoted.user.role is Role.ADMIN
    assert not while_closed
    assert not await is_signed_in(practice, grant)
