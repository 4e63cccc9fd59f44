"""`python -m benchmarks`: measures part after part, and writes after each what came of it, as a table and plots."""

import argparse
import fcntl
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

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
)
from benchmarks.bench import DEFAULT, FULL, QUICK, Bench, Form
from benchmarks.processes import NotMeasured
from benchmarks.results import Part, Results, commit
from benchmarks.seeds import bytes_to_make
from benchmarks.table import machine, printed

WIDTH = 165
"""Characters of a line that the table needs."""

GB = 10**9

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
    parser.add_argument("--out", type=Path, help="folder for what is written, build/bench-FORM unless given")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return given


def main() -> int:
    """Measure each part; returns 1 when something could not be measured."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that runs is ended
    given = arguments()
    form = QUICK if given.quick else FULL if given.full else DEFAULT
    out = (given.out or Path(f"build/bench-{form.name}")).resolve()
    out.mkdir(parents=True, exist_ok=True)
    names = [name for name in PARTS if name in given.only.split(",")]
    console = Console()
    console.width = max(console.width, WIDTH)
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another run writes into {out}. Wait for it, or choose another folder with --out.")
        _look_at_disk(form, out, has_desk="desk" in names)
        results = Results.read(out, list(PARTS))
        progress = _progress(console)
        with progress:
            missing = _measured(form, names, results, progress)
    console.print(printed(results.rows(names)))
    for line in results.origins():
        console.print(line, highlight=False)
    for line in missing:
        console.print(f"Not measured: {line}", style="bold red", highlight=False)
    console.print(f"Written to {out}")
    return 1 if missing else 0


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _look_at_disk(form: Form, out: Path, *, has_desk: bool) -> None:
    """End the program before anything is lost to a full disk; leads that are there from an earlier run need no room."""
    needed = form.room + (bytes_to_make(out, form.leads) if has_desk else 0)
    free = shutil.disk_usage(out).free
    if free < needed:
        sys.exit(f"{out} has {free / GB:.1f} GB free, and these parts need {needed / GB:.1f}. Free some, or name a"
                 " folder on another disk with --out.")  # fmt: skip


def _measured(form: Form, names: list[str], results: Results, progress: Progress) -> list[str]:
    """Measure some parts, and say which could not be; one that breaks takes no others along."""
    missing = []
    of = f"{form.name} form, commit {commit()}, {machine()}"
    for name in progress.track(names, description="all"):
        bench = Bench(form, results.folder, progress)
        why = _broken(PARTS[name], bench)
        results.keep(name, Part(of, bench.rows, bench.series, why))
        plots.drawn(bench.series, results.folder)
        missing += [f"{name}: {why}"] if why else []
    return missing


def _broken(measure: Callable[[Bench], None], bench: Bench) -> str | None:
    """Measure a part; returns why it broke off, if it did."""
    try:
        measure(bench)
    except NotMeasured as why:
        return str(why)
    except Exception as error:  # noqa: BLE001 - shown whole, and said again at the end
        bench.progress.console.print_exception()
        return repr(error)
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
