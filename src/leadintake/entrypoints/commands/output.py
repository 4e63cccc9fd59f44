"""What commands print: tables for people on a terminal, and lines that other programs can read elsewhere."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import StringIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from leadintake.entrypoints.logs import visible

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell may begin that a spreadsheet takes for a formula; some treat full-width characters alike."""


COPIED = frozenset({"id", "reference", "email"})
"""Columns that stay in one piece, to be copied for the next command."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under the names of their columns; on anything but a terminal, separated by tabs."""
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            click.echo("\t".join(map(_text, row)))
        return
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, no_wrap=column in COPIED)
    for row in rows:
        drawn.add_row(*(Text(_text(cell), overflow="fold") for cell in row))
    console.print(drawn)


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV (RFC 4180), with an apostrophe before what a spreadsheet takes for a formula (ASVS V1.2.10)."""
    lines = StringIO()
    csv.writer(lines).writerows([_cell(cell) for cell in row] for row in rows)
    return lines.getvalue()


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show on a terminal how far something is; yields what reports how much is done, and of how much if known."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, of: shown.update(task, completed=done, total=of)


def _cell(cell: object) -> str:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def _text(cell: object) -> str:
    """Times in UTC to the second; nothing that could end the line or command the terminal."""
    if cell is None:
        return ""
    return f"{cell:%Y-%m-%d %H:%M:%S}Z" if isinstance(cell, datetime) else visible(str(cell))
