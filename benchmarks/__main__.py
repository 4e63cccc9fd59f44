"""`python -m benchmarks`: measures, prints one table, and writes it with its plots into a folder."""

import argparse
import fcntl
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import (
    cost,
    create,
    crosscutting,
    desk,
    intake,
    logins,
    memory,
    outbox,
    plots,
    scale,
    startup,
    steady,
    table,
)
from benchmarks.bench import FULL, QUICK, Bench, Form
from benchmarks.processes import NotMeasured

WIDTH = 165
"""Characters of a line that the table needs."""

PARTS: dict[str, Callable[[Bench], None]] = {
    "create": create.measure,
    "intake": intake.measure,
    "memory": memory.measure,
    "start": startup.measure,
    "requests": crosscutting.measure,
    "logins": logins.measure,
    "desk": desk.measure,
    "outbox": outbox.measure,
    "steady": steady.measure,
    "scale": scale.measure,
    "cost": cost.measure,
}


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes; its figures mean little")
    parser.add_argument("--full", action="store_true", help="ten million leads too, and a backlog of 100,000 mails")
    parser.add_argument("--only", metavar="PART,PART", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder for what is written")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return given


def main() -> int:
    """Measure each part; returns 1 when something could not be measured."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that runs is ended
    given = arguments()
    form = QUICK if given.quick else FULL if given.full else Form()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    console.width = max(console.width, WIDTH)
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another run writes into {out}. Wait for it, or choose another folder with --out.")
        bench = Bench(form, out, _progress(console))
        try:
            with bench.progress:
                missing = _measured(bench, [name for name in PARTS if name in given.only.split(",")])
        finally:
            shutil.rmtree(out / "work", ignore_errors=True)
        title = f"{'Quick' if given.quick else 'Full' if given.full else 'Default'} form. {table.machine()}"
        (out / "table.md").write_text(table.written(bench.rows, title, missing))
        (out / "results.json").write_bytes(msgspec.json.encode({"rows": bench.rows, "series": bench.series}))
        plots.drawn(bench.series, out)
    console.print(table.printed(bench.rows, title))
    for line in missing:
        console.print(f"Not measured: {line}", style="bold red", highlight=False)
    console.print(f"Written to {out}")
    return 1 if missing else 0


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _measured(bench: Bench, parts: list[str]) -> list[str]:
    """Measure some parts, and say which could not be; one that breaks takes no others along."""
    missing = []
    for name in bench.each("all", parts):
        try:
            PARTS[name](bench)
        except NotMeasured as why:
            missing.append(f"{name}: {why}")
        except Exception as error:  # noqa: BLE001 - shown whole, and said again at the end
            bench.progress.console.print_exception()
            missing.append(f"{name}: {error!r}")
    return missing


if __name__ == "__main__":
    sys.exit(main())
