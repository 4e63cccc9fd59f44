"""What the use cases need to know who somebody is: passwords, and the tokens handed out for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID


class Passwords(Protocol):
    """Slow hashing, off the event loop, a few at a time."""

    async def hash(self, password: str) -> str:
        """A hash to store."""

    async def is_easy(self, password: str, about: Sequence[str]) -> bool:
        """Whether the password is soon guessed, as what many people use or from what is known `about` its owner."""

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; takes as long without a hash, so that nobody learns which users exist."""

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says; the session decides whether it still counts."""

    user_id: UUID
    session_id: UUID


SECRET_KEY_MIN_BYTES = 32
"""What tokens are signed with is as long as what HMAC-SHA256 makes of it, or longer (RFC 7518 section 3.2)."""


class Tokens(Protocol):
    """Access tokens and refresh secrets."""

    def issue(self, claims: Claims, now: datetime, lifetime: timedelta) -> str:
        """A signed access token."""

    def read(self, token: str, now: datetime) -> Claims | None:
        """The claims of a valid access token."""

    def secret(self) -> str:
        """A new random secret of at least 128 bits."""

    def fingerprint(self, secret: str) -> str:
        """A hash of a secret, to store in its place."""
