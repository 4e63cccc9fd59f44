"""Statements of the hot path, compiled once and then handed to the driver as text.

Measured on SQLite: building, looking up and adapting them anew took 0.35 ms of CPU a submission, twice as long as the
statements themselves.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor

T = TypeVar("T")
Row = Mapping[str, Any]
Binds = list[tuple[str, Callable[[Any], Any]]]
"""Which value of a row each parameter of a statement is, in the statement's order, and how the driver wants it."""

SIZES = (64, 32)

NUMBERED = re.compile(r"\$(\d+)")
"""How PostgreSQL's driver wants a parameter; SQLite's takes them in order."""


def run(connection: sa.Connection, statement: sa.Executable, row: Row) -> DBAPICursor:
    """Run a statement that is made once, at import; what it returns comes as the driver has it, unconverted."""
    text, binds, constants = _compiled(statement, connection.dialect)
    given = {**row, **constants}
    return run_text(connection, text, tuple([adapt(given[name]) for name, adapt in binds]))


def insert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], returning: sa.Column[Any] | None = None
) -> list[tuple[Any, ...]]:
    """Insert rows with the same columns, in order, with few statements; returns one column of each if that is asked."""
    returned: list[tuple[Any, ...]] = []
    for some in batches(rows):
        text, binds = _insertion(table, tuple(some[0]), len(some), returning, connection.dialect)
        cursor = run_text(connection, text, tuple([adapt(row[name]) for row in some for name, adapt in binds]))
        if returning is not None:
            returned += cursor.fetchall()
    return returned


def batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Rows in parts, each for one statement: of 64, of 32, and what is left, so that there are not many to prepare.

    At each statement the driver gives up the GIL, and has to get it back.
    """
    at = 0
    while left := len(rows) - at:
        count = next((size for size in SIZES if left >= size), left)
        yield rows[at : at + count]
        at += count


def scalar(cursor: DBAPICursor) -> Any:
    """The one value that a statement returned."""
    ((value,),) = cursor.fetchall()
    return value


def run_text(connection: sa.Connection, text: str, values: tuple[Any, ...] = ()) -> DBAPICursor:
    """Run a statement as the driver takes it, with values as it takes them."""
    cursor = connection.connection.cursor()
    driver = connection.dialect.loaded_dbapi
    # Whoever listens to SQLAlchemy hears of these statements too.
    connection.dispatch.before_cursor_execute(connection, cursor, text, values, None, False)  # noqa: FBT003 - its signature
    try:
        cursor.execute(text, values)
    except driver.Error as error:
        cursor.close()  # Else the connection stays open for as long as somebody keeps the error.
        raise sa.exc.DBAPIError.instance(text, None, error, driver.Error, hide_parameters=True) from error
    return cursor


@cache
def _compiled(statement: sa.Executable, dialect: Dialect) -> tuple[str, Binds, Row]:
    """The text of a statement, its parameters, and the values of those that are constants."""
    compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined] # ClauseElement has it
    parameters: dict[str, sa.BindParameter[Any]] = compiled.binds
    binds = [(name, _adapter(parameters[name], dialect)) for name in compiled.positiontup]
    return str(compiled), binds, {name: each.value for name, each in parameters.items() if not each.required}


@cache
def _insertion(
    table: sa.Table, names: tuple[str, ...], count: int, returning: sa.Column[Any] | None, dialect: Dialect
) -> tuple[str, Binds]:
    """Written from the statement for one row: SQLAlchemy takes 37 ms for 31 leads, in which nothing else goes on."""
    one, binds = _insertion_of_one(table, names, returning, dialect)
    into, values, rest = one.partition(" VALUES ")
    row, and_return, column = rest.partition(" RETURNING ")
    rows = ", ".join(_numbered_from(len(binds) * n, row) for n in range(count))
    return f"{into}{values}{rows}{and_return}{column}", binds


def _numbered_from(before: int, row: str) -> str:
    return NUMBERED.sub(lambda place: f"${int(place[1]) + before}", row)


@cache
def _insertion_of_one(
    table: sa.Table, names: tuple[str, ...], returning: sa.Column[Any] | None, dialect: Dialect
) -> tuple[str, Binds]:
    columns = [column for column in table.c if column.name in names]
    statement = sa.insert(table).values({c.name: sa.bindparam(c.name, type_=c.type) for c in columns})
    if returning is not None:
        statement = statement.returning(returning)
    binds = [(c.name, _adapter(sa.bindparam(c.name, type_=c.type), dialect)) for c in columns]
    return str(statement.compile(dialect=dialect)), binds


def _adapter(parameter: sa.BindParameter[Any], dialect: Dialect) -> Callable[[Any], Any]:
    return parameter.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
