"""Leads and their files, compared both ways."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from leadintake.application.app import App
from leadintake.application.database import LeadQuery, Position
from leadintake.application.ports import FileStore
from leadintake.application.views import LeadView
from leadintake.domain.errors import FileUnavailable, NotFound, Unavailable
from leadintake.domain.lead import Resume
from leadintake.entrypoints.commands import output

BATCH = 100
"""Leads looked at together; in an object store each is a request."""


async def compare(app: App, firm_id: UUID, *, hashes: bool) -> tuple[int, list[str]]:
    """How many leads there are, and a line for each whose file is not there, or not what was uploaded.

    A lead that is erased meanwhile is none. Shows progress on a terminal.
    """
    seen = 0
    suspects: list[tuple[LeadView, str]] = []
    with output.progress("Comparing leads and files") as told:
        async for leads in batches(app, firm_id):
            found = await asyncio.gather(*(_wrong_size(app.files, lead) for lead in leads))
            wrong = {lead.id: what for lead, what in zip(leads, found, strict=True) if what}
            if hashes:
                wrong |= {
                    lead.id: "has changed" for lead in leads if lead.id not in wrong and not await _is_intact(app, lead)
                }
            suspects += [(lead, wrong[lead.id]) for lead in leads if lead.id in wrong]
            seen += len(leads)
            told(seen, None)
    lines = [
        f"{lead.reference}: {lead.resume_path} {what}"
        for lead, what in suspects
        if await _is_there(app, firm_id, lead.id)
    ]
    return seen, lines


async def orphans(app: App, firm_id: UUID, older_than: timedelta) -> int:
    """How many files that have lain there for so long belong to no lead."""
    untouched = app.files.untouched_since(app.dispatch.now() - older_than)
    return sum([await _unused(app, firm_id, paths) async for paths in untouched])


def resume(lead: LeadView) -> Resume:
    """What a file store is asked for to get the file of a lead."""
    return Resume(lead.resume_path, lead.resume_name, lead.resume_kind, lead.resume_size, lead.resume_sha256)


async def _unused(app: App, firm_id: UUID, paths: list[str]) -> int:
    return len(paths) - len(await app.database.read(firm_id, lambda tx: tx.leads.paths_in_use(paths)))


async def batches(app: App, firm_id: UUID, at_most: int = BATCH) -> AsyncIterator[list[LeadView]]:
    """All leads, oldest first, so that those that come meanwhile are looked at too."""
    query = LeadQuery(oldest_first=True, limit=at_most)
    while leads := await _page(app, firm_id, query):
        yield leads
        query = replace(query, after=Position(leads[-1].created_at, leads[-1].id))


async def _page(app: App, firm_id: UUID, query: LeadQuery) -> list[LeadView]:
    return await app.database.read(firm_id, lambda tx: tx.leads.page(query))


async def _wrong_size(files: FileStore, lead: LeadView) -> str | None:
    """What is wrong with the size of a lead's file, if anything is."""
    try:
        size = await files.size(lead.resume_path)
    except Unavailable as error:
        return f"cannot be read ({error.__cause__ or error})"
    if size is None:
        return "is not there"
    return None if size == lead.resume_size else f"has {size:,} bytes instead of {lead.resume_size:,}"


async def _is_intact(app: App, lead: LeadView) -> bool:
    """Whether the file has the bytes that were uploaded."""
    try:
        await app.files.open(resume(lead))
    except FileUnavailable:
        return False
    return True


async def _is_there(app: App, firm_id: UUID, lead_id: UUID) -> bool:
    try:
        await app.database.read(firm_id, lambda tx: tx.leads.view(lead_id))
    except NotFound:
        return False
    return True
