"""Sessions of browsers: known by a cookie, kept alive by who uses them, and over when they are over."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from tests.practice import OPERATOR, PASSWORD, Practice
from tests.records import FIRST_FIRM, NOW

from leadintake.application.accounts import BROWSER_REFRESH, Identity
from leadintake.application.ports.database import Database, Transaction, by_itself
from leadintake.application.staff import Update
from leadintake.domain.errors import NotSignedIn, SessionOver, Unavailable, WrongCredentials
from leadintake.domain.people import SESSION_IDLE, SESSION_LIFETIME, Role

A = TypeVar("A")
T = TypeVar("T")

EMAIL = "grace@firm.example"
MOMENT = timedelta(microseconds=1)


@dataclass
class Meanwhile:
    """A database that takes its time to write, in which something else happens."""

    database: Database
    happens: Callable[[], Awaitable[object]]

    async def read(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        return await self.database.read(firm_id, work)

    async def glance(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        return await self.database.glance(firm_id, work)

    async def write(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        await self.happens()
        return await self.database.write(firm_id, work)

    async def write_together(
        self, firm_id: UUID, work: Callable[[Transaction, Sequence[A]], Sequence[T | Exception]], task: A
    ) -> T:
        return await by_itself(self, firm_id, work, task)

    async def ping(self) -> None: ...


async def signed_in(practice: Practice) -> str:
    """The cookie of a user who has just signed in."""
    await practice.user()
    return await practice.accounts.open_browser_session(EMAIL, PASSWORD)


async def is_known(practice: Practice, cookie: str, *, keep_alive: bool = False) -> bool:
    """Whether a cookie counts; unless told, the question does not keep the session alive."""
    try:
        await practice.accounts.recognise(cookie, keep_alive=keep_alive)
    except NotSignedIn:
        return False
    return True


async def refreshed(practice: Practice, cookie: str) -> timedelta:
    """How long after NOW a session was last refreshed."""
    identity = await practice.accounts.recognise(cookie, keep_alive=False)
    [session] = await practice.accounts.sessions(identity)
    return session.refreshed_at - NOW


async def test_a_cookie(practice: Practice) -> None:
    """The right password opens a session that its cookie stands for, whichever tab shows it, however often."""
    user = await practice.user()
    cookie = await practice.accounts.open_browser_session(" GRACE@firm.example", PASSWORD)
    identities = await asyncio.gather(*(practice.accounts.recognise(cookie) for _ in range(5)))

    session_id, _, secret = cookie.partition(".")
    assert identities == [Identity(user, UUID(session_id))] * 5
    assert [(view.id, view.current) for view in await practice.accounts.sessions(identities[0])] == [
        (UUID(session_id), True)
    ]
    assert secret
    assert cookie != await practice.accounts.open_browser_session(EMAIL, PASSWORD)


@pytest.mark.asvs("V6.3.4")
@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "wrong"), ("nobody@firm.example", PASSWORD), (EMAIL, "\ud800"), ("", "")]
)
async def test_wrong_credentials(practice: Practice, email: str, password: str) -> None:
    """Whatever is wrong, there is no session."""
    await practice.user()

    with pytest.raises(WrongCredentials):
        await practice.accounts.open_browser_session(email, password)
    assert await practice.staff.end_sessions(OPERATOR, EMAIL) == 0


@pytest.mark.asvs("V7.2.1-2")
@pytest.mark.parametrize(
    "cookie", ["", ".", "x.y", "\ud800.x", f"{UUID(int=0)}.x", f"{UUID(int=0)}", "{id}", "{id}.", "{id}.forged"]
)
async def test_cookies_that_are_none(practice: Practice, cookie: str) -> None:
    """Anything else is nobody's cookie, and no harm, also where it names a session that there is."""
    real = await signed_in(practice)
    practice.clock.advance(BROWSER_REFRESH + MOMENT)
    forged = cookie.replace("{id}", real.partition(".")[0])

    assert not await is_known(practice, forged, keep_alive=True)
    assert await refreshed(practice, real) == timedelta(0)


