"""The locks of a data folder: one process serves it at a time, and one sends its mail."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leadintake.domain.errors import Refused
from leadintake.entrypoints.settings import DATABASE, Settings

SERVING = "serve"
SENDING = "worker"
DOES = {SERVING: "serves", SENDING: "sends the mail of"}


class InUse(Refused):
    """Another leadintake works on this data."""


@contextmanager
def held(settings: Settings, *names: str) -> Iterator[None]:
    """Hold locks of the data folder, or all, and of a SQLite database that lies elsewhere too; raises InUse.

    PostgreSQL needs none. They end with the process at the latest, however that ends, and the files they are on stay.
    """
    if settings.postgres_url:
        yield
        return
    descriptors: list[int] = []
    try:
        for name in names or DOES:
            for file in _files(settings, name):
                descriptors.append(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
                try:
                    fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    does = f"{DOES[name]} {file.parent.absolute()}"
                    raise InUse(f"Another leadintake {does}. Stop it, or set LEADINTAKE_DATA_DIR.") from None
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _files(settings: Settings, name: str) -> Iterator[Path]:
    """That of the data folder, and that of a database elsewhere, which may be another data folder."""
    folder, database = settings.data_dir.resolve(), settings.database_path.resolve()
    yield folder / f"{name}.lock"
    if database.name != DATABASE:
        yield database.with_name(f"{database.name}.{name}.lock")
    elif database.parent != folder:
        yield database.with_name(f"{name}.lock")
