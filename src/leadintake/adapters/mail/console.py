"""The console backend: every mail becomes a file that a person, or a test, can open."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from leadintake.adapters.mail.render import Renderer
from leadintake.application.database import Letter
from leadintake.domain.errors import DeliveryFailed

LARGEST_GROUP = 32
"""Small enough that the first letters are settled, and more claimed, while the next are being written."""

SYNCS_AT_ONCE = 2
"""While 16 clients submit without a pause, half of all mails are there within 0.7 s. With one sync at once it is 6 s;
with eight 0.1 s, and a fifth fewer submissions.
"""

Written = str | Exception
"""The path of a mail, or why there is none."""

Waiting = tuple[Letter, asyncio.AbstractEventLoop, asyncio.Future[Written]]


class ConsoleMailer:
    """Writes each mail into a folder as `<delivery id>.<attempt>.eml`.

    A file is complete when it appears, and on the disk when `send` returns, so that a mail marked as sent outlives a
    power cut. A name that begins with a dot is a file that such a cut left unfinished.

    One thread writes the mails that wait at the same moment as a group: all begun, then all synced and named, then all
    names made durable. That is a third of the CPU of a thread for each mail.
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
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Written] = loop.create_future()
        self._waiting.put((letter, loop, answer))
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
            for (_, loop, answer), written in zip(group, self._write([letter for letter, *_ in group]), strict=True):
                with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                    loop.call_soon_threadsafe(_tell, answer, written)

    def _write(self, letters: list[Letter]) -> list[Written]:
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


def _tell(answer: asyncio.Future[Written], written: Written) -> None:
    if not answer.done():  # else whoever waited has gone
        answer.set_result(written)


class Draft:
    """A mail whose file is not finished."""

    def __init__(self, folder: Path, name: str, message: bytes) -> None:
        """Begin to write the file; raises OSError, and then there is none."""
        self._path, self._unfinished = f"{folder}/{name}", f"{folder}/.{name}"
        self._descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while message:
                message = message[os.write(self._descriptor, message) :]
            # Not needed in memory any more: the system starts to write it out, so that one sync waits for many files.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            self._discard()
            raise

    def finish(self) -> Written:
        """Sync the file and give it its name, which its folder has yet to keep; the error where that fails."""
        try:
            os.fsync(self._descriptor)
            os.rename(self._unfinished, self._path)  # noqa: PTH104 - as a Path, names cost more than the system calls
        except OSError as error:
            self._discard()
            return _refused(error)
        os.close(self._descriptor)
        return self._path

    def _discard(self) -> None:
        os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self._unfinished)  # noqa: PTH108 - as above


def _refused(error: OSError) -> DeliveryFailed:
    return DeliveryFailed(f"cannot write to the mail folder: {error.strerror}", permanent=False)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
