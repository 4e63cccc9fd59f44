"""All rows of a practice, copied from one database to an empty one of either kind."""

from collections.abc import Callable

from leadintake.domain.errors import Refused
from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.settings import Settings

# The adapters are imported where they are needed, because they take longer to import than other commands take.
# ruff: noqa: PLC0415


async def prepare(source: Settings, target: Settings) -> int:
    """See that a SQLite database can be copied, and to where; returns how many leads it has.

    A PostgreSQL database is migrated for that. Raises NotReady when either cannot be used, and Refused when the one to
    copy to holds anything.
    """
    from leadintake.adapters.sql import copying

    _, problems = await schema.examine(source)
    if problems:
        raise NotReady(f"The database to copy is damaged: {problems[0]}. Run `leadintake doctor`.")
    if target.postgres_url:
        async with schema.migration_lock(target):
            if await schema.compare(target) is Schema.NEWER:
                raise NotReady(Schema.NEWER.value)
            await schema.migrate(target)
            await copying.check_empty(target.postgres_url)
    elif target.database_path.exists():
        raise Refused(f"There is a database already: {target.database_path.absolute()}. Name an empty data folder.")
    else:
        schema.check_no_orphaned_log(target)
    return count_leads(source)


def count_leads(source: Settings) -> int:
    """How many leads a SQLite database has."""
    from leadintake.adapters.sql import copying

    return copying.count(source.database_path)["leads"]


async def copy_rows(source: Settings, target: Settings, report: Callable[[int, int], None]) -> int:
    """Copy all rows and return how many; `report` is called now and then with how many were copied, and of how many.

    From a running service they come as they were at one moment. Raises NotReady, Refused or Unavailable, and then none
    was copied.
    """
    from leadintake.adapters.sql import copying, snapshot

    if target.postgres_url:
        async with schema.migration_lock(target):
            return await copying.copy(source.database_path, target.postgres_url, report)
    if source.postgres_url:
        with schema.failures_as_not_ready(source):
            await snapshot.of_postgres(source.postgres_url, target.database_path, report)
    else:
        snapshot.of_sqlite(source.database_path, target.database_path)
    return sum(copying.count(target.database_path).values())


def quiesce(copy: Settings, why: str) -> int:
    """Hold what a copied SQLite database would send, and end all sessions in it; returns how many mails are held."""
    from leadintake.adapters.sql import snapshot

    return snapshot.quiesce(copy.database_path, why)
