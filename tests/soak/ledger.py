"""What the rows of a run have found, and the table that is made of them."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

HEADINGS = ("promise", "what was done", "trials", "faults", "acknowledged", "lost", "duplicates", "seconds", "verdict")


@dataclass
class Row:
    """One promise put to the test. What is counted: trials, faults injected, what the service acknowledged."""

    promises: str
    what: str
    folder: Path = Path()
    trials: int = 0
    faults: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    seconds: float = 0
    verdict: str = "not run"
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a line that helps to understand the figures."""
        self.notes.append(text)

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADINGS."""
        counts = (self.trials, self.faults, self.acknowledged, self.lost, self.duplicates, round(self.seconds))
        return (self.promises, self.what, *(f"{count:,}" for count in counts), self.verdict)


@dataclass(frozen=True)
class Scale:
    """How much is done. The defaults are those of the long form."""

    submissions: int = 2_000
    kills: int = 20
    kills_in_flight: int = 15
    traced: int = 300
    deliveries: int = 4_000
    away: float = 60
    locked: float = 10
    restarts: int = 50
    slow_uploads: int = 200
    slow_seconds: float = 20
    at_once: int = 50
    rounds: int = 5
    migrations: int = 5
    backups: int = 4
    erasures: int = 240
    places: int = 99
    refused_leads: int = 200
    cells: int = 99
    refused_sign_ins: int = 20
    unsafe_leads: int = 10
    late_leads: int = 4
    late: float = 0.1


QUICK = Scale(
    submissions=240,
    kills=3,
    kills_in_flight=2,
    traced=60,
    deliveries=400,
    away=15,
    locked=7,
    restarts=3,
    slow_uploads=100,
    slow_seconds=5,
    rounds=1,
    migrations=1,
    backups=1,
    erasures=60,
    places=2,
    refused_leads=24,
    cells=12,
    refused_sign_ins=3,
    unsafe_leads=2,
    late_leads=2,
    late=0.3,
)


def shown(rows: list[Row], title: str) -> Table:
    """The rows for a terminal."""
    table = Table(*HEADINGS, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.cells, style=None if row.verdict == "kept" else "bold red")
    return table


def written(rows: list[Row], title: str) -> str:
    """The rows as Markdown, and below them what they have noted."""
    lines = [f"{title}", "", f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(row.cells)} |" for row in rows]
    notes = [f"- {row.promises}, {row.what.rstrip('.')}: {'; '.join(row.notes)}." for row in rows if row.notes]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"
