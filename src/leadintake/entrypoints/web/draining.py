"""Reading a form that is refused: its texts, to show them again, and then to its end.

A browser shows no answer that comes while it is still sending.
"""

from contextlib import suppress
from typing import cast

from anyio import move_on_after
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPRequestEvent, Message, Receive, Scope, Send

from leadintake.domain.errors import Refused, TooLarge
from leadintake.entrypoints.http.multipart import boundary_of, read_form
from leadintake.entrypoints.http.reading import AnyRequest, header, pieces

LONGEST_SECONDS = 120
"""How long a refusal waits for the rest of what it refuses."""


async def read_texts(request: AnyRequest, texts: dict[str, str]) -> None:
    """Read the texts of a form of which nothing was read, as far as they come before its file."""
    with move_on_after(LONGEST_SECONDS), suppress(Refused, HTTPException):
        await read_form(pieces(request), boundary_of(header(request, "Content-Type") or ""), texts, _stop)


async def _stop(_file: bytes) -> None:
    raise TooLarge


class DrainBody(ASGIMiddleware):
    """Reads and throws away what a handler left of a body, for so many bytes and seconds."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, most_bytes: int, seconds: float = LONGEST_SECONDS) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request."""
        is_read = False

        async def noted() -> HTTPRequestEvent:
            nonlocal is_read
            try:
                # It may also be that the client has left, which has neither key.
                message = cast("HTTPRequestEvent", await receive())
            except Refused:  # by the connection, on which nothing more is heard
                is_read = True
                raise
            is_read = not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                left = self._most_bytes
                with move_on_after(self._seconds), suppress(Refused):
                    while not is_read and left > 0:
                        left -= len((await noted()).get("body", b""))
            await send(message)

        await next_app(scope, noted, answer)
