"""A way to a server that can be made to fail."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Handle = Callable[[Reader, Writer], Awaitable[None]]


@dataclass
class Relay:
    """Listens, and lets everything pass to a port, while it `flows`.

    `requests` are the methods and paths that came by, over HTTP.
    """

    to_port: int
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[str] = field(default_factory=list)
    connections: dict[Writer, asyncio.Future[None]] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.handle: Handle = self.passing
        self.flows.set()

    async def start(self) -> None:
        """Listen, on the same port each time."""
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and end those that there are."""
        self.flows.set()
        self.server.close()
        await self.become(self.handle)

    async def become(self, handle: Handle) -> None:
        """End all connections, and handle new ones so."""
        self.handle = handle
        while self.connections:
            writer, ended = next(iter(self.connections.items()))
            writer.close()
            await ended

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        self.connections[writer] = asyncio.get_running_loop().create_future()
        with suppress(OSError):
            await self.handle(reader, writer)
        writer.close()
        self.connections.pop(writer).set_result(None)

    async def passing(
        self,
        reader: Reader,
        writer: Writer,
        there: Callable[[bytes], bytes] = bytes,
        back: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Let everything pass, changed on its way there or back; what is changed to nothing ends the connection."""
        answers, requests = await asyncio.open_connection("127.0.0.1", self.to_port)
        await asyncio.gather(
            self._pump(reader, requests, partial(self._noted, there)), self._pump(answers, writer, back)
        )

    async def _pump(self, source: Reader, sink: Writer, change: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while piece := change(await source.read(2**16)):
                await self.flows.wait()
                sink.write(piece)
                await sink.drain()
        sink.close()

    def _noted(self, change: Callable[[bytes], bytes], piece: bytes) -> bytes:
        if match := re.match(rb"[A-Z]+ [^? ]+", piece):
            self.requests.append(match[0].decode())
        return change(piece)


@asynccontextmanager
async def relay(to_port: int) -> AsyncIterator[Relay]:
    """A relay that listens until the context ends."""
    listening = Relay(to_port)
    await listening.start()
    try:
        yield listening
    finally:
        await listening.stop()


async def hanging(reader: Reader, _: Writer) -> None:
    """Take everything and never answer."""
    while await reader.read(2**16):
        pass


def saying(answer: bytes) -> Handle:
    """Answer the first piece of a request with this, whatever it is."""

    async def handle(reader: Reader, writer: Writer) -> None:
        await reader.read(2**16)
        writer.write(answer)
        await writer.drain()

    return handle
