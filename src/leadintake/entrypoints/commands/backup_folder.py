"""The folder of a backup: a data folder, and beside it what tells whether it is whole."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO, Literal

import msgspec

from leadintake.domain.errors import Refused

MANIFEST = "backup.json"
CHUNK = 2**20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. It is written last, so a folder without it is none. `missing` are paths of lost files."""

    format: Literal[1] = 1
    version: str
    schema: str
    taken_at: datetime
    leads: int
    held: int
    files: int
    file_bytes: int
    database_bytes: int
    database_sha256: str
    missing: list[str]


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, for this user only. It gets its name once all in it is durable; if that fails, it is removed.

    What a killed process leaves ends in `.partial`, under a name that is used once. Raises Refused.
    """
    _check_free(folder)
    if not folder.parent.is_dir():
        raise Refused(f"There is no folder {folder.parent}. Make it, or name another.")
    draft = Path(mkdtemp(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        yield draft
        _sync(draft)
        _check_free(folder)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _sync(folder.parent)


def copy_file(source: Path, to: Path) -> tuple[int, str]:
    """Copy a file durably, for this user only; returns its bytes, and their SHA-256 in hex."""
    digest = hashlib.sha256()
    with source.open("rb") as read, _private(to) as written:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            written.write(chunk)
        return written.tell(), digest.hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Say durably that the folder is whole."""
    with _private(folder / MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def read(folder: Path) -> Manifest:
    """What a backup says that it holds; raises Refused for one that is not whole, or that a newer version made."""
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Refused(f"{folder} is no backup, or one that was broken off: there is no {MANIFEST} in it.") from None
    except msgspec.DecodeError as error:
        raise Refused(f"{path} is damaged, or of a newer version: {error}.") from error


def _check_free(folder: Path) -> None:
    if os.path.lexists(folder):
        raise Refused(f"{folder} is there already. A backup takes a new folder.")


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file that only this user may read, durable in the end."""
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
