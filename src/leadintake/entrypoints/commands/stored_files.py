"""Leads and their files, compared both ways."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from uuid import UUID

from leadintake.application.ports.database import LeadQuery, Position
from leadintake.application.ports.files import FileStore
from leadintake.application.views import LeadView
from leadintake.domain.errors import FileDamaged, FileUnavailable, NotFound, Unavailable
from leadintake.domain.lead import Resume
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.commands import output
from leadintake.entrypoints.commands.findings import why

BATCH = 100
"""Leads looked at together; in an object store each is a request."""

AT_ONCE = 32
"""Files read together. Each has at most LEADINTAKE_MAX_RESUME_BYTES, in a temporary file unless it is small."""

CHANGED = "has changed"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A lead whose file is not there, or not what was uploaded; or cannot be read, which proves nothing against it."""

    lead: LeadView
    what: str
    is_damaged: bool = True

    def __str__(self) -> str:
        return f"{self.lead.reference}: {self.lead.resume_path} {self.what}"


async def compare(storage: Storage, *, hashes: bool) -> tuple[int, list[FileProblem]]:
    """How many leads there are, and what is wrong with the file of any of them.

    A lead that is erased meanwhile is none. Shows progress on a terminal.
    """
    seen = 0
    suspects: list[FileProblem] = []
    with output.progress("Comparing leads and files") as report:
        async for leads in batches(storage, AT_ONCE if hashes else BATCH):
            found = await asyncio.gather(*(check_file(storage.files, lead, hashes=hashes) for lead in leads))
            suspects += filter(None, found)
            seen += len(leads)
            report(seen, None)
    return seen, [one for one in suspects if await _is_there(storage, one.lead.id)]


def resume(lead: LeadView) -> Resume:
    """What a file store is asked for to get the file of a lead."""
    return Resume(lead.resume_path, lead.resume_name, lead.resume_kind, lead.resume_size, lead.resume_sha256)


async def paths_in_use(storage: Storage, paths: Collection[str]) -> set[str]:
    """Which of these paths some lead refers to."""
    return await storage.database.read(storage.firm_id, lambda tx: tx.leads.paths_in_use(paths))


async def batches(storage: Storage, at_most: int) -> AsyncIterator[list[LeadView]]:
    """All leads, oldest first, so that those that come meanwhile are looked at too.

    Those in quarantine come before: one that is released meanwhile is met again then, and none is missed.
    """
    for quarantined in (True, False):
        query = LeadQuery(oldest_first=True, limit=at_most, quarantined=quarantined)
        while leads := await _page(storage, query):
            yield leads
            query = replace(query, after=Position(leads[-1].created_at, leads[-1].id))


async def _page(storage: Storage, query: LeadQuery) -> list[LeadView]:
    return await storage.database.read(storage.firm_id, lambda tx: tx.leads.page(query))


async def check_file(files: FileStore, lead: LeadView, *, hashes: bool) -> FileProblem | None:
    """What is wrong with the file of a lead, if anything is."""
    try:
        size = await files.size(lead.resume_path)
    except Unavailable as error:
        return _unreadable(lead, error)
    if size != lead.resume_size:
        return _wrong_size(lead, size)
    try:
        if hashes:
            await files.open(resume(lead))
    except FileUnavailable as error:
        return problem_of(lead, size, error)
    return None


def problem_of(lead: LeadView, size: int | None, error: FileUnavailable) -> FileProblem:
    """What is wrong with a file of this size that could not be opened."""
    if size != lead.resume_size:
        return _wrong_size(lead, size)
    return FileProblem(lead, CHANGED) if isinstance(error, FileDamaged) else _unreadable(lead, error)


def _wrong_size(lead: LeadView, size: int | None) -> FileProblem:
    return FileProblem(lead, "is not there" if size is None else f"has {size:,} bytes instead of {lead.resume_size:,}")


def _unreadable(lead: LeadView, error: Unavailable) -> FileProblem:
    return FileProblem(lead, f"cannot be read ({why(error)})", is_damaged=False)


async def _is_there(storage: Storage, lead_id: UUID) -> bool:
    try:
        await storage.database.read(storage.firm_id, lambda tx: tx.leads.view(lead_id))
    except NotFound:
        return False
    return True
