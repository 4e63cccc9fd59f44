import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from leadintake.entrypoints.http.connection import BODY_BUFFER, Connection

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"


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


async def test_a_body_waits_until_it_is_read() -> None:
    """A usual resume is taken whole. Of a larger one no more is taken than the buffer holds, until it is read."""
    line, go_on = Line(), asyncio.Event()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await go_on.wait()
        while (await receive())["type"] == "http.request":
            pass

    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    connection = Connection(config, ServerState(), app_state={})
    connection.connection_made(line)

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
