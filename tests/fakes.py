"""Stand-ins that keep the contract of a port in memory."""

import hashlib
import io
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from uuid import UUID

from leadintake.application.ports.deliveries import Letter
from leadintake.application.ports.files import Received
from leadintake.application.ports.security import Claims
from leadintake.domain.errors import DeliveryFailed, FileDamaged, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding, Kind


@dataclass
class MemoryFiles:
    """A FileStore. `kept` holds the files by path, each with the time it was kept; those that are `stuck` stay.

    Links begin with `address`.
    """

    max_bytes: int = 10 * 2**20
    inspect: Callable[[BinaryIO], Finding] = lambda _: Finding(Kind.PDF)
    kept: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    address: str | None = None
    stuck: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def receive(self) -> AsyncIterator["MemoryUpload"]:
        yield MemoryUpload(self)

    async def open(self, resume: Resume) -> AsyncIterator[bytes]:
        content, _ = self.kept.get(resume.path, (b"", None))
        if hashlib.sha256(content).hexdigest() != resume.sha256:
            raise FileDamaged
        return aiter(MemoryUpload(self, content))

    async def remove(self, path: str) -> None:
        if path in self.stuck:
            raise Unavailable
        self.kept.pop(path, None)

    async def link(self, resume: Resume) -> str | None:
        return f"{self.address}/{resume.path}" if self.address else None

    async def size(self, path: str) -> int | None:
        return len(self.kept[path][0]) if path in self.kept else None

    async def written(self, *, since: datetime | None = None, before: datetime) -> AsyncIterator[list[str]]:
        yield [path for path, (_, at) in self.kept.items() if (since is None or since <= at) and at < before]

    async def now(self) -> datetime:
        return self.clock()

    async def ping(self) -> None: ...


@dataclass
class MemoryUpload:
    """One file on its way into memory, or out of it."""

    store: MemoryFiles
    content: bytes = b""

    @property
    def size(self) -> int:
        return len(self.content)

    async def write(self, chunk: bytes) -> None:
        self.content += chunk
        if len(self.content) > self.store.max_bytes:
            raise TooLarge(f"The file is larger than {self.store.max_bytes / 2**20:g} MB.")

    async def keep(self, judge: Callable[[Received], Resume]) -> Resume:
        finding = self.store.inspect(io.BytesIO(self.content)) if self.content else Finding(None, why="is empty")
        resume = judge(Received(len(self.content), hashlib.sha256(self.content).hexdigest(), finding))
        self.store.kept[resume.path] = (self.content, self.store.clock())
        return resume

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


@dataclass
class FixedClock:
    """A clock that stands still until it is moved."""

    at: datetime = datetime(2025, 11, 24, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


def numbered_ids(first: int = 1) -> Callable[[], UUID]:
    """Ids that count up."""
    numbers = itertools.count(first)
    return lambda: UUID(int=next(numbers))


@dataclass
class RecordingMailer:
    """A Mailer that keeps what it is given, or fails each time as it is told."""

    failure: Exception | None = None
    sent: list[Letter] = field(default_factory=list)
    at_once: int = 100

    async def send(self, letter: Letter) -> str:
        if self.failure:
            raise self.failure
        self.sent.append(letter)
        return "taken"


@dataclass
class ChoosyMailer:
    """A Mailer that refuses `no@` for good and for a reason, `later@` for now, and takes the rest."""

    reason: str
    at_once: int = 1

    async def send(self, letter: Letter) -> str:
        if letter.recipient.startswith("no@"):
            raise DeliveryFailed(self.reason, permanent=True)
        if letter.recipient.startswith("later@"):
            raise DeliveryFailed("451 4.3.0 greylisted", permanent=False)
        return "taken"


class PlainPasswords:
    """Passwords that hashes in no time. Hashes that begin with "old" are outdated; what names its owner is easy."""

    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def verify(self, password_hash: str | None, password: str) -> bool:
        return password_hash in {f"hash of {password}", f"old hash of {password}"}

    async def is_easy(self, password: str, about: Sequence[str]) -> bool:
        return password in about

    def is_outdated(self, password_hash: str) -> bool:
        return password_hash.startswith("old")


@dataclass
class PlainTokens:
    """Tokens that anybody can read."""

    secrets: Iterator[int] = field(default_factory=itertools.count)

    def issue(self, claims: Claims, now: datetime, lifetime: timedelta) -> str:
        return f"{claims.user_id} {claims.session_id} {(now + lifetime).isoformat()}"

    def read(self, token: str, now: datetime) -> Claims | None:
        try:
            user_id, session_id, expires_at = token.split()
        except ValueError:
            return None
        return Claims(UUID(user_id), UUID(session_id)) if now < datetime.fromisoformat(expires_at) else None

    def secret(self) -> str:
        return f"secret {next(self.secrets)}"

    def fingerprint(self, secret: str) -> str:
        return f"hash of {secret}"
