import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from leadintake.entrypoints.errors import HeadersTooLarge
from leadintake.entrypoints.http.connection import BODY_BUFFER, HEAD_MAX_BYTES, REFUSED, Connection

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


class Line(asyncio.Transport):
    """A client, and whether what it sends is taken."""

    is_taken = True

    def pause_reading(self) -> None:
        self.is_taken = False

    def resume_reading(self) -> None:
        self.is_taken = True

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass


def connected(app: Any, line: Line) -> Connection:
    """A connection to an application."""
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    connection = Connection(config, ServerState(), app_state={})
    connection.connection_made(line)
    return connection


async def test_a_body_waits_until_it_is_read() -> None:
    """A usual resume is taken whole. Of a larger one no more is taken than the buffer holds, until it is read."""
    line, go_on = Line(), asyncio.Event()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await go_on.wait()
        while (await receive())["type"] == "http.request":
            pass

    connection = connected(app, line)
    connection.data_received(HEAD + bytes(BODY_BUFFER))
    taken_at_first = line.is_taken
    connection.data_received(b"x")
    taken_when_full = line.is_taken
    go_on.set()
    await asyncio.sleep(0.01)
    taken_when_read = line.is_taken
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)

    assert (taken_at_first, taken_when_full, taken_when_read) == (True, False, True)


async def refused(*pieces: bytes) -> Any:
    """What a request that comes in these pieces is refused with."""
    states: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        states.append(scope["state"])
        await receive()

    connection = connected(app, Line())
    for piece in pieces:
        connection.data_received(piece)
        await asyncio.sleep(0)
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)
    return states[0].get(REFUSED)


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    ("begin", "goes_on"),
    [(b"0\r\nX-Endless: ", b"x"), (b"0\r\nX-", b"x"), (b"0\r\n", b"X: x\r\n"), (b"1;x=", b"x"), (b"1;", b"x")],
)
async def test_what_is_no_body_has_an_end(begin: bytes, goes_on: bytes) -> None:
    """Trailers, or the extension of a chunk, are cut off where the room of headers ends."""
    piece = goes_on * (8192 // len(goes_on))
    enough, too_much = [piece] * 3, [piece] * 5

    assert await refused(CHUNKED, begin, *enough) is None
    assert type(await refused(CHUNKED, begin, *too_much)) is HeadersTooLarge


async def test_many_chunks() -> None:
    """However many chunks a body comes in, what stands between them takes no room from one another."""
    chunk = b"1;x=" + b"x" * 1000 + b"\r\nx\r\n"

    assert await refused(CHUNKED, *[chunk] * (2 * HEAD_MAX_BYTES // len(chunk))) is None
