"""`leadintake migrate`: the database as this version needs it."""

import click

from leadintake.entrypoints import bootstrap, environment
from leadintake.entrypoints.bootstrap import NotReady, Schema
from leadintake.entrypoints.lock import held


@click.command()
def migrate() -> None:
    """Bring the database to this version, and make it where there is none. The service must not run meanwhile."""
    chosen = environment.read()
    found = bootstrap.schema(chosen)
    if found is Schema.NEWER:
        raise NotReady(found.value)
    if found is not Schema.CURRENT:
        bootstrap.prepare(chosen)
        with held(chosen):
            bootstrap.migrate(chosen)
    click.echo(Schema.CURRENT.value)
