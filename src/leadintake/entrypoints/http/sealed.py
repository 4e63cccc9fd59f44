"""A few bytes that a client carries for us and cannot change, signed together with what they are about.

The first key signs; what was signed with any of them is taken.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

SIGNATURE_BYTES = 16
"""128 bits of an HMAC cannot be guessed, and keep what is carried short."""


def seal(purpose: bytes, plain: bytes, about: str, keys: Sequence[bytes]) -> str:
    """Return the bytes with their signature, for an address or a field. Those of a purpose are always as many."""
    return _sealed(purpose, plain, about, keys[0])


def unseal(purpose: bytes, sealed: str, size: int, about: str, keys: Sequence[bytes]) -> bytes:
    """Return the `size` bytes that were sealed for this purpose and are about this; raises ValueError for all else.

    The size is fixed, or the beginning of what they are about, which is signed behind them, could pass for their end.
    """
    plain = urlsafe_b64decode(sealed + "==")[SIGNATURE_BYTES:]
    is_ours = any(hmac.compare_digest(_sealed(purpose, plain, about, key).encode(), sealed.encode()) for key in keys)
    if len(plain) != size or not is_ours:
        raise ValueError
    return plain


def _sealed(purpose: bytes, plain: bytes, about: str, key: bytes) -> str:
    signature = hmac.digest(key, purpose + plain + about.encode(), "sha256")[:SIGNATURE_BYTES]
    return urlsafe_b64encode(signature + plain).decode().rstrip("=")
