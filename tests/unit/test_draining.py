import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from litestar.types import ASGIApp, HTTPRequestEvent, Message, Receive, Scope, Send

from leadintake.entrypoints.errors import TooSlow
from leadintake.entrypoints.web.draining import DrainBody

PIECE = b"x" * 10
ANSWER: tuple[Any, ...] = ({"type": "http.response.start"}, {"type": "http.response.body"})


@dataclass
class Connection:
    """A client that sends pieces, then waits, leaves, is refused or silent; how many were read when it was answered."""

    pieces: int
    leaves: bool = False
    is_refused: bool = False
    is_silent: bool = False
    read: int = 0
    answered_after: list[int] = field(default_factory=list)

    async def receive(self) -> HTTPRequestEvent:
        """The next piece, or what comes after the last."""
        if self.read == self.pieces:
            if self.leaves:
                return cast("HTTPRequestEvent", {"type": "http.disconnect"})
            if self.is_refused:
                self.is_refused = False  # It is said once, as by the server.
                raise TooSlow
            await asyncio.Event().wait()
        goes_on = self.leaves or self.is_refused or self.is_silent
        self.read += 1
        is_last = self.read == self.pieces and not goes_on
        return {"type": "http.request", "body": PIECE, "more_body": not is_last}

    async def send(self, _: Message) -> None:
        """Take note."""
        self.answered_after.append(self.read)

    def served(self, reads: int, **limits: Any) -> list[int]:
        """Answer after so many pieces were read."""

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            with suppress(TooSlow):
                for _ in range(reads):
                    await receive()
            for message in ANSWER:
                await send(message)

        draining = DrainBody(**{"most_bytes": 1000, **limits})
        handled = draining.handle(cast("Any", {}), self.receive, self.send, cast("ASGIApp", app))
        asyncio.run(asyncio.wait_for(handled, 5))
        return self.answered_after


def test_the_rest_is_read_before_the_answer() -> None:
    """Whatever the handler has left."""
    assert Connection(9).served(reads=0) == [9, 9]
    assert Connection(9).served(reads=4) == [9, 9]


def test_a_body_that_was_read_is_not_waited_for() -> None:
    """There is nothing more to come."""
    assert Connection(9).served(reads=9) == [9, 9]


def test_who_left_is_not_waited_for() -> None:
    """Nor is it an error."""
    assert Connection(3, leaves=True).served(reads=1) == [3, 3]


def test_who_is_refused_is_not_waited_for() -> None:
    """Whoever was told so, the handler or what reads on after it."""
    assert Connection(3, is_refused=True).served(reads=4) == [3, 3]
    assert Connection(3, is_refused=True).served(reads=1) == [3, 3]


def test_it_is_not_read_for_ever() -> None:
    """So many bytes and so many seconds, and then the answer, heard or not."""
    assert Connection(900).served(reads=0, most_bytes=95) == [10, 10]
    assert Connection(3, is_silent=True).served(reads=0, seconds=0.01) == [3, 3]
