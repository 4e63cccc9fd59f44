"""`leadintake copy`: the move from SQLite to PostgreSQL, and of files to an object store."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

import click

from leadintake.domain.errors import Refused, Unavailable
from leadintake.entrypoints.bootstrap import copying, engines, schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.commands import output, piped
from leadintake.entrypoints.commands.copied_files import copy_files
from leadintake.entrypoints.commands.findings import why
from leadintake.entrypoints.commands.stored_files import FileProblem, compare
from leadintake.entrypoints.lock import held
from leadintake.entrypoints.settings import Settings, databases, environment, parsers


def _asked() -> str:
    """The URL from whoever sits at the terminal, or else from the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("PostgreSQL URL", hide_input=True))
    return piped.first_line().strip()


def _postgres_url(text: str) -> str:
    if not text.startswith(("postgres://", "postgresql://")):
        raise ValueError("give postgresql://user@host/name")
    return databases.url(text)


def _read_by(parse: Callable[[str], str]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A callback that reads an option as a setting is read."""

    def read(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
        try:
            return parse(text) if text is not None else None
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from None

    return read


@click.command()
@click.option(
    "--to",
    metavar="URL",
    default=_asked,
    callback=_read_by(_postgres_url),
    help="The empty database to copy to: postgresql://user@host/name. Without it, what you type unseen or pipe in.",
)
@click.option(
    "--files-to",
    metavar="URL",
    callback=_read_by(parsers.object_store),
    help="Copy the files too: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
)
@click.option("--hashes", is_flag=True, help="At the end read every file and compare it with what was uploaded.")
def copy(to: str, files_to: str | None, *, hashes: bool) -> None:
    """Copy everything from SQLite to PostgreSQL, and the files to an object store. The service must not run meanwhile.

    What is copied from stays as it is. A password need not stand in the URL, where others on this machine can see it:
    PGPASSWORD and ~/.pgpass count, as with psql. Broken off, it is simply run again.
    """
    source = environment.read()
    if source.postgres_url:
        raise Refused("The database is PostgreSQL already. leadintake backup makes a copy of it.")
    if (found := asyncio.run(schema.compare(source))) is not Schema.CURRENT:
        raise NotReady(found.value)
    target = replace(source, database_url=to, files=files_to or source.files)
    with held(source):
        leads = asyncio.run(copying.prepare(source, target))
        if files_to:
            # Before the rows, so that no database has leads whose files are not there.
            copied = asyncio.run(_copy_files(source, target, leads))
            click.echo(f"Copied {copied:,} files to {files_to}; {leads - copied:,} were there.")
        with output.progress("Copying rows") as report:
            rows = asyncio.run(copying.copy_rows(source, target, report))
        click.echo(f"Copied {rows:,} rows, among them {leads:,} leads.")
        seen, problems = asyncio.run(_compare(target, hashes=hashes))
    if problems:
        more = f", and {len(problems) - 1:,} more" if len(problems) > 1 else ""
        raise Refused(f"All is copied, but a file is wrong: {problems[0]}{more}.")
    has = "the bytes that were uploaded" if hashes else "a file of the right size"
    click.echo(f"Compared {seen:,} leads with their files: each has {has}.")
    click.echo(_what_next(source, files_to))


async def _copy_files(source: Settings, target: Settings, total: int) -> int:
    """Copy what is not there yet; returns how many files were not. Raises Refused unless all of them are good."""
    where = target.files or ""
    async with engines.storage(source) as storage, engines.files(target) as store:
        try:
            await store.ping()
        except Unavailable as error:
            raise Refused(f"Files cannot be copied to {where}: {why(error)}") from error
        copied, wrong = await copy_files(storage, store, where, total)
    if wrong:
        first = next((one for one in wrong if not one.is_damaged), wrong[0])
        advice = "Restore such files or erase their leads" if first.is_damaged else "Mend that"
        raise Refused(
            f"{len(wrong):,} files cannot be copied. {first}. {advice}, then copy again. So far only files were copied."
        )
    return copied


async def _compare(target: Settings, *, hashes: bool) -> tuple[int, list[FileProblem]]:
    async with engines.storage(target) as storage:
        return await compare(storage, hashes=hashes)


def _what_next(source: Settings, files_to: str | None) -> str:
    """What is left to do by hand."""
    changes = ["DATABASE_URL: the database of --to, for the service's own role and with its password"]
    if files_to:
        changes.append(f"LEADINTAKE_FILES={files_to}")
    if not source.secret_key:
        changes.append(
            "LEADINTAKE_SECRET_KEY: what `openssl rand -base64 48` prints; the same for every process. For a day, so "
            f"that nobody is signed out, give each {source.data_dir.absolute()}/secret.key as secret.key.accepted"
        )
    stays = "" if files_to else f"The files stay in {source.files or source.uploads_dir.absolute()}.\n"
    return f"{stays}Change these settings before you start the service again:" + "".join(
        f"\n  {change}" for change in changes
    )
