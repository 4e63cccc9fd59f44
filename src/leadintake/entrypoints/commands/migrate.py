"""`leadintake migrate`: the database as this version needs it."""

import asyncio

import click

from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.lock import held
from leadintake.entrypoints.settings import Settings, environment


@click.command()
def migrate() -> None:
    """Bring the database to this version, and make it where there is none. The service must not run meanwhile."""
    settings = environment.read()
    found = asyncio.run(schema.compare(settings))
    if found is Schema.NEWER:
        raise NotReady(found.value)
    if found is not Schema.CURRENT:
        schema.prepare(settings)
        with held(settings):
            asyncio.run(_migrate(settings))
    click.echo(Schema.CURRENT.value)


async def _migrate(settings: Settings) -> None:
    async with schema.migration_lock(settings):
        await schema.migrate(settings)
