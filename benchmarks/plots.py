"""The plots, as small SVG files that read on light and dark pages: lines are medians, bands go from least to most."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

from benchmarks.figures import median

LOOK: Any = {
    "svg.fonttype": "none",  # text stays text: small, and as sharp as the page
    "svg.hashsalt": "benchmarks",  # the same figures make the same file
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.xmargin": 0.02,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.facecolor": "white",
}
COLOURS = {"service": "#1f6feb", "peer": "#d1592b", "first page": "#1f6feb", "deep page": "#2a9d5c",
           "search": "#8250df", "a folder": "#1f6feb", "S3": "#2a9d5c"}  # fmt: skip
SIZE = (7.2, 3.0)
MOST_POINTS = 200
"""Of a line; more are not seen."""

PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")

Lines = dict[str, list[list[Any]]]
"""For each line its points: x, and for each plot beside the other the values of all rounds."""


def drawn(series: dict[str, Lines], out: Path) -> None:
    """Draw what was measured."""
    mpl.use("svg")
    plots = {"concurrency": _concurrency, "latency": _latency, "memory": _memory, "scale": _scale}
    with mpl.rc_context(LOOK):
        for name in plots.keys() & series.keys():
            with _figure(out / f"{name}.svg", 2 if name in ("concurrency", "latency") else 1) as axes:
                plots[name](axes, series[name])


@contextmanager
def _figure(path: Path, count: int) -> Iterator[Any]:
    figure, axes = plt.subplots(1, count, figsize=SIZE, layout="constrained", squeeze=False)
    yield axes[0]
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _lines(axes: Any, lines: Lines) -> None:
    """One axis for each figure of a point."""
    for number, ax in enumerate(axes, start=1):
        for name, points in lines.items():
            xs, values = [point[0] for point in points], [point[number] for point in points]
            ax.plot(xs, [median(ys) for ys in values], "o-", markersize=4, color=COLOURS[name], label=name)
            low, high = [min(ys) for ys in values], [max(ys) for ys in values]
            ax.fill_between(xs, low, high, color=COLOURS[name], alpha=0.15, linewidth=0)


def _counts(axes: Any, lines: Lines, what: str, *, log: bool) -> None:
    """The axis of what there are so many of: each number that was measured has its tick."""
    counts = sorted({point[0] for points in lines.values() for point in points})
    for ax in axes:
        ax.set(xscale="log" if log else "linear", xlabel=what)
        ax.set_xticks(counts, [f"{count:,}" for count in counts])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(PLAIN)


def _concurrency(axes: Any, lines: Lines) -> None:
    _lines(axes, lines)
    axes[0].set(title="answers a second", ylim=(0, None))
    axes[1].set(title="99 % answered within, ms", yscale="log")
    _counts(axes, lines, "submissions of 100 KB at once", log=True)


def _latency(axes: Any, lines: Lines) -> None:
    _lines(axes, lines)
    axes[0].set(title="half answered within, ms", ylim=(0, None))
    axes[1].set(title="99 % answered within, ms", yscale="log")
    _counts(axes, lines, "leads, asked one at a time", log=True)


def _memory(axes: Any, lines: Lines) -> None:
    for name, samples in lines.items():
        thinned = samples[:: max(1, len(samples) // MOST_POINTS)]
        axes[0].plot(*zip(*thinned, strict=True), color=COLOURS[name], label=name)
    axes[0].set(title="memory, MB", xlabel="seconds, while 64 files of 10 MB come in, 32 at once", ylim=(0, None))


def _scale(axes: Any, lines: Lines) -> None:
    _lines(axes, lines)
    axes[0].set(title="submissions a second, by where files are", ylim=(0, None))
    _counts(axes, lines, "server processes on one PostgreSQL", log=False)
