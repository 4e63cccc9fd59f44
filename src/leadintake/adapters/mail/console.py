"""The console backend: every mail becomes a file that a person, or a test, can open."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from leadintake.adapters.mail.render import Renderer
from leadintake.application.ports import Letter
from leadintake.domain.errors import DeliveryFailed


class ConsoleMailer:
    """Writes each mail into a folder as `<delivery id>.<attempt>.eml`; `log` takes an event and its facts.

    A file is complete when it appears, and on the disk when `send` returns, so that a mail marked as sent outlives a
    power cut. A name that begins with a dot is a file that such a cut left unfinished.
    """

    def __init__(self, folder: Path, renderer: Renderer, log: Callable[..., object]) -> None:
        self._folder = folder
        self._renderer = renderer
        self._log = log

    async def send(self, letter: Letter) -> None:
        """Render and write the mail; raises DeliveryFailed, not permanent when the folder does not take it."""
        path = await to_thread.run_sync(self._deliver, letter)
        self._log("mail_written", delivery_id=str(letter.delivery_id), purpose=str(letter.purpose), path=str(path))

    def _deliver(self, letter: Letter) -> Path:
        message = self._renderer.render(letter)
        path = self._folder / f"{letter.delivery_id}.{letter.attempt}.eml"
        try:
            self._write(path, message)
        except OSError as error:
            raise DeliveryFailed(f"cannot write to the mail folder: {error.strerror}", permanent=False) from error
        return path

    def _write(self, path: Path, message: bytes) -> None:
        self._make_folder()
        unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        _sync_folder(self._folder)

    def _make_folder(self) -> None:
        """Before each mail, because somebody may tidy the folder away while the service runs."""
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
