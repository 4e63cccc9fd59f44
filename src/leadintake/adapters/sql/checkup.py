"""What a database itself can tell about its health."""

from datetime import UTC, datetime

import sqlalchemy as sa

UNSAFE = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
BROKEN = "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid ORDER BY 1"


def version(connection: sa.Connection) -> str:
    """The name and version of the database's software."""
    name, function = (
        ("SQLite", "sqlite_version()") if _is_sqlite(connection) else ("PostgreSQL", _setting("server_version"))
    )
    return f"{name} {connection.exec_driver_sql(f'SELECT {function}').scalar()}"


def obstacle(connection: sa.Connection) -> str | None:
    """Why the database cannot be worked with at all, and what to do; None when it can."""
    if _is_sqlite(connection):
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        return None if mode == "wal" else "its file system cannot share memory: keep the data folder on a local disk"
    encoding = connection.exec_driver_sql(f"SELECT {_setting('server_encoding')}").scalar()
    return None if encoding == "UTF8" else f"it is in {encoding}: make one with ENCODING 'UTF8' TEMPLATE template0"


def clock(connection: sa.Connection) -> datetime:
    """The time by the clock of the database's machine."""
    if _is_sqlite(connection):
        return datetime.now(UTC)
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now


def problems(connection: sa.Connection) -> list[str]:
    """What is damaged or will not survive a crash; at most some of each."""
    if not _is_sqlite(connection):
        unsafe = [f"{name} is off: a power cut can lose leads" for (name,) in connection.exec_driver_sql(UNSAFE)]
        return [*unsafe, *(f"the index {name} is not valid" for (name,) in connection.exec_driver_sql(BROKEN))]
    damage = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(10)") if row[0] != "ok"]
    orphans = {(row[0], row[2]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
    return [*damage, *(f"{child} refers to {parent} that are not there" for child, parent in sorted(orphans))]


def _is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _setting(name: str) -> str:
    return f"current_setting('{name}')"
