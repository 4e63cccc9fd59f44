"""Retention: what is no longer needed is removed, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from leadintake.application.intake import KEY_LIFETIME
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.files import FileStore
from leadintake.application.removal import remove
from leadintake.application.views import LeadView
from leadintake.domain.errors import NotFound, Stale, Unavailable
from leadintake.domain.events import Event
from leadintake.domain.lead import Lead, State
from leadintake.domain.people import SESSION_LIFETIME

PORTION = 100
"""Leads that are looked up at once, to be erased one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Run now and then by the worker. Without `keep_for`, no lead is ever too old."""

    firm_id: UUID
    database: Database
    files: FileStore
    now: Clock
    sweep_after: timedelta
    keep_for: timedelta | None = None

    async def orphans(self) -> AsyncIterator[str]:
        """Files that no lead refers to, that are older than `sweep_after`, but not than the database.

        A submission stores its lead within moments of writing its file, so an old file without a lead belongs to none.
        How old it is, its store's clock says too: by one that is ahead, what was just written would be old.
        """
        now = min(self.now(), await self.files.now())
        created_at = await self._database_created_at()
        async for stale in self.files.written(since=created_at, before=now - self.sweep_after):
            for path in await self._unused(stale):
                yield path

    async def older_files(self) -> AsyncIterator[str]:
        """Files that no lead refers to and that are older than the database: another one, perhaps lost, has the leads.

        No sweep takes them. Whoever starts with a new database beside the files of before would lose all of them.
        """
        async for older in self.files.written(before=await self._database_created_at()):
            for path in await self._unused(older):
                yield path

    async def sweep(self) -> int:
        """Remove all orphans; returns how many. One that cannot be removed keeps none of the others."""
        removed = 0
        async for path in self.orphans():
            with suppress(Unavailable):
                await self.files.remove(path)
                removed += 1
        return removed

    async def _database_created_at(self) -> datetime:
        return await self.database.read(self.firm_id, lambda tx: tx.database_created_at())

    async def _unused(self, paths: list[str]) -> set[str]:
        return set(paths) - await self.database.read(self.firm_id, lambda tx: tx.leads.paths_in_use(paths))

    async def expire(self) -> int:
        """Erase what nobody has changed for `keep_for`; returns how many leads.

        Each has a transaction of its own, so that submissions are not kept waiting. One that somebody has changed or
        erased since it was looked up is let be.
        """
        if self.keep_for is None:
            return 0
        now = self.now()
        before = now - self.keep_for

        def last_event(lead: Lead) -> Event:
            return lead.expired(unchanged_since=before, at=now)

        erased = 0
        while found := await self.database.read(self.firm_id, lambda tx: tx.leads.expired(before, PORTION)):
            for lead_id in found:
                with suppress(NotFound, Stale):
                    await remove(self.database, self.files, self.firm_id, lead_id, last_event)
                    erased += 1
        return erased

    async def count_expired(self, at_most: int) -> int:
        """How many leads `expire` would erase now, counted up to `at_most`."""
        if self.keep_for is None:
            return 0
        before = self.now() - self.keep_for
        return len(await self.database.read(self.firm_id, lambda tx: tx.leads.expired(before, at_most)))

    def kept_until(self, lead: LeadView) -> datetime | None:
        """When the lead may be erased unless somebody changes it before; None for never."""
        is_over = lead.state is State.REACHED_OUT or lead.quarantine
        return lead.updated_at + self.keep_for if self.keep_for and is_over else None

    async def prune(self) -> None:
        """Forget keys and sessions whose time is over."""
        now = self.now()

        def work(tx: Transaction) -> None:
            tx.submissions.prune(now - KEY_LIFETIME)
            tx.people.prune_sessions(now - SESSION_LIFETIME)

        await self.database.write(self.firm_id, work)
