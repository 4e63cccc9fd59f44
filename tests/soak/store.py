"""What is stored, seen from outside: the database and the files as they lie there, whoever runs."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import obstore
from obstore.store import S3Store

from leadintake.application.app import App
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.settings.environment import load


@dataclass(frozen=True)
class Lead:
    """What the database has of a lead."""

    id: str
    email: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Owed:
    """What it has of a delivery. `token` is who claimed it last."""

    id: str
    status: str
    attempts: int
    token: str | None
    message_id: str
    lead_id: str
    recipient: str
    last_error: str | None

    @property
    def uuid(self) -> str:
        """The id as people write it."""
        return str(UUID(self.id))


@dataclass(frozen=True)
class Store:
    """The database and the files of a deployment, found by the settings of its processes."""

    environ: Mapping[str, str]

    def query(self, statement: str) -> list[Sequence[Any]]:
        """Ask the database."""
        if url := self.environ.get("DATABASE_URL"):
            return asyncio.run(_ask(url, statement))
        # Read-only, so that this connection never writes the log back to the file.
        path = Path(self.environ["LEADINTAKE_DATA_DIR"]) / "leadintake.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()

    def change(self, statement: str) -> None:
        """Change the database, behind the back of whoever runs."""
        if url := self.environ.get("DATABASE_URL"):
            asyncio.run(_ask(url, statement))
            return
        path = Path(self.environ["LEADINTAKE_DATA_DIR"]) / "leadintake.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # As of all but the server (docs/adr/0002).
            connection.execute(statement)

    def leads(self) -> list[Lead]:
        """All leads."""
        found = self.query("SELECT id, email, resume_path, resume_sha256 FROM leads")
        return [Lead(_hex(row[0]), row[1], row[2], row[3]) for row in found]

    def keys(self) -> set[str]:
        """All Idempotency-Keys that led to a lead."""
        return {row[0] for row in self.query("SELECT key FROM submissions")}

    def owed(self, lead_id: str | None = None) -> list[Owed]:
        """All deliveries, or those of one lead."""
        names = "id, status, attempts, claim_token, message_id, lead_id, recipient, last_error"
        found = [
            Owed(_hex(row[0]), row[1], row[2], row[3] and _hex(row[3]), row[4], _hex(row[5]), row[6], row[7])
            for row in self.query(f"SELECT {names} FROM deliveries")
        ]
        return [one for one in found if lead_id in {None, one.lead_id}]

    def files(self) -> dict[str, int]:
        """The names of all files, kept or under way, and how large they are."""
        if bucket := self._bucket():
            return {one["path"]: one["size"] for page in obstore.list(bucket) for one in page}
        found = {}
        for path in self._uploads().iterdir():
            try:
                found[path.name] = path.stat().st_size
            except FileNotFoundError:
                continue
        return found

    def sha256(self, name: str) -> str:
        """The hash of a file as it lies there."""
        if bucket := self._bucket():
            return hashlib.sha256(obstore.get(bucket, name).bytes()).hexdigest()
        return hashlib.sha256((self._uploads() / name).read_bytes()).hexdigest()

    def sweep(self) -> int:
        """Run the sweep of the service, for files of whatever age, while nothing is being submitted."""

        async def sweeping() -> int:
            app: App
            async with opened(load(self.environ, {}), lambda: None) as app:
                return await replace(app.retention, sweep_after=timedelta(0)).sweep()

        return asyncio.run(sweeping())

    def _uploads(self) -> Path:
        return Path(self.environ["LEADINTAKE_DATA_DIR"]) / "uploads"

    def _bucket(self) -> S3Store | None:
        url = self.environ.get("LEADINTAKE_FILES")
        if url is None:
            return None
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
        config = {name.lower(): self.environ[name] for name in names}
        return S3Store.from_url(url, config=config, client_options={"allow_http": True})  # type: ignore[arg-type] # names


async def _ask(url: str, statement: str) -> list[Sequence[Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def _hex(value: object) -> str:
    """An id as either database has it."""
    return value.hex() if isinstance(value, bytes) else str(value).replace("-", "")
