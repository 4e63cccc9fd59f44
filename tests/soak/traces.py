"""What people leave behind in a deployment: made older, searched for byte by byte, and removed as operators do."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.deployment import Deployment
from tests.soak.store import Store

from leadintake.adapters.sql.tables import MICROSECOND, UtcDateTime, leads, metadata, users

PEOPLE = re.compile(rb"q[a-p]{11}|p\d+@example\.org", re.IGNORECASE)
"""The names and addresses of prospects (prospects.py); the name stands in the resume too."""

REFERENCE = re.compile(rb"LD-[0-9A-Z]{8}")
STAYS = {leads.c.updated_at, users.c.created_at, users.c.password_expires_at}
"""What is not made older: by the first, leads become too old when they are to; by the others, passwords still count."""


@dataclass(frozen=True)
class Traces:
    """Those of a deployment. `dump` is its database, where that is no file of the service; `rewrite` writes it anew."""

    deployment: Deployment
    dump: Callable[[], bytes]
    rewrite: Callable[[], object]

    def found(self) -> set[str]:
        """The names and addresses that can be read in any byte there is: of data, mails and logs."""
        files = [path for path in self.deployment.folder.rglob("*") if path.is_file()]
        contents = [self.dump(), *(path.read_bytes() for path in files)]
        return {one.decode().lower() for content in contents for one in PEOPLE.findall(content)}

    def remove_mails(self, references: set[str]) -> int:
        """Remove what was written about some leads, as docs/operations.md says; returns how many mails."""
        mails = [*(Path(self.deployment.environ["LEADINTAKE_DATA_DIR"]) / "mail").glob("*")]
        about = [path for path in mails if references & {one.decode() for one in REFERENCE.findall(path.read_bytes())}]
        for path in about:
            path.unlink()
        return len(about)


def make_older(store: Store, age: timedelta) -> None:
    """Have all that has happened so far, and all files, be so much older; only the last change of a lead stays."""
    for table in metadata.sorted_tables:
        moments = [column.name for column in table.c if isinstance(column.type, UtcDateTime) and column not in STAYS]
        if moments:
            earlier = ", ".join(f"{name} = {name} - {age // MICROSECOND}" for name in moments)
            store.change(f"UPDATE {table} SET {earlier}")
    for path in (Path(store.environ["LEADINTAKE_DATA_DIR"]) / "uploads").iterdir():
        then = path.stat().st_mtime - age.total_seconds()
        os.utime(path, (then, then))
