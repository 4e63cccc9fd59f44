"""Passwords: hashed, verified, judged, and made."""

import asyncio
import re
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from leadintake.domain.values import CROCKFORD

HASHES_AT_ONCE = 2
PASSES = 2
MEMORY_KIB = 46 * 1024

EASY_GUESSES = 10**10
"""A password that takes fewer is refused: what is in the lists of zxcvbn, words, names and keys in a row, and what is
done to these to please a rule. At 130 guesses a day, which is all that may be tried, so many take 200,000 years."""

JUDGED_CHARACTERS = 32
"""From which a password is judged, because the time it takes grows with the square, up to half a second for these."""

NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${'A' * 22}${'A' * 43}"
"""The form of a hash, which no known password has."""


class Argon2Passwords:
    """Argon2id with more than the least that OWASP asks for (19 MiB, 2 passes): 46 MiB, 2 passes, 85 ms a hash here.

    At most two are made at a time, in threads of their own: more would be no faster on a small machine, and would take
    46 MiB each and the event loop's core.
    """

    def __init__(self, firm_name: str = "") -> None:
        self._firm_words = ["leadintake", *_words(firm_name)]
        self._judging = threading.Lock()
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        self._pool = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="passwords")

    async def aclose(self) -> None:
        """Return once the threads are done with what they began."""
        await asyncio.to_thread(self._pool.shutdown)

    async def hash(self, password: str) -> str:
        """A hash to store, its salt and parameters included."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, password)

    async def is_easy(self, password: str, about: Sequence[str]) -> bool:
        """Whether zxcvbn needs few guesses, when it knows the firm, this service, and what is `about` the owner."""
        words = [*self._firm_words, *(word for text in about for word in _words(text))]
        judged = password[:JUDGED_CHARACTERS]
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._is_easy, judged, words)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; False for a hash that is none, and as slowly as ever without one."""
        stored = password_hash or NOBODY
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._verify, stored, password)

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _is_easy(self, password: str, words: list[str]) -> bool:
        from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists take long to read, and a start sets no password

        with self._judging:  # zxcvbn keeps the words in a place that all its calls share.
            return bool(zxcvbn(password, words)["guesses"] < EASY_GUESSES)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, ValueError):
            return False


def _words(text: str) -> list[str]:
    """What a text may lend to a password: its words, and all of them as one."""
    words = re.findall(r"\w{3,}", text)
    return [*words, "".join(words)]


def generate_password() -> str:
    """A password of 100 random bits, in groups without upper case and without letters that look like digits."""
    return "-".join("".join(secrets.choice(CROCKFORD.lower()) for _ in range(5)) for _ in range(4))
