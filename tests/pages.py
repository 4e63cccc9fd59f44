"""The documentation, and the tables in it."""

from itertools import islice, takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """A page by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def table(text: str, *head: str) -> list[list[str]]:
    """The rows of the first table of a page with these columns, cell by cell."""
    _, _, below = text.partition(f"\n| {' | '.join(head)} |\n")
    rows = takewhile(lambda line: line.startswith("|"), below.splitlines())
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in islice(rows, 1, None)]
