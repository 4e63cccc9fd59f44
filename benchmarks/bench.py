"""One part of a run: how much is done, where, and what has come of it so far."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import Progress

from benchmarks.figures import interleaved
from benchmarks.rows import Row

T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """How much is done; `room` is how many bytes of disk that takes, beside the leads that are kept."""

    name: str
    room: int
    rounds: int = 5
    warm_up: float = 1
    seconds: float = 3
    leads: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    steady: float = 60
    backlog: int = 6_000
    connections: tuple[int, ...] = (1, 4, 16, 64, 256)
    sizes: tuple[int, ...] = (1_000, 100_000, 1_000_000, 10_000_000)


DEFAULT = Form("default", room=5 * 10**9)
QUICK = Form(
    "quick",
    room=2 * 10**9,
    rounds=1,
    warm_up=0.3,
    seconds=1,
    leads=(1_000, 10_000, 30_000),
    steady=3,
    backlog=500,
    connections=(1, 16, 64),
    sizes=(1_000, 100_000, 10_000_000),
)
FULL = Form("full", room=5 * 10**9, leads=(10_000, 100_000, 1_000_000, 10_000_000), backlog=100_000)


@dataclass
class Bench:
    """What a part works with, and what comes of it. `series` is what the plots are made of."""

    form: Form
    out: Path
    progress: Progress
    rows: list[Row] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """Where everything is that goes when the part is over."""
        return self.out / "work"

    def folder(self, name: str) -> Path:
        """An empty folder, on the disk that is measured."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def rounds(self, what: str, contestants: Sequence[T], rounds: int | None = None) -> Iterator[T]:
        """Everybody once a round, interleaved, with a bar that shows how far it is."""
        rounds = rounds or self.form.rounds
        yield from self.each(what, [*interleaved(contestants, rounds)])

    def each(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """One after the other, with a bar that shows how far it is."""
        task = self.progress.add_task(what, total=len(items))
        try:
            for item in items:
                yield item
                self.progress.advance(task)
        finally:
            self.progress.remove_task(task)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A bar for what does not say how far it is."""
        task = self.progress.add_task(what, total=None)
        try:
            yield
        finally:
            self.progress.remove_task(task)

    def add(self, *rows: Row) -> None:
        """Keep rows."""
        self.rows += rows
