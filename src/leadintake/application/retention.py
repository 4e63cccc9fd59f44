"""Retention: what is no longer needed is removed, and nothing else."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from leadintake.application.database import Database, Transaction
from leadintake.application.intake import KEY_LIFETIME
from leadintake.application.ports import Clock, FileStore
from leadintake.domain.people import SESSION_LIFETIME


@dataclass(frozen=True, slots=True)
class Retention:
    """Run now and then by the worker."""

    firm_id: UUID
    database: Database
    files: FileStore
    now: Clock
    sweep_after: timedelta

    async def sweep(self) -> int:
        """Remove files that no lead refers to and that are older than `sweep_after`; returns how many.

        A submission stores its lead within moments of writing its file, so an old file without a lead belongs to none.
        """
        removed = 0
        async for stale in self.files.untouched_since(self.now() - self.sweep_after):
            for path in await self._unused(stale):
                await self.files.remove(path)
                removed += 1
        return removed

    async def _unused(self, paths: list[str]) -> set[str]:
        return set(paths) - await self.database.read(self.firm_id, lambda tx: tx.leads.paths_in_use(paths))

    async def prune(self) -> None:
        """Forget keys and sessions whose time is over."""
        now = self.now()

        def work(tx: Transaction) -> None:
            tx.submissions.prune(now - KEY_LIFETIME)
            tx.people.prune_sessions(now - SESSION_LIFETIME)

        await self.database.write(self.firm_id, work)
