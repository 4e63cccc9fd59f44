"""Files that have arrived get their names and become durable, all that wait at the same moment together."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leadintake.adapters.batching import BatchingThread
from leadintake.adapters.files.disk import OpenFile, opened
from leadintake.adapters.files.syncing import Syncing
from leadintake.domain.lead import Resume

LARGEST_GROUP = 32
"""Files. More submissions hardly ever wait at once, and each may hold a buffer."""


class Named(NamedTuple):
    """A file that has its final name, and is open."""

    file: OpenFile
    resume: Resume


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that came: `look` says what it is, and `name` makes it. `over` is done when its thread is done with it."""

    look: Callable[[], Resume]
    name: Callable[[Resume], OpenFile]
    over: Future[None] = field(default_factory=Future)


class Keeper:
    """Keeps the files of one folder, by one thread.

    With four threads that wait for each other at the GIL, a submission costs a fifth more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._syncing = Syncing(LARGEST_GROUP + 1)
        self._waiting = BatchingThread("keeper", self._keep, LARGEST_GROUP)

    def close(self) -> None:
        """Return once what was begun is done."""
        self._waiting.finish()
        self._waiting.join()

    async def keep(self, arrival: Arrival) -> Resume:
        """Return once file and name are durable, and the file is closed.

        Raises what `look` or `name` raises, or OSError; then the file may have its name, and must be removed.
        """
        return await self._waiting.do(arrival)

    def _keep(self, arrivals: Sequence[Arrival]) -> list[Resume | Exception]:
        """All are looked at before the first is made, because each call to the disk gives up the GIL."""
        seen = [_seen(arrival) for arrival in arrivals]
        outcomes = [_named(arrival, resume) for arrival, resume in zip(arrivals, seen, strict=True)]
        files = [each.file for each in outcomes if isinstance(each, Named)]
        try:
            failures = self._sync(files)
        finally:
            for file in files:
                file.close()
            for arrival in arrivals:
                arrival.over.set_result(None)
        failed = dict(zip(files, failures, strict=True))
        return [(failed[each.file] or each.resume) if isinstance(each, Named) else each for each in outcomes]

    def _sync(self, files: Sequence[OpenFile]) -> list[OSError | None]:
        """What went wrong with each; a name is as safe as its folder."""
        if not files:
            return []
        try:
            with opened(self._folder) as folder:
                of_folder, *of_files = self._syncing.all([folder, *(file.fileno() for file in files)])
        except OSError as error:
            return [error] * len(files)
        return [of_folder or of_file for of_file in of_files]


def _seen(arrival: Arrival) -> Resume | Exception:
    try:
        return arrival.look()
    except Exception as error:  # noqa: BLE001 - it is raised where this file, and no other, was to be kept
        return error


def _named(arrival: Arrival, resume: Resume | Exception) -> Named | Exception:
    if isinstance(resume, Exception):
        return resume
    try:
        return Named(arrival.name(resume), resume)
    except Exception as error:  # noqa: BLE001 - as above
        return error
