"""A mail server that takes everything and counts: a byte in a file for each mail. Its arguments are port and file."""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session


class Counting:
    """Takes a mail, and writes that down before it says so."""

    def __init__(self, record: Path) -> None:
        self._record = record.open("ab", buffering=0)

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 - as aiosmtpd calls it
        """Count it."""
        self._record.write(b".")
        return "250 2.0.0 queued"


async def serve(port: int, record: Path) -> None:
    """Listen until the process is ended."""
    handler = Counting(record)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="sink.example", enable_SMTPUTF8=True), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
