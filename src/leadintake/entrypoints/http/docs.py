"""The documentation of the API. It needs no internet, and runs under a policy without inline scripts and styles."""

from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.params import FromPath
from swagger_ui_bundle import swagger_ui_path

from leadintake.domain.errors import NotFound
from leadintake.entrypoints.http.document import Schema

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEEP = "public, max-age=86400"

START = "start.js"
START_SCRIPT = b"""const api = document.getElementById("api");
SwaggerUIBundle({url: api.dataset.document, domNode: api, deepLinking: true, validatorUrl: null});
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>leadintake API</title>
<link rel="stylesheet" href="{prefix}/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="{prefix}/docs/favicon-32x32.png">
</head>
<body>
<div id="api" data-document="{prefix}/openapi.json"></div>
<noscript>This page needs JavaScript; <a href="{prefix}/openapi.json">openapi.json</a> does not.</noscript>
<script src="{prefix}/docs/swagger-ui-bundle.js"></script>
<script src="{prefix}/docs/start.js"></script>
</body>
</html>
"""

ASSETS = {
    START: "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


def routes(document: Callable[[], Schema], prefix: str) -> Router:
    """The pages that show a document, which is made when it is first asked for, as that would hold up every start.

    `prefix` is the path that the service has at its base URL.
    """
    content = cache(lambda: msgspec.json.encode(document()))
    html = PAGE.format(prefix=escape(prefix))

    @get("/openapi.json", media_type=MediaType.JSON, sync_to_thread=True)
    def openapi() -> bytes:
        return content()

    @get("/docs", media_type=MediaType.HTML)
    async def page() -> Response[str]:
        return Response(html, headers={"Content-Security-Policy": CSP})

    return Router("/", route_handlers=[openapi, page, asset], include_in_schema=False)


@get("/docs/{name:str}")
async def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of the documentation page."""
    if name not in ASSETS:
        raise NotFound
    return Response(_read(name), media_type=ASSETS[name], headers={"Cache-Control": KEEP})


@cache
def _read(name: str) -> bytes:
    return START_SCRIPT if name == START else (Path(swagger_ui_path) / name).read_bytes()
