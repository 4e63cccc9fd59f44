"""Accounts: signing in, staying signed in, and signing out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from leadintake.application.password_rules import check_password_rules
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.security import Claims, Passwords, Tokens
from leadintake.application.views import SessionView
from leadintake.domain.errors import (
    FieldError,
    Invalid,
    NotFound,
    NotSignedIn,
    PasswordRanOut,
    SessionOver,
    WrongCredentials,
)
from leadintake.domain.people import Session, User, is_hashable

ACCESS_LIFETIME = timedelta(minutes=15)

BROWSER_REFRESH = timedelta(minutes=1)
"""How long after the last one a browser's session is refreshed again, so that not every click is a write."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sign-in or a refresh hands out; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is behind a request, and by which session."""

    user: User
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Accounts:
    """Role, activity and session are looked up for every request, so that every change counts from the next one on."""

    firm_id: UUID
    database: Database
    passwords: Passwords
    tokens: Tokens
    now: Clock
    new_id: Callable[[], UUID]

    async def sign_in(self, email: str, password: str, device: str | None = None) -> Grant:
        """Open a session; raises WrongCredentials, after the same time whatever was wrong.

        Whoever knows a password that has run out is told so by PasswordRanOut.
        """
        secret = self.tokens.secret()
        session = await self._open(email, password, device, self.tokens.fingerprint(secret))
        return self._grant(session, secret, session.created_at)

    async def open_browser_session(self, email: str, password: str, device: str | None = None) -> str:
        """Open a session as `sign_in` does, and return the cookie that stands for it."""
        secret = self.tokens.secret()
        session = await self._open(email, password, device, self._browser_hash(secret))
        return f"{session.id}.{secret}"

    async def recognise(self, cookie: str, *, keep_alive: bool = True) -> Identity:
        """Who has this cookie; raises NotSignedIn. What a user does keeps the session alive; polling must not.

        The secret stays as it is, because two tabs may ask at once.
        """
        parts = _split(cookie)
        if parts is None:
            raise NotSignedIn
        session_id, secret = parts
        expected, now = self._browser_hash(secret), self.now()

        def known(tx: Transaction) -> tuple[Session, User]:
            found = tx.people.session(session_id)
            if found is None or found[0].refresh_hash != expected or now >= found[0].expires_at:
                raise NotSignedIn
            return found

        def kept_alive(tx: Transaction) -> tuple[Session, User]:
            session, user = known(tx)  # It may have been ended since it was read.
            tx.people.save_session(replace(session, refreshed_at=now))
            return session, user

        session, user = await self.database.glance(self.firm_id, known)
        if keep_alive and now - session.refreshed_at > BROWSER_REFRESH:
            _, user = await self.database.write(self.firm_id, kept_alive)
        return Identity(user, session_id)

    async def _open(self, email: str, password: str, device: str | None, refresh_hash: str) -> Session:
        if not is_hashable(password):
            raise WrongCredentials
        found = await self.database.read(self.firm_id, lambda tx: tx.people.with_password(email))
        password_hash = found[1] if found and found[0].is_active else None
        if not await self.passwords.verify(password_hash, password) or found is None:
            raise WrongCredentials
        user, stored = found
        if user.password_ran_out(self.now()):
            raise PasswordRanOut
        renewed = await self.passwords.hash(password) if self.passwords.is_outdated(stored) else None
        now = self.now()
        session = Session(self.new_id(), user.id, now, now, refresh_hash, device=device)

        def work(tx: Transaction) -> None:
            if tx.people.with_password(email) != found:
                raise WrongCredentials  # Reset or deactivated while the password was verified, which takes a while.
            tx.people.open_session(session)
            if renewed:
                tx.people.set_password(user.id, renewed, user.password_expires_at)

        await self.database.write(self.firm_id, work)
        return session

    async def refresh(self, refresh_token: str) -> Grant:
        """Exchange a refresh token, once. A second use shows that it was copied, and ends the session (RFC 9700)."""
        parts = _split(refresh_token)
        if parts is None:
            raise SessionOver
        session_id, secret = parts
        fingerprint, new_secret, now = self.tokens.fingerprint(secret), self.tokens.secret(), self.now()

        def work(tx: Transaction) -> Session | None:
            found = tx.people.session(session_id)
            if found is None or now >= found[0].expires_at:
                return None
            session = found[0]
            if fingerprint == session.replaced_hash:
                tx.people.end_session(session.user_id, session.id)
            if fingerprint != session.refresh_hash:
                return None
            new_hash = self.tokens.fingerprint(new_secret)
            renewed = replace(session, refreshed_at=now, refresh_hash=new_hash, replaced_hash=session.refresh_hash)
            tx.people.save_session(renewed)
            return renewed

        session = await self.database.write(self.firm_id, work)
        if session is None:
            raise SessionOver
        return self._grant(session, new_secret, now)

    async def revoke(self, token: str) -> None:
        """End the session of an access or refresh token at once; an unknown token is no error (RFC 7009, 2.2)."""
        claims = self.tokens.read(token, self.now())
        if claims is not None:
            await self.database.write(self.firm_id, lambda tx: tx.people.end_session(claims.user_id, claims.session_id))
            return
        parts = _split(token)
        if parts is None:
            return
        session_id, secret = parts

        def work(tx: Transaction) -> None:
            found = tx.people.session(session_id)
            if found and self.tokens.fingerprint(secret) in {found[0].refresh_hash, found[0].replaced_hash}:
                tx.people.end_session(found[0].user_id, session_id)

        await self.database.write(self.firm_id, work)

    async def authenticate(self, access_token: str) -> Identity:
        """Who has this access token; raises NotSignedIn."""
        claims = self.tokens.read(access_token, self.now())
        if claims is None:
            raise NotSignedIn
        found = await self.database.glance(self.firm_id, lambda tx: tx.people.session(claims.session_id))
        if found is None or found[1].id != claims.user_id or self.now() >= found[0].expires_at:
            raise NotSignedIn
        return Identity(found[1], claims.session_id)

    async def check_new_password(self, who: Identity, current: str, new: str) -> None:
        """Raise Invalid unless this may be one's new password, after what is said to be the current one."""
        if new == current:
            raise Invalid(FieldError("new_password", "Choose another password than the one you have."))
        await check_password_rules(self.passwords, new, who.user.email, who.user.full_name, field="new_password")

    async def change_password(self, who: Identity, current: str, new: str) -> None:
        """Change one's own password, which never runs out then, and end one's other sessions; raises Invalid."""
        await self.check_new_password(who, current, new)
        found = await self.database.read(self.firm_id, lambda tx: tx.people.with_password(who.user.email))
        wrong = Invalid(FieldError("current_password", "This is not your current password."))
        if found is None or not is_hashable(current) or not await self.passwords.verify(found[1], current):
            raise wrong
        new_hash = await self.passwords.hash(new)

        def work(tx: Transaction) -> None:
            if tx.people.with_password(who.user.email) != found:
                raise wrong
            tx.people.set_password(who.user.id, new_hash, None)
            tx.people.end_sessions(who.user.id, keep=who.session_id)

        await self.database.write(self.firm_id, work)

    async def sessions(self, who: Identity) -> list[SessionView]:
        """One's own sessions, newest first."""
        now = self.now()
        found = await self.database.read(self.firm_id, lambda tx: tx.people.sessions_of(who.user.id))
        return [
            SessionView(s.id, s.created_at, s.refreshed_at, s.expires_at, s.device, current=s.id == who.session_id)
            for s in found
            if now < s.expires_at
        ]

    async def end_session(self, who: Identity, session_id: UUID) -> None:
        """End one of one's own sessions; raises NotFound."""
        if not await self.database.write(self.firm_id, lambda tx: tx.people.end_session(who.user.id, session_id)):
            raise NotFound

    def _browser_hash(self, secret: str) -> str:
        """What is stored in place of a cookie's secret. No fingerprint looks like it, so no token can be made of it."""
        return f"browser {self.tokens.fingerprint(secret)}"

    def _grant(self, session: Session, secret: str, now: datetime) -> Grant:
        lifetime = min(ACCESS_LIFETIME, session.expires_at - now)
        token = self.tokens.issue(Claims(session.user_id, session.id), now, lifetime)
        return Grant(token, f"{session.id}.{secret}", int(lifetime.total_seconds()))


def _split(token: str) -> tuple[UUID, str] | None:
    """The session and the secret in a refresh token or a cookie; None for anything else."""
    session_id, _, secret = token.partition(".")
    try:
        return UUID(session_id), secret
    except ValueError:
        return None
