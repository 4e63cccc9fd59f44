"""The least that the same server and the same framework can do: `uvicorn benchmarks.hello:raw`."""

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any, cast

from litestar import Litestar, get
from litestar.types import Receive, Scope, Send

from benchmarks.ceilings import sync_folder

ANSWER = b'{"status":"ok"}'
NAMES = itertools.count()


async def raw(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request, without a framework. There is nothing but requests: uvicorn is told so."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


async def keeping(_scope: Scope, receive: Receive, send: Send) -> None:
    """Keep each body as it came in a file of the folder KEEPING, synced with it, and answer 201; without a body, 200.

    Nothing is parsed, looked at, hashed, or written down: no service can do less before it answers.
    """
    parts, is_more = list[bytes](), True
    while is_more:
        message = cast("dict[str, Any]", await receive())
        parts.append(message["body"])
        is_more = message["more_body"]
    if body := b"".join(parts):
        await asyncio.to_thread(_keep, Path(os.environ["KEEPING"]), body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 201 if body else 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


def _keep(folder: Path, body: bytes) -> None:
    with (folder / str(next(NAMES))).open("wb", buffering=0) as file:
        file.write(body)
        os.fsync(file.fileno())
    sync_folder(folder)


@get("/health/live")
async def hello() -> dict[str, str]:
    """Answer with the framework."""
    return {"status": "ok"}


framework = Litestar([hello], openapi_config=None, logging_config=None)
