"""Random bits for ids and references."""

import secrets
import threading


class RandomBits:
    """Random bits of the system, fetched 4 KiB at a time and used once.

    Each fetch gives up the GIL, and a submission needs random bits seven times: measured at 16 at once,
    that was a tenth of its time on the event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unused = b""

    def __call__(self, count: int) -> int:
        """A random number of so many bits."""
        size = (count + 7) // 8
        with self._lock:
            if len(self._unused) < size:
                self._unused = secrets.token_bytes(4096)
            taken, self._unused = self._unused[:size], self._unused[size:]
        return int.from_bytes(taken) >> size * 8 - count