@pytest.mark.parametrize("prefix", ["", "browser.", "hash of "])
async def test_a_cookie_is_no_token(practice: Practice, prefix: str) -> None:
    """Nothing that can be made of a cookie is exchanged for tokens, or revokes its session."""
    cookie = await signed_in(practice)
    session_id, _, secret = cookie.partition(".")
    token = f"{session_id}.{prefix}{secret}"
    with pytest.raises(SessionOver):
        await practice.accounts.refresh(token)
    with pytest.raises(NotSignedIn):
        await practice.accounts.authenticate(token)
    await practice.accounts.revoke(token)

    assert await is_known(practice, cookie)


@pytest.mark.attack(112)
async def test_a_token_is_no_cookie(practice: Practice) -> None:
    """A refresh token opens no page, and is worth as much as before when somebody has tried."""
    await practice.user()
    first = await practice.accounts.sign_in(EMAIL, PASSWORD)
    for token in (first.refresh_token, first.access_token):
        assert not await is_known(practice, token, keep_alive=True)
    second = await practice.accounts.refresh(first.refresh_token)

    assert not await is_known(practice, first.refresh_token)
    assert (await practice.accounts.authenticate(second.access_token)).user.email == EMAIL


@pytest.mark.asvs("V7.3.1-2")
@pytest.mark.parametrize("polls", [False, True])
async def test_an_idle_session_ends(practice: Practice, polls: bool) -> None:  # noqa: FBT001 - a parameter
    """After half an hour without the user it is over, at the very moment, however often the page asked by itself."""
    cookie = await signed_in(practice)
    for _ in range(29 if polls else 0):
        practice.clock.advance(timedelta(minutes=1))
        assert await is_known(practice, cookie)
    practice.clock.at = NOW + SESSION_IDLE - MOMENT

    assert await is_known(practice, cookie)
    practice.clock.advance(MOMENT)
    assert not await is_known(practice, cookie, keep_alive=True)


async def test_a_used_session_goes_on(practice: Practice) -> None:
    """Whoever does something has another half hour from then on, to the moment."""
    cookie = await signed_in(practice)
    practice.clock.advance(SESSION_IDLE - MOMENT)
    await practice.accounts.recognise(cookie)
    practice.clock.advance(SESSION_IDLE - MOMENT)

    assert await is_known(practice, cookie)
    practice.clock.advance(MOMENT)
    assert not await is_known(practice, cookie, keep_alive=True)


async def test_not_every_click_is_written_down(practice: Practice) -> None:
    """A session is refreshed when that was more than a minute ago, and not before."""
    cookie = await signed_in(practice)
    practice.clock.advance(BROWSER_REFRESH)
    await practice.accounts.recognise(cookie)
    early = await refreshed(practice, cookie)
    practice.clock.advance(MOMENT)
    await practice.accounts.recognise(cookie)

    assert early == timedelta(0)
    assert await refreshed(practice, cookie) == BROWSER_REFRESH + MOMENT


@pytest.mark.asvs("V7.3.1-2")
async def test_a_session_lasts_twelve_hours(practice: Practice) -> None:
    """However busy its user is, a session ends twelve hours after it began."""
    cookie = await signed_in(practice)
    while practice.clock.at + SESSION_IDLE - MOMENT < NOW + SESSION_LIFETIME:
        practice.clock.advance(SESSION_IDLE - MOMENT)
        await practice.accounts.recognise(cookie)
    practice.clock.at = NOW + SESSION_LIFETIME - MOMENT

    assert await is_known(practice, cookie)
    practice.clock.advance(MOMENT)
    assert not await is_known(practice, cookie, keep_alive=True)


async def test_signing_out(practice: Practice) -> None:
    """A session that its user ends is over at once, and no other."""
    cookie = await signed_in(practice)
    other = await practice.accounts.open_browser_session(EMAIL, PASSWORD)
    identity = await practice.accounts.recognise(cookie)
    await practice.accounts.end_session(identity, identity.session_id)

    assert not await is_known(practice, cookie)
    assert await is_known(practice, other)


