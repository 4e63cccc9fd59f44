"""Many files made durable in the time of one."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caio.abstract import AbstractOperation
    from caio.linux_aio import Context


class Syncing:
    """Syncs up to `at_once` files at once, for one thread.

    The kernel takes them all in one call, and syncs them side by side (io_submit(2), IOCB_CMD_FSYNC). One after the
    other, each would be a write of its own to the disk's journal, and each return from the kernel a wait for the
    GIL: an eighth fewer submissions with 16 clients. Where there is no such call, it is done so.
    """

    def __init__(self, at_once: int) -> None:
        self._queue: Context | None = None
        # There is none unless Linux is 4.18 or newer, lets us ask, and others have not used up fs.aio-max-nr.
        with suppress(ImportError, SystemError):
            from caio import linux_aio  # noqa: PLC0415 - it may be missing

            self._queue, self._fsync = linux_aio.Context(at_once), linux_aio.Operation.fsync

    def all(self, descriptors: Sequence[int]) -> list[OSError | None]:
        """Sync files and folders, and return what went wrong with each. What failed must not be tried again."""
        done = self._at_once(descriptors)
        return [*map(_error, done), *map(_sync, descriptors[len(done) :])]

    def _at_once(self, descriptors: Sequence[int]) -> "list[AbstractOperation]":
        """What the kernel has done; it stops before the first that it cannot do so."""
        if self._queue is None:
            return []
        syncs = [self._fsync(descriptor) for descriptor in descriptors]
        try:
            count = self._queue.submit(*syncs)
        except (SystemError, ValueError, OverflowError):
            return []
        under_way = count
        while under_way:
            try:
                under_way -= self._queue.process_events(under_way, under_way, -1)
            except SystemError as error:  # A process that was stopped, and goes on, hears that this was interrupted.
                if error.args[0] != errno.EINTR:
                    raise
        return syncs[:count]


def _error(sync: "AbstractOperation") -> OSError | None:
    try:
        sync.get_value()
    except SystemError as error:  # It has the text of the error, and no number.
        return OSError(*error.args)
    return None


def _sync(descriptor: int) -> OSError | None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None
