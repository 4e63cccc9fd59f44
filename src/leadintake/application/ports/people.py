"""What the use cases need from a database for users and their sessions."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from leadintake.domain.people import Session, User


class People(Protocol):
    """The users of one firm and their sessions."""

    def add(self, user: User, password_hash: str) -> None:
        """Store a new user; raises EmailTaken."""

    def save(self, user: User) -> None:
        """Store name, role and activity."""

    def set_password(self, user_id: UUID, password_hash: str, expires_at: datetime | None) -> None:
        """Replace the password's hash, and say when it runs out unless the user changes it; None for never."""

    def get(self, user_id: UUID) -> User:
        """One user, locked until a writing transaction ends; raises NotFound."""

    def with_password(self, email: str) -> tuple[User, str] | None:
        """The user with this address, whatever its case, and the password's hash; locked as by `get`."""

    def everybody(self) -> list[User]:
        """All users by creation."""

    def told_of_leads(self) -> list[str]:
        """The addresses of all active users."""

    def active_admins(self) -> list[str]:
        """The addresses of all active admins; locked as by `get`."""

    def open_session(self, session: Session) -> None:
        """Store a new session."""

    def session(self, session_id: UUID) -> tuple[Session, User] | None:
        """A session that was not ended, locked as a user is by `get`, and its user; None when that is not active."""

    def save_session(self, session: Session) -> None:
        """Store when it was refreshed, and its hashes."""

    def sessions_of(self, user_id: UUID) -> list[Session]:
        """The user's sessions that were not ended, newest first."""

    def end_session(self, user_id: UUID, session_id: UUID) -> bool:
        """End one session of a user; False when there is none."""

    def end_sessions(self, user_id: UUID, keep: UUID | None = None) -> int:
        """End all sessions of a user but one; returns how many."""

    def prune_sessions(self, created_before: datetime) -> None:
        """Forget sessions opened before then."""
