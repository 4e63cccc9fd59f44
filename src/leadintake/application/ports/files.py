"""What the use cases need from wherever resumes lie."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from leadintake.domain.lead import Resume
from leadintake.domain.resume import Finding


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
