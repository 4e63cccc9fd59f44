"""The files of leads, on their way from one store to another."""

import asyncio
from functools import partial

from leadintake.application.ports.files import FileStore, Received
from leadintake.application.views import LeadView
from leadintake.domain.errors import FileUnavailable, Refused, TooLarge, Unavailable
from leadintake.domain.lead import Resume
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.commands import output
from leadintake.entrypoints.commands.findings import why
from leadintake.entrypoints.commands.stored_files import AT_ONCE, CHANGED, FileProblem, batches, problem_of, resume


async def copy_files(storage: Storage, to: FileStore, where: str, total: int) -> tuple[int, list[FileProblem]]:
    """Store the file of each lead where it is not there in its size; `where` names that place, and `total` the leads.

    Returns how many were not there, and the leads whose files are missing, not what was uploaded, or cannot be read:
    these are left out. Shows progress on a terminal. Raises Refused when a store fails as a whole.
    """
    seen = copied = 0
    wrong: list[FileProblem] = []
    try:
        with output.progress("Copying files") as report:
            async for leads in batches(storage, AT_ONCE):
                outcomes = await asyncio.gather(*(_copy_file(storage.files, to, lead) for lead in leads))
                wrong += [outcome for outcome in outcomes if isinstance(outcome, FileProblem)]
                copied += outcomes.count(True)
                seen += len(leads)
                report(seen, total)
    except TooLarge as error:
        raise Refused("A file is larger than LEADINTAKE_MAX_RESUME_BYTES. Raise that for the copy.") from error
    except Unavailable as error:
        raise Refused(f"Files cannot be copied to {where}: {why(error)}") from error
    if wrong and len(wrong) == seen and not any(one.is_damaged for one in wrong):
        raise Refused(f"Not one file can be read. {wrong[0]}.")
    return copied, wrong


async def _copy_file(source: FileStore, target: FileStore, lead: LeadView) -> bool | FileProblem:
    """Whether the file of a lead had to be copied, or what is wrong with it."""
    there = await target.size(lead.resume_path)
    if there == lead.resume_size:
        return False
    wanted = resume(lead)
    try:
        content = await source.open(wanted)
    except FileUnavailable as error:
        size = await source.size(lead.resume_path)  # Raises where all of the store is away, and not this file.
        return problem_of(lead, size, error)
    if there is not None:  # A copy that was killed left it, and a folder takes no file under a name that is in use.
        await target.remove(lead.resume_path)
    async with target.receive() as upload:
        async for chunk in content:
            await upload.write(chunk)
        try:
            await upload.keep(partial(_checked, wanted))
        except _Damaged:
            return FileProblem(lead, CHANGED)
    return True


class _Damaged(Exception):
    """What came is not what was uploaded."""


def _checked(wanted: Resume, received: Received) -> Resume:
    if received.sha256 != wanted.sha256:
        raise _Damaged
    return wanted
