"""Rows: what was measured, beside what, and what it was to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.figures import median

Better = Literal["more", "less"]
Verdict = Literal["", "goal met", "floor met", "missed"]


@dataclass(frozen=True)
class Target:
    """What may not be missed, and what is wanted: of the ratio to the peer, the share of the ceiling, or the figure."""

    floor: float
    goal: float
    of: Literal["ratio", "share", "figure"] = "ratio"


@dataclass(frozen=True)
class Row:
    """One measure, with a value for each round; `cpu` is milliseconds of processor time a request."""

    part: str
    what: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float] = ()
    cpu: Sequence[float] = ()
    ceiling: Sequence[float] = ()
    better: Better = "more"
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer; None where there is no peer."""
        if not self.peer:
            return None
        ours, theirs = median(self.ours), median(self.peer)
        above, below = (ours, theirs) if self.better == "more" else (theirs, ours)
        return above / below if below else None

    @property
    def share(self) -> float | None:
        """Which part of the ceiling it is, in percent; None where there is none."""
        return 100 * median(self.ours) / median(self.ceiling) if self.ceiling else None

    @property
    def figure(self) -> float | None:
        """What the target is compared with."""
        if self.target is None:
            return None
        return {"ratio": self.ratio, "share": self.share, "figure": median(self.ours)}[self.target.of]

    @property
    def verdict(self) -> Verdict:
        """Whether floor and goal are met; compared as they are shown, so that nothing looks missed that is not."""
        if self.target is None or self.figure is None:
            return ""
        sign = -1 if self.target.of == "figure" and self.better == "less" else 1
        figure = rounded(self.figure)
        if sign * figure >= sign * self.target.goal:
            return "goal met"
        return "floor met" if sign * figure >= sign * self.target.floor else "missed"


def rounded(value: float) -> float:
    """Three digits, which is more than any of these figures is good for."""
    return float(f"{value:.3g}")


def shown(value: float | None) -> str:
    """A value as text."""
    if value is None or value != value:  # noqa: PLR0124 - what is not a number is not equal to itself
        return ""
    return f"{rounded(value):,.0f}" if abs(value) >= 100 else f"{rounded(value):g}"
