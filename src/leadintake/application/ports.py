"""What the use cases need from the outside, beside a database. A plain callable stands where one function is enough."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from leadintake.application.deliveries import Letter
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding

Clock = Callable[[], datetime]
"""Now, in UTC."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came in. `size` is in bytes, `sha256` in hex."""

    size: int
    sha256: str
    finding: Finding


class Upload(Protocol):
    """One file on its way into the store. `size` is how many bytes of it came so far."""

    @property
    def size(self) -> int: ...

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises TooLarge, or Unavailable when they cannot be stored."""

    async def keep(self, judge: Callable[[Received], Resume]) -> Resume:
        """Have what came judged, and return once the file is durable as what the judge calls it.

        `judge` may run in a thread; what it raises is raised here, and then nothing is kept. Raises Unavailable.
        """


class FileStore(Protocol):
    """Where resumes lie, by path."""

    def receive(self) -> AbstractAsyncContextManager[Upload]:
        """Start an upload. What was not kept when the context ends is removed."""

    async def open(self, resume: Resume) -> AsyncIterator[bytes]:
        """The bytes as uploaded, checked against their hash; raises FileUnavailable."""

    async def link(self, resume: Resume) -> str | None:
        """An address that hands the file out for a minute to whoever has it; None where the store makes none."""

    async def size(self, path: str) -> int | None:
        """The bytes of a file; None when it is not there. Raises Unavailable."""

    async def remove(self, path: str) -> None:
        """Delete a file; one that is not there is no error."""

    def written(self, *, since: datetime | None = None, before: datetime) -> AsyncIterator[list[str]]:
        """The paths last written within a time, some at a time, those of broken-off uploads among them."""

    async def now(self) -> datetime:
        """The time by the clock that `written` goes by, which may be another machine's; raises Unavailable."""

    async def ping(self) -> None:
        """Raise Unavailable unless a file could be stored."""


class Mailer(Protocol):
    """The way out for deliveries by e-mail."""

    @property
    def at_once(self) -> int:
        """How many letters may be under way together. Of more, some would only wait while their claims run out."""

    async def send(self, letter: Letter) -> str:
        """Return, once the other side has taken responsibility, how it put that; raises DeliveryFailed, ChannelDown."""


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
