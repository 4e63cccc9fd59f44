"""What the benchmarks make of their figures."""

import asyncio
import itertools
import math
from contextlib import suppress

import pytest
from benchmarks.client import Connection, Sink
from benchmarks.figures import interleaved, median, percentile
from benchmarks.rows import Row, Target, Verdict, shown
from benchmarks.table import HEADINGS, written
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(0, 1_000), min_size=1)


@given(VALUES, st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    """Nearest rank: a value that was measured, and none between two of them."""
    ordered = sorted(values)
    found = percentile(ordered, percent)

    assert found in ordered
    assert sum(value <= found for value in ordered) >= len(ordered) * percent / 100
    assert sum(value < found for value in ordered) < len(ordered) * percent / 100


def test_nothing_measured_is_no_figure() -> None:
    """Where there are no values, there is no median, and no text that looks like one."""
    assert percentile([], 99) == 0
    assert math.isnan(median([]))
    assert shown(median([])) == ""


def test_nobody_is_always_first() -> None:
    """Every other round goes backwards."""
    assert [*interleaved("ab", 3)] == [*"abbaab"]


@pytest.mark.parametrize(
    ("row", "figure", "verdict"),
    [
        (Row("", "", "1/s", [500, 600, 700], [100], target=Target(3, 6)), 6, "goal met"),
        (Row("", "", "1/s", [590], [100], target=Target(3, 6)), 5.9, "floor met"),
        (Row("", "", "ms", [50], [500], better="less", target=Target(15, 30)), 10, "missed"),
        (Row("", "", "1/s", [30], ceiling=[100], target=Target(25, 60, "share")), 30, "floor met"),
        (Row("", "", "MB", [12.0004], better="less", target=Target(30, 12, "figure")), 12.0004, "goal met"),
        (Row("", "", "MB", [31], better="less", target=Target(30, 12, "figure")), 31, "missed"),
        (Row("", "", "answers", [0], better="less", target=Target(0, 0, "figure")), 0, "goal met"),
        (Row("", "", "answers", [1], better="less", target=Target(0, 0, "figure")), 1, "missed"),
        (Row("", "", "1/s", [1]), None, ""),
    ],
)
def test_a_row_is_judged_by_its_target(row: Row, figure: float | None, verdict: Verdict) -> None:
    """More than the peer, more of the ceiling, or less of what should be little."""
    assert row.figure == pytest.approx(figure) if figure is not None else row.figure is None
    assert row.verdict == verdict


def test_the_table_has_a_column_for_each_heading() -> None:
    """Every line of the Markdown has as many cells as the first; above stands of what, and below what is not there."""
    rows = [
        Row("create", "100 KB", "1/s", [500, 600, 700], [100, 120], [2.344], target=Target(3, 6)),
        Row("create", "files", "1/s", [500], ceiling=[1_234.5], target=Target(25, 60, "share")),
    ]
    text = written(rows, ["create: quick form"], ["cost: no strace"])
    lines = [line for line in text.splitlines() if line.startswith("|")]

    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}
    assert "| create | 100 KB, 1/s | 600 | 500 | 700 | 2.34 | 110 | 5.45x |  |  | 3x | 6x | floor met |" in lines
    assert "| create | files, 1/s | 500 | 500 | 500 |  |  |  | 1,230 | 40.5 % | 25 % | 60 % | floor met |" in lines
    assert text.startswith("- create: quick form\n\n|")
    assert text.endswith("\n- Not measured: cost: no strace\n")


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_answers_are_counted_however_they_arrive(size: int) -> None:
    """In pieces of any size, an answer counts once, with its status and body; a connection that ended is replaced."""
    answers = [
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nfirst",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthird\r\n0\r\n\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                answer = answers[len(sink.statuses)]
                for start in range(0, len(answer), size):
                    writer.write(answer[start : start + size])
                    await asyncio.sleep(0)
        writer.close()

    sink = Sink(itertools.repeat([b"GET / HTTP/1.1\r\n", b"\r\n"]), keeps_bodies=True, left=3)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await Connection(sink, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}").run()

    assert sink.statuses == [201, 404, 200]
    assert [body for _, body in sink.bodies] == [b"first", b"", b"5\r\nthird\r\n0\r\n\r\n"]
    assert (sink.failures, sink.in_time) == (0, 2)
