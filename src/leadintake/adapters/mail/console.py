"""The console backend: every mail becomes a file that a person, or a test, can open."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from leadintake.adapters.mail.render import Renderer
from leadintake.application.database import Letter
from leadintake.domain.errors import DeliveryFailed

Written = str | Exception


class ConsoleMailer:
    """Writes each mail into a folder as `<delivery id>.<attempt>.eml`.

    A file is complete when it appears, and on the disk when `send` returns, so that a mail marked as sent outlives a
    power cut. A name that begins with a dot is a file that such a cut left unfinished.

    One thread writes all mails that wait at the same moment, and makes their names durable at once: a third of the CPU
    that a thread for each mail takes.
    """

    def __init__(self, folder: Path, renderer: Renderer) -> None:
        self._folder = folder
        self._renderer = renderer
        self._waiting: list[tuple[Letter, asyncio.Future[Written]]] = []
        self._is_writing = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mail")

    def close(self) -> None:
        """Return once what was begun is written."""
        self._writer.shutdown()

    async def send(self, letter: Letter) -> str:
        """Write the mail and say where; raises DeliveryFailed, not permanent when the folder does not take it."""
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((letter, answer))
        if not self._is_writing:
            self._write_waiting()
        written = await answer
        if isinstance(written, Exception):
            raise written
        return written

    def _write_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        self._is_writing = True
        letters = [letter for letter, _ in group]
        hop = asyncio.get_running_loop().run_in_executor(self._writer, self._write_all, letters)
        hop.add_done_callback(lambda _: self._answer([answer for _, answer in group], hop.result()))

    def _answer(self, answers: list[asyncio.Future[Written]], written: list[Written]) -> None:
        self._is_writing = False
        for answer, outcome in zip(answers, written, strict=True):
            if not answer.done():  # else whoever waited has gone
                answer.set_result(outcome)
        if self._waiting:
            self._write_waiting()

    def _write_all(self, letters: list[Letter]) -> list[Written]:
        try:
            self._make_folder()
            written = [self._write(letter) for letter in letters]
            _sync_folder(self._folder)
        except OSError as error:
            return [_refused(error)] * len(letters)
        return written

    def _write(self, letter: Letter) -> Written:
        name = f"{letter.delivery_id}.{letter.attempt}.eml"
        path, unfinished = f"{self._folder}/{name}", f"{self._folder}/.{name}"
        try:
            message = self._renderer.render(letter)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write(descriptor, message)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(unfinished, path)  # noqa: PTH104 - as a Path, both names cost more than the system calls
        except OSError as error:
            with suppress(OSError):
                os.unlink(unfinished)  # noqa: PTH108 - as above
            return _refused(error)
        except Exception as error:  # noqa: BLE001 - it is raised where this letter, and no other, was sent
            return error
        return path

    def _make_folder(self) -> None:
        """Before each group, because somebody may tidy the folder away while the service runs."""
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder.parent)


def _write(descriptor: int, message: bytes) -> None:
    while message:
        message = message[os.write(descriptor, message) :]


def _refused(error: OSError) -> DeliveryFailed:
    return DeliveryFailed(f"cannot write to the mail folder: {error.strerror}", permanent=False)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
