"""Passwords, access tokens and the secrets behind them."""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import stat
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from jwt import InvalidTokenError, PyJWT

from leadintake.application.ports import SECRET_KEY_MIN_BYTES, Claims
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

ALGORITHM = "HS256"
HEADER = {"alg": ALGORITHM, "typ": "at+jwt"}
AUDIENCE = "leadintake"
CLAIMS = {"aud", "exp", "iat", "iss", "jti", "sid", "sub"}
TOKEN_MAX_CHARACTERS = 4096
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CLOCK_DRIFT = timedelta(seconds=5)
"""How far the clock of another process, or one that was set back, may be behind the one that issued a token."""


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


class JwtTokens:
    """Access tokens of the type of RFC 9068, signed with HMAC-SHA256. What is not exactly as issued here is none.

    The first secret key signs; what was signed with any of them is read. That takes 60 µs, an eighth of a small
    request, so the last thousand good tokens are remembered. Their times are judged each time.
    """

    def __init__(self, secret_keys: Sequence[bytes], issuer: str) -> None:
        self._keys = [derive(secret_key, "access token") for secret_key in secret_keys]
        self._issuer = issuer
        self._verified = lru_cache(1000)(self._verify)
        # PyJWT would ask the system for the time, so times are judged here.
        self._jwt = PyJWT(
            {
                "enforce_minimum_key_length": True,
                "require": sorted(CLAIMS),
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            }
        )

    def issue(self, claims: Claims, now: datetime, lifetime: timedelta) -> str:
        """A token that counts from now on for that long, in whole seconds."""
        payload = {
            "aud": AUDIENCE,
            "exp": int((now + lifetime).timestamp()),
            "iat": int(now.timestamp()),
            "iss": self._issuer,
            "jti": uuid4().hex,
            "sid": str(claims.session_id),
            "sub": str(claims.user_id),
        }
        return self._jwt.encode(payload, self._keys[0], ALGORITHM, HEADER)

    def read(self, token: str, now: datetime) -> Claims | None:
        """The claims of a token that was issued here, unaltered, and counts at that time."""
        if len(token) > TOKEN_MAX_CHARACTERS or "=" in token:
            return None
        return next((claims for key in self._keys if (claims := self._read(token, key, now))), None)

    def _read(self, token: str, key: bytes, now: datetime) -> Claims | None:
        try:
            claims, issued, expires = self._verified(token, key)
        except (InvalidTokenError, ValueError, OverflowError, RecursionError):
            return None
        return claims if issued <= now + CLOCK_DRIFT and now < expires else None

    def _verify(self, token: str, key: bytes) -> tuple[Claims, datetime, datetime]:
        """The claims of a token, when it was issued, and when it expires; raises an error for what is none of ours."""
        decoded = self._jwt.decode_complete(token, key, [ALGORITHM], audience=AUDIENCE, issuer=self._issuer)
        payload = decoded["payload"]
        if decoded["header"] != HEADER or payload.keys() != CLAIMS:
            raise InvalidTokenError
        return Claims(UUID(payload["sub"]), UUID(str(payload["sid"]))), _time(payload["iat"]), _time(payload["exp"])

    def secret(self) -> str:
        """256 random bits, as text."""
        return secrets.token_urlsafe(32)

    def fingerprint(self, secret: str) -> str:
        """SHA-256 in hex; a random secret needs no slow hash."""
        return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _time(seconds: object) -> datetime:
    """The time of a claim; raises ValueError for what is not a whole number, OverflowError for one beyond all years."""
    if type(seconds) is not int:
        raise ValueError
    return EPOCH + timedelta(seconds=seconds)


def derive(secret_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, so that what is signed for one counts for no other; raises ValueError."""
    if len(secret_key) < SECRET_KEY_MIN_BYTES:
        raise ValueError(f"The secret key has {len(secret_key)} bytes; it needs at least {SECRET_KEY_MIN_BYTES}.")
    return hmac.digest(secret_key, purpose.encode(), "sha256")


class RandomBits:
    """Random bits of the system, fetched 4 KiB at a time and used once.

    Each fetch gives up the interpreter's lock, and a submission needs random bits seven times: measured at 16 at once,
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


def generate_password() -> str:
    """A password of 100 random bits, in groups without upper case and without letters that look like digits."""
    return "-".join("".join(secrets.choice(CROCKFORD.lower()) for _ in range(5)) for _ in range(4))


def load_or_make_secret(path: Path) -> bytes:
    """The secret key of a data folder, made and durable on first use; processes that start at once get the same one.

    Raises ValueError as `load_secret` does.
    """
    if not path.exists():
        _make_secret(path)
    return load_secret(path)


def load_secret(path: Path) -> bytes:
    """The secret key in a file; raises ValueError for a file that is too short or open to other users."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        secret_key = file.read()
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path} is open to other users (mode {mode:o}). Run: chmod 600 {path}")
    if len(secret_key) < SECRET_KEY_MIN_BYTES:
        size = f"{len(secret_key)} bytes, a key needs {SECRET_KEY_MIN_BYTES}"
        raise ValueError(f"{path} has {size}. Restore it or delete it.")
    return secret_key


def _make_secret(path: Path) -> None:
    """Link a finished file to the path, so that nobody reads half a key; whoever is second leaves the first one's."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as draft:
        draft.write(secrets.token_bytes(SECRET_KEY_MIN_BYTES))
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
