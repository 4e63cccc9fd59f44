"""The least that the same server and the same framework can answer with: `uvicorn benchmarks.hello:raw`."""

from litestar import Litestar, get
from litestar.types import Receive, Scope, Send

ANSWER = b'{"status":"ok"}'


async def raw(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request, without a framework. There is nothing but requests: uvicorn is told so."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


@get("/health/live")
async def hello() -> dict[str, str]:
    """Answer with the framework."""
    return {"status": "ok"}


bare = Litestar([hello], openapi_config=None, logging_config=None)
