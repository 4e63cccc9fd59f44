"""`leadintake restore`: what a backup holds, brought to the empty engines that the settings name."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from leadintake.domain.errors import Refused
from leadintake.entrypoints.bootstrap import copying, engines, schema
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.commands import backup_folder, output
from leadintake.entrypoints.commands.backup_folder import Manifest
from leadintake.entrypoints.commands.copied_files import copy_files
from leadintake.entrypoints.commands.stored_files import FileProblem, compare, paths_in_use
from leadintake.entrypoints.lock import held
from leadintake.entrypoints.settings import Settings, environment

LATER = datetime.max.replace(tzinfo=UTC)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--without-damaged", is_flag=True, help="Leave out files that are damaged or gone, and name them.")
def restore(folder: Path, *, without_damaged: bool) -> None:
    """Bring the backup in DIR to the database and the files that the settings name. They must be empty.

    First the backup is compared with what it should hold, every file too. The mail that waited in it is held, not sent,
    and everybody has to sign in again.
    """
    settings = environment.read()
    manifest = backup_folder.read(folder)
    wrong = asyncio.run(_restore(settings, folder.absolute(), manifest, without_damaged=without_damaged))
    mails = f" {manifest.held:,} mails are held: leadintake deliveries list --status held" if manifest.held else ""
    click.echo(f"Restored {manifest.leads:,} leads as of {manifest.taken_at:%Y-%m-%d %H:%M:%S}Z.{mails}")
    if wrong:
        raise Refused(f"{len(wrong):,} files could not be restored: {'; '.join(map(str, wrong))}")


async def _restore(settings: Settings, folder: Path, manifest: Manifest, *, without_damaged: bool) -> list[FileProblem]:
    """Restore a backup; returns what is wrong with the files of leads, in the backup already."""
    with TemporaryDirectory(prefix="leadintake-restore-") as work:
        copy = replace(settings, data_dir=Path(work), database_url=None)
        await _take_database(copy, folder, manifest)
        uploads = replace(settings, data_dir=folder, files=None)
        if not uploads.uploads_dir.is_dir():
            raise Refused(f"The backup is not whole: there is no folder {uploads.uploads_dir}.")
        async with engines.storage(copy, uploads) as backup:
            if not without_damaged:
                await _check_files(backup, manifest)
            schema.make_data_dir(settings)
            with held(settings):
                leads = await copying.prepare(copy, settings)
                copied = await _restore_files(settings, backup, leads)
                with output.progress("Copying rows") as report:
                    await copying.copy_rows(copy, settings, report)
                await schema.enable_wal(settings)
    async with engines.storage(settings) as restored:
        # What had to be copied was compared on its way.
        return (await compare(restored, hashes=copied < manifest.files))[1]


async def _take_database(copy: Settings, folder: Path, manifest: Manifest) -> None:
    """A copy of the backup's database, of this version's schema; raises Refused unless it is what was backed up."""
    path = folder / copy.database_path.name
    if backup_folder.copy_file(path, copy.database_path) != (manifest.database_bytes, manifest.database_sha256):
        raise Refused(f"The backup is not whole: {path} is not what was backed up.")
    if await schema.compare(copy) is Schema.NEWER:
        raise NotReady("The backup was made by a newer version of leadintake. Install that one.")
    await schema.migrate(copy)


async def _check_files(backup: Storage, manifest: Manifest) -> None:
    """Raise Refused unless the backup has every file that it should have, as it was uploaded."""
    _, found = await compare(backup, hashes=True)
    wrong = [one for one in found if one.lead.resume_path not in manifest.missing]
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise Refused(f"The backup is not whole: {wrong[0]}{more}. Restore the rest with --without-damaged.")


async def _restore_files(settings: Settings, backup: Storage, leads: int) -> int:
    """Store the files of a backup; returns how many were not there, after a restore that broke off.

    Raises Refused where any other file is there already.
    """
    where = settings.files or str(settings.uploads_dir.absolute())
    async with engines.files(settings) as store:
        async for found in store.written(before=LATER):
            # What an upload left that was broken off is the sweep's, wherever it is from.
            paths = {path for path in found if not path.endswith(".part")}
            if others := paths - await paths_in_use(backup, paths):
                raise Refused(f"{where} is not empty: {min(others)} is not of this backup. Name an empty place.")
        return (await copy_files(backup, store, where, leads))[0]
