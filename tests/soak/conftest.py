"""The options of a long run, its rows, and the table at its end."""

import os
import platform
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from tests import redis_server
from tests.redis_server import RedisServer
from tests.s3 import S3, shared
from tests.soak.ledger import QUICK, Row, Scale, shown, written
from tests.soak.setups import mail, many_machines, on_postgres, on_sqlite, one_machine, server, two_processes

ROW = pytest.StashKey[Row]()
ROWS = pytest.StashKey[list[Row]]()
SEED = pytest.StashKey[int]()

__all__ = ["mail", "many_machines", "on_postgres", "on_sqlite", "one_machine", "server", "two_processes"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a long run."""
    parser.addoption("--quick", action="store_true", help="a form of two minutes")
    parser.addoption("--seed", type=int, metavar="N", help="repeat the run that printed this number")
    parser.addoption("--table", type=Path, metavar="FILE", help="write the table there too, as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed."""
    config.addinivalue_line("markers", "promises(text): which promises of docs/reliability.md the row is about")
    given = config.getoption("--seed")
    config.stash[SEED] = random.SystemRandom().randrange(10**6) if given is None else given
    config.stash[ROWS] = []


def pytest_report_header(config: pytest.Config) -> str:
    """Say at the start how to repeat the run."""
    return f"seed {config.stash[SEED]}: repeat this run with ARGS='--seed {config.stash[SEED]}'"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test is a row, named by its docstring."""
    for item in items:
        assert isinstance(item, pytest.Function)
        marker = item.get_closest_marker("promises")
        assert marker, f"{item.name} does not say which promise it is about"
        item.stash[ROW] = Row(marker.args[0], f"{item.function.__doc__}{_on(item)}")
        config.stash[ROWS].append(item.stash[ROW])


def pytest_deselected(items: list[pytest.Item]) -> None:
    """What was not asked for is no row."""
    for item in items:
        item.config.stash[ROWS].remove(item.stash[ROW])


def _on(item: pytest.Function) -> str:
    callspec = getattr(item, "callspec", None)
    return f" ({callspec.id.replace('_', ' ')})" if callspec else ""


@pytest.fixture(autouse=True)
def row(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Row]:
    """The row of the test."""
    mine: Row = request.node.stash[ROW]
    mine.folder = tmp_path
    begin = time.monotonic()
    yield mine
    mine.seconds = time.monotonic() - begin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A row is kept when its test has passed, with all that it set up and cleared away."""
    report: pytest.TestReport = yield  # type: ignore[assignment] # what a wrapper is sent
    mine = item.stash[ROW]
    if report.failed:
        mine.verdict = "BROKEN"
        # Said at once, because a run that is cut off never comes to its summary.
        item.config.get_terminal_writer().line(f"\n{mine.promises}: {mine.what} BROKEN\n{report.longreprtext}")
    elif report.when == "call" and mine.verdict == "not run":
        mine.verdict = "kept"
    return report  # type: ignore[return-value] # as above


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, and where to look for the cause of what is broken."""
    rows, seed = config.stash[ROWS], config.stash[SEED]
    form = "quick" if config.getoption("--quick") else "long"
    title = f"The {form} form, seed {seed}, on {os.cpu_count()} cores, Python {platform.python_version()}"
    console = Console(width=max(120, terminalreporter._tw.fullwidth))  # noqa: SLF001 - pytest tells it by nothing else
    console.print(shown(rows, title))
    for row in rows:
        for note in row.notes:
            console.print(f"{row.promises}: {note}", highlight=False)
        if row.verdict == "BROKEN":
            console.print(f"{row.promises}: BROKEN; logs and data are in {row.folder}", style="bold red")
    if path := config.getoption("--table"):
        path.write_text(written(rows, title))


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> Scale:
    """How much is done."""
    return QUICK if pytestconfig.getoption("--quick") else Scale()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Draws the same in each run with the same seed, whichever other tests run."""
    return random.Random(f"{request.config.stash[SEED]} {request.node.name}")


@pytest.fixture
def progress(row: Row) -> Iterator[Callable[[float, float], None]]:
    """Shows on a terminal how far a row is: so much, of so much."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{row.promises:<12} {row.what[:60]}", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The S3 server of the run."""
    with shared(tmp_path_factory) as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server of the row's own."""
    with redis_server.running() as server:
        yield server
