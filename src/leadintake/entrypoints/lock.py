"""The lock of a data folder: one process serves it at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leadintake.domain.errors import Refused
from leadintake.entrypoints.settings import Settings


class InUse(Refused):
    """Another leadintake serves this data."""


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Hold the data folder, and a SQLite database too where it lies elsewhere; raises InUse. PostgreSQL needs no lock.

    The lock ends with the process at the latest, however that ends, and the file it is on stays.
    """
    if settings.postgres_url:
        yield
        return
    files = [settings.data_dir / "serve.lock"]
    if settings.database_url:
        files.append(Path(f"{settings.database_path}.lock"))
    descriptors: list[int] = []
    try:
        for file in files:
            descriptors.append(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            try:
                fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                where = file.parent.absolute()
                raise InUse(f"Another leadintake serves {where}. Stop it, or set LEADINTAKE_DATA_DIR.") from None
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