async def test_ended_meanwhile(practice: Practice) -> None:
    """A session that is ended between being looked up and being refreshed is not brought back."""
    cookie = await signed_in(practice)
    identity = await practice.accounts.recognise(cookie)
    database, accounts = practice.database, practice.accounts
    practice.database = Meanwhile(database, lambda: accounts.end_session(identity, identity.session_id))
    practice.clock.advance(BROWSER_REFRESH + MOMENT)

    with pytest.raises(NotSignedIn):
        await practice.accounts.recognise(cookie)
    practice.database = database
    assert not await is_known(practice, cookie)
    assert await practice.staff.end_sessions(OPERATOR, EMAIL) == 0


async def test_ended_among_many_requests(practice: Practice) -> None:
    """Of twenty requests and a sign-out at once none brings the session back."""
    cookie = await signed_in(practice)
    identity = await practice.accounts.recognise(cookie)
    practice.clock.advance(BROWSER_REFRESH + MOMENT)
    requests = [practice.accounts.recognise(cookie) for _ in range(20)]
    answers = await asyncio.gather(
        *requests[:10],
        practice.accounts.end_session(identity, identity.session_id),
        *requests[10:],
        return_exceptions=True,
    )

    assert {type(answer) for answer in answers} <= {Identity, NotSignedIn, type(None)}
    assert not await is_known(practice, cookie)
    assert await practice.staff.end_sessions(OPERATOR, EMAIL) == 0


async def test_a_database_that_is_away(practice: Practice) -> None:
    """While a session cannot be refreshed, that is what its user is told, and the session is there afterwards."""
    cookie = await signed_in(practice)
    database = practice.database

    async def away() -> None:
        raise Unavailable

    practice.database = Meanwhile(database, away)
    early = await practice.accounts.recognise(cookie)
    practice.clock.advance(BROWSER_REFRESH + MOMENT)

    with pytest.raises(Unavailable):
        await practice.accounts.recognise(cookie)
    practice.database = database
    assert await practice.accounts.recognise(cookie) == early


@pytest.mark.asvs("V8.3.2")
async def test_changes_count_at_once(practice: Practice) -> None:
    """A role that changes counts from the next request on; who is deactivated or gets a new password is out."""
    cookie = await signed_in(practice)
    await practice.user(Role.ADMIN, "admin")
    user = (await practice.accounts.recognise(cookie)).user
    await practice.staff.update(OPERATOR, user.id, Update(role=Role.ADMIN))
    promoted = await practice.accounts.recognise(cookie)
    await practice.staff.update(OPERATOR, user.id, Update(is_active=False))
    while_closed = await is_known(practice, cookie)
    await practice.staff.update(OPERATOR, user.id, Update(is_active=True))
    after = await is_known(practice, cookie)
    again = await practice.accounts.open_browser_session(EMAIL, PASSWORD)
    await practice.staff.renew_password(OPERATOR, user.id)

    assert promoted.user.role is Role.ADMIN
    assert (while_closed, after, await is_known(practice, again)) == (False, False, False)


async def test_who_is_inactive(practice: Practice) -> None:
    """A session that outlived its user's activity does not count, and does not go on."""
    cookie = await signed_in(practice)
    user = await practice.staff.find(OPERATOR, EMAIL)
    practice.clock.advance(BROWSER_REFRESH + MOMENT)
    await practice.database.write(FIRST_FIRM, lambda tx: tx.people.save(replace(user, is_active=False)))
    while_closed = await is_known(practice, cookie, keep_alive=True)
    await practice.database.write(FIRST_FIRM, lambda tx: tx.people.save(user))

    assert not while_closed
    assert await refreshed(practice, cookie) == timedelta(0)


@pytest.mark.asvs("V7.4.3")
async def test_changing_the_password(practice: Practice) -> None:
    """Who changes the password stays signed in here, and nowhere else."""
    cookie = await signed_in(practice)
    other = await practice.accounts.open_browser_session(EMAIL, PASSWORD)
    identity = await practice.accounts.recognise(cookie)
    await practice.accounts.change_password(identity, PASSWORD, "another good password")

    assert await is_known(practice, cookie)
    assert not await is_known(practice, other)
