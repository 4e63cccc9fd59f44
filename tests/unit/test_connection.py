import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from leadintake.domain.errors import Malformed
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


class Answers(Line):
    """A client that takes whatever is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False


async def answer(send: Any, body: bytes) -> None:
    """Answer a request."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    """What cannot be read is refused behind what came before it, so that no answer is taken for another's."""
    line, go_on = Answers(), asyncio.Event()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if REFUSED in scope["state"]:
            await answer(send, b"refused")
        else:
            await go_on.wait()
            await answer(send, b"served")

    connection = connected(app, line)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nG\0RBLED\r\n\r\n")
    for _ in range(10):
        await asyncio.sleep(0)
    sent_at_first = line.sent
    go_on.set()
    for _ in range(10):
        await asyncio.sleep(0)
    connection.connection_lost(None)

    assert sent_at_first == b""
    assert 0 < line.sent.find(b"served") < line.sent.find(b"refused")


async def test_each_request_has_its_own_room() -> None:
    """However much a connection has brought before, what counts against the limit of headers is one request."""
    states: list[dict[str, Any]] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        states.append(scope["state"])
        await answer(send, b"served")

    connection = connected(app, Answers())
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000 + b"\r\n\r\n"
    for _ in range(2 * HEAD_MAX_BYTES // len(request)):
        connection.data_received(request)
        for _ in range(3):
            await asyncio.sleep(0)
    connection.connection_lost(None)

    assert len(states) == 2 * HEAD_MAX_BYTES // len(request)
    assert not any(REFUSED in state for state in states)


@pytest.mark.parametrize(
    "codings",
    [b"gzip", b"gzip, chunked", b"gzip\r\nTransfer-Encoding: chunked", b"chunked\r\nTransfer-Encoding: chunked"],
)
async def test_only_one_coding_is_read(codings: bytes) -> None:
    """A body in a coding that is not read here is refused, also where chunked follows in a header of its own."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: %s\r\n\r\n" % codings

    assert type(await refused(head)) is Malformed
