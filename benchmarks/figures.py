"""The little arithmetic that figures need."""

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed (nearest rank); 0 where there are none."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """The median; not a number where nothing was measured."""
    return statistics.median(values) if values else math.nan


def interleaved(contestants: Sequence[T], rounds: int) -> Iterator[T]:
    """Everybody once a round, in the opposite order every other round, so that no one has always the warmer place."""
    for number in range(rounds):
        yield from contestants if number % 2 == 0 else reversed(contestants)
