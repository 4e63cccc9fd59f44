"""A network that fails: a proxy between a client and a server, told when to cut connections and when to fall silent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Passes bytes on while it `flows`. `is_last` sees what a client sends; once that is passed on, it cuts."""

    target: int
    is_last: Callable[[bytes], bool] = lambda _: False
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    server: asyncio.Server = field(init=False)

    @property
    def port(self) -> int:
        """Where to connect to."""
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Cut all connections there are."""
        for connection in self.connections:
            connection.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side has gone."""
        this = asyncio.current_task()
        assert this
        self.connections.add(this)
        this.add_done_callback(self.connections.discard)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, there_writer, is_client=True))
                both.create_task(self._pass_on(there_reader, writer, is_client=False))
        except* Gone:
            pass
        finally:
            writer.transport.abort()
            there_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool) -> None:
        with suppress(OSError):
            while sent := await reader.read(65536):
                await self.flows.wait()
                writer.write(sent)
                await writer.drain()
                if is_client and self.is_last(sent):
                    break
        raise Gone


class Gone(Exception):
    """One side has closed the connection."""


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    """A proxy for a port of this machine, until the context ends."""
    proxy = Proxy(target)
    proxy.flows.set()
    proxy.server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy
    finally:
        proxy.server.close()
        proxy.cut()
        await asyncio.gather(*proxy.connections, return_exceptions=True)
