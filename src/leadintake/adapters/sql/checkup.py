"""What SQLite itself can tell about the health of a database."""

import sqlalchemy as sa


def journal_mode(connection: sa.Connection) -> str:
    """How the database keeps what is not yet in its file; "wal", unless its file system cannot do that."""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def problems(connection: sa.Connection) -> list[str]:
    """Damaged pages, indexes that miss a row, and references to what is not there; at most some of each."""
    damage = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(10)") if row[0] != "ok"]
    orphans = {(row[0], row[2]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
    return [*damage, *(f"{child} refers to {parent} that are not there" for child, parent in sorted(orphans))]
