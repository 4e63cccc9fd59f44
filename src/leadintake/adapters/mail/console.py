"""The console backend: every mail becomes a file that a person, or a test, can open."""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from leadintake.adapters.mail.render import Renderer
from leadintake.application.database import Letter
from leadintake.domain.errors import DeliveryFailed

LARGEST_GROUP = 64
"""Small enough that the first letters are settled, and more claimed, while the next are being written."""

SYNCS_AT_ONCE = 2
"""While 16 clients submit without a pause, half of all mails are there within 0.1 to 1.8 s. With one sync at once they
fall further behind, and with eight there are a fifth fewer submissions.
"""

Written = str | Exception
"""The path of a mail, or why there is none."""

Waiting = tuple[Letter, asyncio.Future[Written]]


class ConsoleMailer:
    """Writes each mail into a folder as `<delivery id>.<attempt>.eml`.

    A file is complete when it appears, and on the disk when `send` returns, so that a mail marked as sent outlives a
    power cut. After one, what is not marked may be there in part, and is written again.

    One thread writes the mails that wait at the same moment as a group: all written and named, then all synced, then
    their names. That is a third of the CPU of a thread for each mail. To sync each before it is named took half as much
    again of the system's time, for the journal.
    """

    at_once = 128

    def __init__(self, folder: Path, renderer: Renderer) -> None:
        self._folder = folder
        self._renderer = renderer
        self._waiting: SimpleQueue[Waiting | None] = SimpleQueue()
        self._syncing = ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="mail-sync")
        self._writer = threading.Thread(target=self._write_until_closed, name="mail", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Return once what was begun is written."""
        self._waiting.put(None)
        self._writer.join()
        self._syncing.shutdown()

    async def send(self, letter: Letter) -> str:
        """Write the mail and say where; raises DeliveryFailed, not permanent when the folder does not take it."""
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.put((letter, answer))
        written = await answer
        if isinstance(written, Exception):
            raise written
        return written

    def _write_until_closed(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            while len(group) < LARGEST_GROUP and not self._waiting.empty():
                if (another := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                group.append(another)
            letters, answers = zip(*group, strict=True)
            written = self._write(letters)
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                answers[0].get_loop().call_soon_threadsafe(_tell, answers, written)

    def _write(self, letters: Sequence[Letter]) -> list[Written]:
        try:
            self._make_folder()
            drafts = [self._begin(letter) for letter in letters]
            written = list(self._syncing.map(_finished, drafts))
            _sync_folder(self._folder)
        except OSError as error:
            return [_refused(error)] * len(letters)
        return written

    def _begin(self, letter: Letter) -> "Draft | Exception":
        try:
            return Draft(self._folder, f"{letter.delivery_id}.{letter.attempt}.eml", self._renderer.render(letter))
        except OSError as error:
            return _refused(error)
        except Exception as error:  # noqa: BLE001 - it is raised where this letter, and no other, was sent
            return error

    def _make_folder(self) -> None:
        """Before each group, because somebody may tidy the folder away while the service runs."""
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder.parent)


def _finished(draft: "Draft | Exception") -> Written:
    return draft.finish() if isinstance(draft, Draft) else draft


def _tell(answers: Sequence[asyncio.Future[Written]], written: Sequence[Written]) -> None:
    """Wake everybody of a group in one step of the event loop."""
    for answer, what in zip(answers, written, strict=True):
        if not answer.done():  # else whoever waited has gone
            answer.set_result(what)


class Draft:
    """A mail whose file is not on the disk yet."""

    def __init__(self, folder: Path, name: str, message: bytes) -> None:
        """Write the file and give it its name; raises OSError, and then there is none."""
        path, unfinished = f"{folder}/{name}", f"{folder}/.{name}"
        self._path = unfinished
        self._descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while message:
                message = message[os.write(self._descriptor, message) :]
            # Not needed in memory any more: the system starts to write it out, so that one sync waits for many files.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.rename(unfinished, path)  # noqa: PTH104 - as a Path, names cost more than the system calls
        except OSError:
            self._discard()
            raise
        self._path = path

    def finish(self) -> Written:
        """Sync the file, whose name the folder has yet to keep; the error where that fails, and then there is none."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._discard()
            return _refused(error)
        os.close(self._descriptor)
        return self._path

    def _discard(self) -> None:
        os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - as above


def _refused(error: OSError) -> DeliveryFailed:
    return DeliveryFailed(f"cannot write to the mail folder: {error.strerror}", permanent=False)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
