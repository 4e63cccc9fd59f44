"""Access tokens, and the secrets that refresh them."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4

from jwt import InvalidTokenError, PyJWT

from leadintake.adapters.security.keys import derive
from leadintake.application.ports.security import Claims

ALGORITHM = "HS256"
HEADER = {"alg": ALGORITHM, "typ": "at+jwt"}
AUDIENCE = "leadintake"
CLAIMS = {"aud", "exp", "iat", "iss", "jti", "sid", "sub"}
TOKEN_MAX_CHARACTERS = 4096
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CLOCK_DRIFT = timedelta(seconds=5)
"""How far the clock of another process, or one that was set back, may be behind the one that issued a token."""


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
