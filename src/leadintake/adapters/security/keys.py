"""The secret key of a data folder, and the keys for one purpose each that come of it."""

import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from leadintake.application.ports.security import SECRET_KEY_MIN_BYTES


def derive(secret_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, so that what is signed for one counts for no other; raises ValueError."""
    if len(secret_key) < SECRET_KEY_MIN_BYTES:
        raise ValueError(f"The secret key has {len(secret_key)} bytes; it needs at least {SECRET_KEY_MIN_BYTES}.")
    return hmac.digest(secret_key, purpose.encode(), "sha256")


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
