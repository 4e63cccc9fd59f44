"""The plots, as small SVG files that read on light and dark pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

LOOK: Any = {
    "svg.fonttype": "none",  # text stays text: small, and as sharp as the page
    "svg.hashsalt": "benchmarks",  # the same figures make the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.facecolor": "white",
}
COLOURS = {"service": "#1f6feb", "peer": "#d1592b"}
NAMES = {"service": "leadintake", "peer": "the peer"}
SIZE = (7.2, 3.0)
MOST_POINTS = 200
"""Of a line; more are not seen."""


def drawn(series: dict[str, Any], out: Path) -> list[Path]:
    """Draw what was measured; returns the files."""
    mpl.use("svg")
    plots = {"concurrency": _concurrency, "latency": _latency, "memory": _memory, "scale": _scale}
    files = []
    with mpl.rc_context(LOOK):
        for name in plots.keys() & series.keys():
            path = out / f"{name}.svg"
            with _figure(path, 2 if name in ("concurrency", "latency") else 1) as axes:
                plots[name](axes, series[name])
            files.append(path)
    return files


@contextmanager
def _figure(path: Path, count: int) -> Iterator[Any]:
    figure, axes = plt.subplots(1, count, figsize=SIZE, layout="constrained", squeeze=False)
    yield axes[0]
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _concurrency(axes: Any, series: dict[str, list[list[float]]]) -> None:
    for name, points in series.items():
        at_once, rates, p99 = zip(*points, strict=True)
        axes[0].plot(at_once, rates, "o-", color=COLOURS[name], label=NAMES[name])
        axes[1].plot(at_once, p99, "o-", color=COLOURS[name], label=NAMES[name])
    counts = [count for count, *_ in series["service"]]
    for ax in axes:
        ax.set(
            xscale="log", xlabel="submissions of 100 KB at once", xticks=counts, xticklabels=[f"{n:g}" for n in counts]
        )
        ax.minorticks_off()
    axes[0].set(ylabel="submissions a second", ylim=(0, None))
    axes[1].set(ylabel="99 % answered within, ms", yscale="log")
    axes[0].legend()


def _latency(axes: Any, series: dict[str, list[list[float]]]) -> None:
    for kind, points in series.items():
        counts, p50, p99 = zip(*points, strict=True)
        axes[0].plot(counts, p50, "o-", label=kind)
        axes[1].plot(counts, p99, "o-", label=kind)
    for ax, what in zip(axes, ("half answered within, ms", "99 % answered within, ms"), strict=True):
        leads = [count for count, *_ in series["search"]]
        ax.set(xscale="log", xlabel="leads", ylabel=what, ylim=(0, None))
        ax.set_xticks(leads, [f"{count:,}" for count in leads])
        ax.minorticks_off()
    axes[0].legend()


def _memory(axes: Any, series: dict[str, list[list[float]]]) -> None:
    for name, samples in series.items():
        thinned = samples[:: max(1, len(samples) // MOST_POINTS)]
        axes[0].plot(*zip(*thinned, strict=True), color=COLOURS[name], label=NAMES[name])
    axes[0].set(xlabel="seconds, under 64 uploads of 10 MB, 32 at once", ylabel="memory, MB", ylim=(0, None))
    axes[0].legend()


def _scale(axes: Any, series: dict[str, list[list[Any]]]) -> None:
    for place, points in series.items():
        processes, rates = zip(*points, strict=True)
        middle = [sorted(values)[len(values) // 2] for values in rates]
        axes[0].plot(processes, middle, "o-", label=f"files in {place}")
    counts = [count for count, _ in next(iter(series.values()))]
    axes[0].set(
        xlabel="server processes on one PostgreSQL", ylabel="submissions a second", ylim=(0, None), xticks=counts
    )
    axes[0].legend()
