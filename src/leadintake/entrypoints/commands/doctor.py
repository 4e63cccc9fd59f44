"""`leadintake doctor`: what is wrong, before somebody else notices."""

import asyncio
from collections.abc import Iterator

import click

from leadintake.application.app import App
from leadintake.domain.delivery import Purpose
from leadintake.domain.errors import Refused, Unavailable
from leadintake.domain.people import Operator
from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.commands import output, session
from leadintake.entrypoints.commands.findings import Finding, Verdict, as_far_as_possible, clock_findings, why
from leadintake.entrypoints.commands.stored_files import compare
from leadintake.entrypoints.commands.surroundings import surroundings
from leadintake.entrypoints.settings import Settings, environment

SHOWN_MAX = 20
DELIVERIES_MAX = 10_000
EXPIRED_MAX = 10_000


@click.command()
@click.option("--hashes", is_flag=True, help="Also read every file and compare it with what was uploaded. Takes long.")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
def doctor(*, hashes: bool, fix: bool) -> None:
    """Look for anything wrong: settings, data folder, database, files and mail. Fails when there is something.

    It may run beside the service. With --fix it closes the data folder to other users, and removes old files that no
    lead refers to. It never touches a lead.
    """
    settings = environment.read()
    findings = [
        *surroundings(settings, fix=fix),
        *as_far_as_possible("database", _database(settings)),
        *as_far_as_possible("application", _application(settings, hashes=hashes, fix=fix)),
    ]
    output.table(("about", "verdict", "finding"), [(one.about, one.verdict, one.detail) for one in findings])
    wrong = sum(finding.verdict is Verdict.WRONG for finding in findings)
    if wrong:
        raise click.ClickException(f"{wrong} of these {'is' if wrong == 1 else 'are'} wrong.")


def _database(settings: Settings) -> Iterator[Finding]:
    """It is there, of this version, undamaged, and keeps what it has committed."""
    version = ""
    try:
        found = asyncio.run(schema.compare(settings))
        problems = [found.value]
        if found is Schema.CURRENT:
            version, problems = asyncio.run(schema.examine(settings))
    except NotReady as error:
        problems = [error.detail]
    for problem in problems:
        yield Finding("database", Verdict.WRONG, problem)
    if not problems:
        yield Finding("database", Verdict.OK, f"up to date and undamaged ({version})")
        yield from clock_findings("database", asyncio.run(schema.clock(settings)))


def _application(settings: Settings, *, hashes: bool, fix: bool) -> Iterator[Finding]:
    """It can be opened, and all is well with what it keeps."""
    try:
        yield from session.run(lambda app, who: _contents(app, who, settings, hashes=hashes, fix=fix))
    except NotReady:
        pass  # That is reported of the database already.
    except Refused as error:
        yield Finding("application", Verdict.WRONG, error.detail)


async def _contents(app: App, who: Operator, settings: Settings, *, hashes: bool, fix: bool) -> list[Finding]:
    files = await _files(app, settings, hashes=hashes, fix=fix)
    return [*await _writing(app), *files, *await _outbox(app, who), *await _retention(app, settings)]


async def _writing(app: App) -> list[Finding]:
    """This user may write to the database, and nobody else has written to it for too long."""
    try:
        await app.database.ping()
    except Unavailable as error:
        return [Finding("database", Verdict.WRONG, f"Nothing can be written to it: {why(error)}")]
    return []


async def _files(app: App, settings: Settings, *, hashes: bool, fix: bool) -> list[Finding]:
    """Each lead has its file, each file its lead, and there is room for one more."""
    findings: list[Finding] = []
    try:
        await app.files.ping()
    except Unavailable as error:
        where = settings.files or settings.uploads_dir.absolute()
        findings.append(Finding("files", Verdict.WRONG, f"No file can be written to {where}: {why(error)}"))
        if settings.files:  # To ask a store that does not answer about each lead would take hours.
            return findings
    else:
        findings += clock_findings("files", await app.files.now())
    seen, problems = await compare(Storage(app.database, app.files), hashes=hashes)
    findings += [Finding("files", Verdict.WRONG, str(problem)) for problem in problems[:SHOWN_MAX]]
    if len(problems) > SHOWN_MAX:
        findings.append(Finding("files", Verdict.WRONG, f"and {len(problems) - SHOWN_MAX:,} more"))
    if not problems:
        how = "the bytes that were uploaded" if hashes else "a file of the right size"
        findings.append(Finding("files", Verdict.OK, f"{seen:,} leads, each with {how}"))
    older = sum([1 async for _ in app.retention.older_files()])
    if older:
        detail = f"{older:,} files are older than the database, and belong to no lead of it. Is it the right one?"
        findings.append(Finding("files", Verdict.WRONG, detail))
    without_lead = sum([1 async for _ in app.retention.orphans()])
    if without_lead and fix:
        findings.append(Finding("files", Verdict.MENDED, f"{await app.retention.sweep():,} files belonged to no lead."))
    elif without_lead:
        detail = f"{without_lead:,} files belong to no lead; the service removes them while it runs."
        findings.append(Finding("files", Verdict.NOTE, detail))
    return findings


async def _retention(app: App, settings: Settings) -> list[Finding]:
    """How much goes when the service next looks, for whoever has just set or changed how long leads are kept."""
    if settings.retention_days is None:
        return []
    expired = await app.retention.count_expired(EXPIRED_MAX)
    count = f"{expired:,} leads{' or more' if expired == EXPIRED_MAX else ''}"
    detail = f"{count} are erased when the service next looks: {settings.retention_days} days without a change."
    return [Finding("retention", Verdict.NOTE, detail)]


async def _outbox(app: App, who: Operator) -> list[Finding]:
    """Whoever is to be told is being told."""
    counts = await app.dispatch.count_unsettled()
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    findings = [Finding("outbox", Verdict.NOTE if summary else Verdict.OK, summary or "nothing waits")]
    trouble = await app.inbox.trouble(who)
    if trouble.late_since:
        detail = f"Mail is due since {trouble.late_since:%Y-%m-%d %H:%M}Z. Does the service run, and is mail taken?"
        findings.append(Finding("outbox", Verdict.WRONG, detail))
    untold = await app.database.read(
        who.firm_id, lambda tx: tx.deliveries.count_failed(DELIVERIES_MAX, Purpose.NOTIFICATION)
    )
    if untold:
        detail = f"{untold:,} notifications of attorneys failed, for leads that wait: leadintake deliveries list"
        findings.append(Finding("outbox", Verdict.WRONG, detail))
    return findings
