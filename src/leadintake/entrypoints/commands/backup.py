"""`leadintake backup`: everything as it was at one moment, in a folder, while the service runs."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import click

from leadintake import __version__
from leadintake.application.ports.database import Transaction
from leadintake.application.views import LeadView
from leadintake.domain.errors import NotFound, Refused
from leadintake.domain.events import SYSTEM, Actor, Event
from leadintake.entrypoints.bootstrap import copying, engines, schema
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.commands import backup_folder, output
from leadintake.entrypoints.commands.backup_folder import Manifest
from leadintake.entrypoints.commands.copied_files import copy_files
from leadintake.entrypoints.commands.stored_files import FileProblem, batches, paths_in_use
from leadintake.entrypoints.settings import LARGEST_RESUME, Settings, environment

ASKED_AT_ONCE = 1_000
"""Leads that the service is asked about together, whether they are still there."""

NAMED_MAX = 20


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def backup(folder: Path) -> None:
    """Copy everything to the new folder DIR. The service goes on meanwhile.

    DIR becomes a data folder, whatever the engines of the service are: a SQLite database and the files. It holds
    personal data, and no secret key.
    """
    settings, folder, began = environment.read(), folder.absolute(), time.monotonic()
    try:
        manifest, wrong = asyncio.run(_backup(settings, folder))
    except OSError as error:
        raise Refused(f"The backup cannot be written to {folder}: {error.strerror or error}.") from error
    size = (manifest.file_bytes + manifest.database_bytes) / 1e6
    click.echo(
        f"Backed up {manifest.leads:,} leads and {manifest.files:,} files to {folder}: "
        f"{size:,.1f} MB in {time.monotonic() - began:,.0f} seconds."
    )
    if wrong:
        named = "; ".join(map(str, wrong[:NAMED_MAX])) + ("; ..." if len(wrong) > NAMED_MAX else "")
        raise Refused(f"{len(wrong):,} files could not be backed up: {named}")


async def _backup(settings: Settings, folder: Path) -> tuple[Manifest, list[FileProblem]]:
    """Make a backup; returns what it holds, and what is wrong with each file that it should hold and does not."""
    if (found := await schema.compare(settings)) is not Schema.CURRENT:
        raise NotReady(found.value)
    taken_at = datetime.now(UTC)
    with backup_folder.appearing(folder) as partial, TemporaryDirectory(prefix="leadintake-backup-") as work:
        # The database is made on a local disk, because SQLite cannot work on every file system that takes backups.
        copy = replace(settings, data_dir=Path(work), database_url=None)
        uploads = replace(settings, data_dir=partial, files=None, max_resume_bytes=LARGEST_RESUME)
        with output.progress("Copying rows") as report:
            await copying.copy_rows(settings, copy, report)
        async with engines.storage(settings) as live, engines.storage(copy, uploads) as copied:
            source = replace(live, database=copied.database)
            _, failed = await copy_files(source, copied.files, str(folder), copying.count_leads(copy))
            leads, bytes_, erased = await _forget_erased(copied, live)
            wrong = [one for one in failed if one.lead.id not in erased]
            missing = [one.lead for one in wrong]
        held = copying.quiesce(copy, f"restored from a backup of {taken_at:%Y-%m-%d %H:%M:%S}Z")
        database_bytes, sha256 = backup_folder.copy_file(copy.database_path, partial / copy.database_path.name)
        manifest = Manifest(
            version=__version__,
            schema=schema.HEAD,
            taken_at=taken_at,
            leads=leads,
            held=held,
            files=leads - len(missing),
            file_bytes=bytes_ - sum(lead.resume_size for lead in missing),
            database_bytes=database_bytes,
            database_sha256=sha256,
            missing=[lead.resume_path for lead in missing],
        )
        backup_folder.write(partial, manifest)
    return manifest, wrong


async def _forget_erased(copied: Storage, live: Storage) -> tuple[int, int, set[UUID]]:
    """Take out of the copy what was erased since it was made, so that no restore brings it back.

    Returns how many leads are left, how many bytes their files have, and which leads were taken out.
    """
    count = size = 0
    erased: set[UUID] = set()
    async for leads in batches(copied, ASKED_AT_ONCE):
        there = await paths_in_use(live, [lead.resume_path for lead in leads])
        for lead in leads:
            if lead.resume_path in there:
                count, size = count + 1, size + lead.resume_size
            else:
                await _forget(copied, live, lead)
                erased.add(lead.id)
    return count, size, erased


async def _forget(copied: Storage, live: Storage, lead: LeadView) -> None:
    """Erase a lead in the copy as it was erased in the service. Its timeline becomes what it is there."""
    timeline = await live.database.read(live.firm_id, lambda tx: tx.events.of_lead(lead.id))

    def work(tx: Transaction) -> None:
        tx.leads.remove(tx.leads.get(lead.id))
        missing = timeline[len(tx.events.of_lead(lead.id)) :]
        tx.events.add(*[Event(lead.id, one.kind, one.at, _known(tx, one.actor), one.data) for one in missing])

    await copied.database.write(copied.firm_id, work)
    await copied.files.remove(lead.resume_path)


def _known(tx: Transaction, actor: Actor) -> Actor:
    """Who did something; the system in place of a user who came after the copy was made."""
    try:
        return Actor(actor.kind, tx.people.get(actor.id).id) if actor.id else actor
    except NotFound:
        return SYSTEM
