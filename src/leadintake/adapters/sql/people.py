"""Users and their sessions."""

from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leadintake.adapters.sql.as_json import JSON
from leadintake.adapters.sql.hot import run
from leadintake.adapters.sql.tables import sessions, users
from leadintake.domain.errors import EmailTaken, NotFound
from leadintake.domain.people import Role, Session, User, account_key

_signed_in = msgspec.json.Decoder(tuple[Session, User])

TOLD = (
    sa.select(users.c.email)
    .where(users.c.firm_id == sa.bindparam("firm"), users.c.is_active)
    .order_by(users.c.created_at, users.c.id)
)


class SqlPeople:
    """The people of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID, *, locks: bool) -> None:
        self._connection = connection
        self._firm_id = firm_id
        self._locks = locks

    @property
    def _our_users(self) -> sa.ColumnElement[bool]:
        return users.c.firm_id == self._firm_id

    @property
    def _our_sessions(self) -> sa.ColumnElement[bool]:
        return sessions.c.firm_id == self._firm_id

    def add(self, user: User, password_hash: str) -> None:
        """Store a new user; raises EmailTaken."""
        row = {
            "id": user.id,
            "firm_id": self._firm_id,
            "email": user.email,
            "email_key": account_key(user.email),
            "full_name": user.full_name,
            "role": user.role,
            "password_hash": password_hash,
            "is_active": user.is_active,
            "created_at": user.created_at,
            "password_expires_at": user.password_expires_at,
        }
        try:
            self._connection.execute(sa.insert(users), row)
        except IntegrityError as error:
            raise EmailTaken from error

    def save(self, user: User) -> None:
        """Store name, role and activity."""
        row = {"full_name": user.full_name, "role": user.role, "is_active": user.is_active}
        self._connection.execute(sa.update(users).where(self._our_users, users.c.id == user.id), row)

    def set_password(self, user_id: UUID, password_hash: str, expires_at: datetime | None) -> None:
        """Replace the password's hash, and say when it runs out unless the user changes it; None for never."""
        one = sa.update(users).where(self._our_users, users.c.id == user_id)
        self._connection.execute(one.values(password_hash=password_hash, password_expires_at=expires_at))

    def get(self, user_id: UUID) -> User:
        """One user, locked until a writing transaction ends; raises NotFound."""
        one = sa.select(users).where(self._our_users, users.c.id == user_id)
        row = self._connection.execute(self._to_change(one)).one_or_none()
        if row is None:
            raise NotFound
        return _user(row)

    def with_password(self, email: str) -> tuple[User, str] | None:
        """The user with this address, whatever its case, and the password's hash."""
        key = account_key(email)
        if not key.isprintable():  # as in no address, and NUL or half a character cannot even be asked for
            return None
        one = sa.select(users).where(self._our_users, users.c.email_key == key)
        row = self._connection.execute(self._to_change(one)).one_or_none()
        return (_user(row), row.password_hash) if row else None

    def everybody(self) -> list[User]:
        """All users by creation."""
        ours = sa.select(users).where(self._our_users).order_by(users.c.created_at, users.c.id)
        return [_user(row) for row in self._connection.execute(ours)]

    def told_of_leads(self) -> list[str]:
        """The addresses of all active users."""
        return [email for (email,) in run(self._connection, TOLD, {"firm": self._firm_id}).fetchall()]

    def active_admins(self) -> list[str]:
        """The addresses of all active admins."""
        admins = sa.select(users.c.email).where(self._our_users, users.c.is_active, users.c.role == Role.ADMIN)
        return list(self._connection.scalars(self._to_change(admins.order_by(users.c.created_at, users.c.id))))

    def open_session(self, session: Session) -> None:
        """Store a new session."""
        row = {
            "id": session.id,
            "firm_id": self._firm_id,
            "user_id": session.user_id,
            "created_at": session.created_at,
            "refreshed_at": session.refreshed_at,
            "refresh_hash": session.refresh_hash,
            "replaced_hash": session.replaced_hash,
            "device": session.device,
        }
        self._connection.execute(sa.insert(sessions), row)

    def session(self, session_id: UUID) -> tuple[Session, User] | None:
        """A session that was not ended and its user; None when the user is not active."""
        statement = _session(self._connection.dialect.name, locks=self._locks)
        found = run(self._connection, statement, {"firm": self._firm_id, "session": session_id}).fetchall()
        return _signed_in.decode(found[0][0]) if found else None

    def save_session(self, session: Session) -> None:
        """Store when it was refreshed, and its hashes."""
        row = {
            "refreshed_at": session.refreshed_at,
            "refresh_hash": session.refresh_hash,
            "replaced_hash": session.replaced_hash,
        }
        self._connection.execute(sa.update(sessions).where(self._our_sessions, sessions.c.id == session.id), row)

    def sessions_of(self, user_id: UUID) -> list[Session]:
        """The user's sessions that were not ended, newest first."""
        theirs = (
            sa.select(sessions)
            .where(self._our_sessions, sessions.c.user_id == user_id)
            .order_by(sessions.c.created_at.desc())
        )
        return [
            Session(
                id=row.id,
                user_id=row.user_id,
                created_at=row.created_at,
                refreshed_at=row.refreshed_at,
                refresh_hash=row.refresh_hash,
                replaced_hash=row.replaced_hash,
                device=row.device,
            )
            for row in self._connection.execute(theirs)
        ]

    def end_session(self, user_id: UUID, session_id: UUID) -> bool:
        """End one session of a user; False when there is none."""
        one = sa.delete(sessions).where(self._our_sessions, sessions.c.user_id == user_id, sessions.c.id == session_id)
        return bool(self._connection.execute(one).rowcount)

    def end_sessions(self, user_id: UUID, keep: UUID | None = None) -> int:
        """End all sessions of a user but one; returns how many."""
        theirs = sa.delete(sessions).where(self._our_sessions, sessions.c.user_id == user_id)
        return self._connection.execute(theirs.where(sessions.c.id != keep) if keep else theirs).rowcount

    def prune_sessions(self, created_before: datetime) -> None:
        """Forget sessions opened before then."""
        self._connection.execute(sa.delete(sessions).where(self._our_sessions, sessions.c.created_at < created_before))

    def _to_change(self, found: sa.Select[Any]) -> sa.Select[Any]:
        """Users, locked where it is for a change that they are looked up."""
        return _locked(found, users) if self._locks else found


def _locked(found: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    """What is found, and nobody else changes meanwhile; rows that refer to it may still be added."""
    return found.with_for_update(of=table, key_share=True)


@cache
def _session(database: str, *, locks: bool) -> sa.Select[Any]:
    json, shown = JSON[database], {Session: sessions, User: users}
    records = [json.named({each.name: json.of(shown[kind].c[each.name]) for each in fields(kind)}) for kind in shown]
    found: sa.Select[Any] = sa.select(sa.literal_column(json.pair(", ".join(records))))
    found = found.select_from(sessions.join(users)).where(
        sessions.c.firm_id == sa.bindparam("firm"), sessions.c.id == sa.bindparam("session"), users.c.is_active
    )
    return _locked(found, sessions) if locks else found


def _user(row: sa.Row[tuple[object, ...]]) -> User:
    return User(
        id=row.id,
        firm_id=row.firm_id,
        email=row.email,
        full_name=row.full_name,
        role=Role(row.role),
        is_active=row.is_active,
        created_at=row.created_at,
        password_expires_at=row.password_expires_at,
    )
