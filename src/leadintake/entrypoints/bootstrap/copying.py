"""A practice on SQLite, and the empty database of PostgreSQL that it is copied to."""

from collections.abc import Callable

from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.schema import NotReady, Schema
from leadintake.entrypoints.settings import Settings

# The adapter is imported where it is needed, because it takes longer to import than other commands take.
# ruff: noqa: PLC0415


async def prepare(source: Settings, target: Settings) -> int:
    """Migrate the database to copy to, and return how many leads there are to copy.

    Raises NotReady when either cannot be used, and Refused when the one to copy to holds anything.
    """
    from leadintake.adapters.sql import copying

    _, problems = await schema.examine(source)
    if problems:
        raise NotReady(f"The database to copy is damaged: {problems[0]}. Run `leadintake doctor`.")
    async with schema.alone(target):
        if await schema.found(target) is Schema.NEWER:
            raise NotReady(Schema.NEWER.value)
        await schema.migrate(target)
        await copying.check_empty(_url(target))
    return copying.count(source.database_path)["leads"]


async def rows(source: Settings, target: Settings, told: Callable[[int, int], None]) -> int:
    """Copy all rows and return how many; `told` hears how many were, and of how many.

    Raises NotReady, Refused or Unavailable, and then none was.
    """
    from leadintake.adapters.sql import copying

    async with schema.alone(target):
        return await copying.copy(source.database_path, _url(target), told)


def _url(target: Settings) -> str:
    assert target.postgres_url  # noqa: S101 - `leadintake copy` takes no other
    return target.postgres_url
