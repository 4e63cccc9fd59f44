"""The schema's migrations: run, and asked whether they were. They are Alembic's, and travel inside the wheel."""

from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa

HEAD = "0006"
"""The schema this code works with. A test compares it with the newest migration; a start need not import Alembic."""


def revision(connection: sa.Connection) -> str | None:
    """The schema a database has; None when it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Bring a database to a schema. Each migration is one transaction, so an interrupted one is simply repeated."""
    from alembic import command  # noqa: PLC0415 - a quarter of a second that only migrating is worth
    from alembic.config import Config  # noqa: PLC0415 - as above

    connection.commit()  # Inside a transaction that reading began, Alembic would leave the commit to its caller.
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    run = command.downgrade if to == "base" else command.upgrade
    run(config, to)


def folder() -> Path:
    """Where the migrations are: beside this package in a wheel, at the root of a checkout."""
    inside = Path(str(files("leadintake"))) / "migrations"
    return inside if inside.is_dir() else Path(__file__).parents[4] / "migrations"
