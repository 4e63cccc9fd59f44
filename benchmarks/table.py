"""The table: for a terminal, and as Markdown for the documentation."""

import platform
import sqlite3
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.table import Table

from benchmarks.figures import median
from benchmarks.rows import Row, Target, Verdict, shown

HEADINGS = (
    "part",
    "measure",
    "median",
    "min",
    "max",
    "CPU ms",
    "peer",
    "ratio",
    "ceiling",
    "share",
    "floor",
    "goal",
    "verdict",
)
STYLES: dict[Verdict, str] = {"goal met": "green", "floor met": "yellow", "missed": "bold red", "": ""}
PACKAGES = ("litestar", "uvicorn", "uvloop", "sqlalchemy", "asyncpg")
SUFFIX = {"ratio": "x", "share": " %", "figure": ""}


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of HEADINGS."""
    ratio, share = shown(row.ratio), shown(row.share)
    return (
        row.part,
        f"{row.what}, {row.unit}",
        *(shown(value) for value in (median(row.ours), min(row.ours, default=None), max(row.ours, default=None))),
        shown(median(row.cpu)),
        shown(median(row.peer)),
        f"{ratio}x" if ratio else "",
        shown(median(row.ceiling)),
        f"{share} %" if share else "",
        *_target(row.target),
        row.verdict,
    )


def _target(target: Target | None) -> tuple[str, str]:
    if target is None:
        return "", ""
    return f"{shown(target.floor)}{SUFFIX[target.of]}", f"{shown(target.goal)}{SUFFIX[target.of]}"


def machine() -> str:
    """What all was measured on."""
    info = Path("/proc/cpuinfo").read_text()
    name = next((line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line), "unknown")
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{date.today():%d %B %Y}, {psutil.cpu_count()} cores ({name}), {memory:.0f} GiB, Linux {platform.release()}, "  # noqa: DTZ011 - the day here
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}."
    )


def printed(rows: Sequence[Row]) -> Table:
    """The table for a terminal."""
    table = Table(show_lines=False)
    for heading in HEADINGS[:2]:
        table.add_column(heading, overflow="fold")
    for heading in HEADINGS[2:]:
        table.add_column(heading, justify="right", overflow="fold")
    part = ""
    for row in rows:
        if row.part != part:
            table.add_section()
            part = row.part
        table.add_row(*cells(row), style=STYLES[row.verdict])
    return table


def written(rows: Sequence[Row], origins: Sequence[str], missing: Sequence[str]) -> str:
    """The table as Markdown: above it where its parts come from, and below it what could not be measured."""
    lines = [
        *(f"- {origin}" for origin in origins),
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"| --- | --- |{' ---: |' * (len(HEADINGS) - 2)}",
    ]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join([*lines, "", *(f"- Not measured: {text}" for text in missing)]).rstrip() + "\n"
