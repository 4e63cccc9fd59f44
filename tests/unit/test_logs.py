import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.kept_logging import kept_logging

from leadintake.entrypoints.logs import configure, visible

HOSTILE = "a\r\n2025-11-24 [error] forged \x1b[2J\x7f \u202e\u2028\u0085\x9b"
HALF = "\udc80"
"""Half of a character: no encoding takes it, and neither do the reports that pytest-xdist passes between processes."""

Lines = Callable[[], list[str]]


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


class Counting(io.BytesIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        return super().write(data)

    def events(self) -> list[str]:
        """What was logged."""
        return [json.loads(line)["event"] for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was, for the tests that follow."""
    with kept_logging():
        yield


@pytest.fixture(params=["json", "console"])
def lines(request: pytest.FixtureRequest) -> Lines:
    """What was logged, in either format."""
    stream = io.BytesIO()
    configure(request.param, stream)
    return lambda: stream.getvalue().decode().removesuffix("\n").split("\n")


@pytest.mark.asvs("V1.3.10", "V16.4.1")
@pytest.mark.attack(57, 160)
def test_whatever_is_logged_is_one_line_that_prints(lines: Lines) -> None:
    """A hostile value ends no line, and no control character, reordering or half of a character reaches a terminal."""
    structlog.get_logger().info(HOSTILE, user_agent=HOSTILE, path=HALF, nested=[HOSTILE, HALF])

    assert len(lines()) == 1
    assert lines()[0].isprintable()


def test_libraries_log_the_same_way(lines: Lines) -> None:
    """What the standard library's logging gets comes out as one line of the same form, quieter ones not at all."""
    logging.getLogger("some.library").warning("odd: %s", HOSTILE)
    logging.getLogger("some.library").info("chatter")

    assert len(lines()) == 1
    assert "some.library" in lines()[0]


@pytest.mark.asvs("V16.4.1")
def test_a_trace_cannot_pass_for_lines_of_the_log(lines: Lines) -> None:
    """The message of an exception is escaped, and where a trace takes several lines they are indented."""
    structlog.get_logger().error("it_failed", exc_info=ValueError(HOSTILE))

    first, *rest = lines()
    assert "it_failed" in first
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert any("ValueError" in line for line in [first, *rest])


@pytest.mark.asvs("V16.2.1-2")
def test_times_are_utc(lines: Lines) -> None:
    """Each line begins with its time, in UTC, whatever the machine's zone."""
    structlog.get_logger().info("now")

    line = lines()[0]
    text = json.loads(line)["timestamp"] if line.startswith("{") else line.split()[0]
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


@pytest.mark.asvs("V16.2.1-2")
def test_json_keeps_every_value() -> None:
    """What was escaped on the line is the same again when the line is read."""
    stream = io.BytesIO()
    configure("json", stream)

    structlog.get_logger().info("event", text=HOSTILE, number=1, nothing=None)

    line = json.loads(stream.getvalue())
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert (line["text"], line["number"], line["nothing"]) == (HOSTILE, 1, None)


async def test_what_only_informs_is_written_once_a_step() -> None:
    """Lines of one step of the event loop are written together after it; what is wrong is written at once."""
    stream = Counting()
    configure("json", stream)
    log = structlog.get_logger()

    log.info("first")
    log.info("second")
    log.error("wrong")
    at_once = stream.events()
    await asyncio.sleep(0)

    assert at_once == ["wrong"]
    assert stream.events() == ["wrong", "first", "second"]
    assert stream.writes == 2


async def test_other_threads_write_at_once() -> None:
    """There is no step of an event loop to wait for."""
    stream = Counting()
    configure("json", stream)

    await asyncio.to_thread(structlog.get_logger().info, "elsewhere")

    assert stream.events() == ["elsewhere"]


@pytest.mark.attack(162)
def test_a_full_disk_stops_nothing() -> None:
    """A line that cannot be written is lost, and nobody else is harmed."""
    configure("json", Full())

    structlog.get_logger().error("lost")


@given(st.text())
def test_visible_text_prints(text: str) -> None:
    """Anything at all becomes printable, and what was printable stays as it is."""
    shown = visible(text)

    assert shown.isprintable()
    assert shown == text or not text.isprintable()
