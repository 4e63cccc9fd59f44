"""Connections: what uvicorn leaves out. A request has to arrive in time, and its headers have to be of a sane size."""

import asyncio
import sys
from typing import Any, cast

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from leadintake.domain.errors import Malformed, Refused
from leadintake.entrypoints.errors import HeadersTooLarge, MethodUnknown, TooSlow

HEAD_MAX_BYTES = 32 * 1024
"""Of the address and all headers: as much as nginx takes. Trailers, and what stands between chunks, have no more."""

HEAD_MAX_FIELDS = 100

BODY_BUFFER = 128 * 1024
"""Bytes of a body that may wait to be read before no more is taken from the client. With half as many, as in uvicorn,
a resume of 100 KB stops on the way: a twentieth fewer submissions. With twice as many, 32 uploads take 20 MB more.
"""

REFUSED = "refused"
"""Where the state of a request says what keeps it from being served; `Observed` answers with it."""


class Connection(HttpToolsProtocol):
    """A connection whose requests are refused, and which is then closed, when they are too slow, too large, or garbled.

    A request has `head_seconds` for its address and headers, from the first byte on. Its body has `body_seconds`, and
    one second more for each `body_bytes_per_second` that have arrived, as in Apache's mod_reqtimeout: a slow line may
    bring the largest file, and whoever sends a byte a second is gone after half a minute.
    """

    head_seconds = 10.0
    body_seconds = 30.0
    body_bytes_per_second = 10_000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_body = False
        self._is_over = False
        self._bare_bytes = 0  # that have come since the request began, or since its body last grew
        self._body_bytes = 0
        self._body_began = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Wait for a first request, though not for ever."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection is open for its last answer only."""
        if self._is_over:
            return
        self._bare_bytes += len(data)
        super().data_received(data)
        if self._bare_bytes > HEAD_MAX_BYTES:
            self._refuse(HeadersTooLarge())
        is_under_way = (self._is_in_body or self._bare_bytes) and not self._is_over
        if is_under_way and self._deadline is None:  # What came whole needs no clock.
            self._wait(self.body_seconds if self._is_in_body else self.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. A trailer must not become one (RFC 9110 6.5.1), since it comes when those were looked at."""
        if not self._is_in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request served; raises what `send_400_response` then refuses it with."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_MAX_BYTES or len(self.headers) > HEAD_MAX_FIELDS:
            raise HeadersTooLarge
        if self.parser.get_method() == b"CONNECT":
            raise MethodUnknown
        self._check_coding()
        if not self.url.startswith(b"/"):
            self._take_host_from_address()
        super().on_headers_complete()
        self._is_in_body, self._body_bytes, self._body_began = True, 0, self.loop.time()
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Take in a piece of the body, as in uvicorn but for the size of its buffer, and with two copies fewer.

        Most pieces of a large body are read before the next comes. With 5 MB that is a twentieth less processor time.
        """
        self._body_bytes += len(body)
        self._bare_bytes = 0
        if self.cycle.response_complete:
            return
        before = cast("bytes | bytearray", self.cycle.body)
        if not before:
            self.cycle.body = body  # type: ignore[assignment] # uvicorn asks for its bytes: these, without a copy
        elif isinstance(before, bytes):
            self.cycle.body = bytearray(before) + body
        else:
            self.cycle.body += body
        if len(self.cycle.body) > BODY_BUFFER:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is here: what takes long from now on is not the client's fault."""
        self._is_in_body, self._bare_bytes = False, 0
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words; the application has better ones
        """Refuse what the parser could not go on with; uvicorn calls this while it handles the parser's error."""
        error = sys.exception()
        if error is not None and isinstance(error.__context__, Refused):
            self._refuse(error.__context__)
        elif isinstance(error, HttpParserInvalidMethodError):
            self._refuse(MethodUnknown())
        else:
            self._refuse(Malformed())

    def _check_coding(self) -> None:
        """Raise Malformed for a body in a coding that is not read here, or by a client that has none (RFC 9112 6.1)."""
        codings = [value.strip(b" \t").lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or self.parser.get_http_version() == "1.0"):
            raise Malformed("A body may come in chunks, by HTTP/1.1, but in no other Transfer-Encoding.")

    def _take_host_from_address(self) -> None:
        """Where the address names a host, it goes before the header (RFC 9112 3.2.2); raises Malformed for none."""
        _, is_absolute, rest = self.url.partition(b"://")
        if not is_absolute:
            raise Malformed("The address must begin with a slash.")
        host, _, path = rest.partition(b"/")
        self.headers[:] = [(b"host", host), *(header for header in self.headers if header[0] != b"host")]
        self.url = b"/" + path

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        if self._is_in_body:
            left = self._body_began + self.body_seconds - self.loop.time()
            left += self._body_bytes / self.body_bytes_per_second
            if left > 0:
                self._wait(left)
                return
        if self._is_in_body or self._bare_bytes:
            self._refuse(TooSlow())
        else:  # Nothing was asked, so there is nothing to answer.
            self.transport.close()

    def _refuse(self, error: Refused) -> None:
        """Have the application answer with the error, then close; what else the client sends is not looked at."""
        if self._is_over:
            return
        self._is_over = True
        self._stop_waiting()
        if not self._is_in_body:
            self._start_refused(error)
        elif self.cycle.response_complete:  # The application did not want to see the body.
            self.transport.close()
        else:
            self.cycle.scope["state"][REFUSED] = error
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _start_refused(self, error: Refused) -> None:
        """Ask the application about a request that never became one, after those that it has still to answer."""
        before: RequestResponseCycle | None = self.cycle
        self.on_message_begin()
        self.scope.update({"method": "", "path": "/", "raw_path": b"/", "query_string": b""})
        self.scope["state"][REFUSED] = error
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.pipeline.appendleft((self.cycle, self.app))
