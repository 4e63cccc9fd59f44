"""Results: what came of each part, and of what it was measured. They are written anew after each part.

A folder of results outlives runs: a part that is measured again replaces itself and leaves the others as they are.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import table
from benchmarks.load_process import ROOT
from benchmarks.rows import Row


class Part(msgspec.Struct):
    """What came of a part, of which form, commit, day and machine, and why something is missing."""

    of: str
    rows: list[Row]
    series: dict[str, Any]
    missing: str | None = None


@dataclass
class Results:
    """All parts in a folder, in the order of the table."""

    folder: Path
    order: Sequence[str]
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, order: Sequence[str]) -> "Results":
        """What a folder has from earlier runs; ends the program where that cannot be read, because it would be lost."""
        file = folder / "results.json"
        if not file.exists():
            return cls(folder, order)
        try:
            return cls(folder, order, msgspec.json.decode(file.read_bytes(), type=dict[str, Part]))
        except msgspec.MsgspecError as error:
            sys.exit(f"{file} is of another version ({error}). Move it away, or choose another folder with --out.")

    def keep(self, name: str, part: Part) -> None:
        """Write a part beside the others, and the table anew; one that broke does not replace one that is whole."""
        if part.missing and name in self.parts and not self.parts[name].missing:
            return
        found = {**self.parts, name: part}
        self.parts = {name: found[name] for name in self.order if name in found}
        unfinished = self.folder / "results.json.part"
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(self.parts)))
        unfinished.rename(self.folder / "results.json")
        (self.folder / "table.md").write_text(table.written(self.rows(self.order), self.origins(), self.missing()))

    def rows(self, names: Sequence[str]) -> list[Row]:
        """The rows of these parts."""
        return [row for name, part in self.parts.items() if name in names for row in part.rows]

    def origins(self) -> list[str]:
        """Which parts were measured of what; one line where all were measured together."""
        names: dict[str, list[str]] = {}
        for name, part in self.parts.items():
            names.setdefault(part.of, []).append(name)
        return [f"{', '.join(parts)}: {of}" for of, parts in names.items()]

    def missing(self) -> list[str]:
        """What could not be measured, and why."""
        return [f"{name}: {part.missing}" for name, part in self.parts.items() if part.missing]


def commit() -> str:
    """The commit that is measured, with `-dirty` where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "--no-optional-locks", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
