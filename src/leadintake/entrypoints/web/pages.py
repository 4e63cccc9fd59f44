"""What every page has: templates, the policy it is shown under, and the files it loads."""

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response, get
from litestar.params import FromPath
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Template
from litestar.template.config import TemplateConfig

from leadintake.application.inbox import Trouble
from leadintake.domain.errors import NotFound
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.web import words

HERE = Path(__file__).parent

ASSETS = {path.name: path.read_bytes() for path in sorted((HERE / "assets").iterdir())}
VERSION = hashlib.sha256(b"".join(ASSETS.values())).hexdigest()[:12]
"""Part of the address of every asset, so that browsers may keep them for ever."""

KEEP = "public, max-age=31536000, immutable"

CSP = "Content-Security-Policy"


def content_security_policy(framed_by: str = "'none'") -> str:
    """Nothing but our own files, in frames of nobody but these origins. Beside it, X-Frame-Options counts no more."""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {framed_by}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


HEADERS = {
    CSP: content_security_policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # With no-referrer, browsers send the Origin of a form as null.
}


def templates(settings: Settings) -> TemplateConfig[JinjaTemplateEngine]:
    """The templates, with what all of them may say."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    prefix = urlsplit(settings.base_url).path
    environment.globals.update(
        base_url=settings.base_url,
        prefix=prefix,
        assets=f"{prefix}/assets/{VERSION}",
        firm_name=settings.firm_name,
        mail_is_files=settings.mail_backend != "smtp",
        words=words,
    )
    environment.filters.update(moment=words.moment, size=words.size)
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def page(name: str, *, status: int = 200, headers: dict[str, str] | None = None, **facts: Any) -> Template:
    """A page made from a template and the facts that it shows."""
    return Template(
        f"{name}.html",
        context=facts,
        status_code=status,
        headers={**HEADERS, **(headers or {})},
        media_type="text/html",
    )


def redirect(request: AnyRequest, path: str, headers: dict[str, str] | None = None) -> Redirect:
    """Go to a page of ours, by GET."""
    prefix = urlsplit(serving(request).settings.base_url).path
    return Redirect(prefix + path, status_code=303, headers={**HEADERS, **(headers or {})})


def saying(address: str, done: str) -> str:
    """An address of ours whose page says what was done just before, by one name more, without a value."""
    return f"{address}{'&' if '?' in address else '?'}{done}"


def just_done(request: AnyRequest, sentences: Mapping[str, str]) -> list[str]:
    """What was done just before, by the names in the address of the page: see `saying`."""
    return [text for name, text in sentences.items() if name in request.query_params]


def desk_page(request: SignedIn, name: str, trouble: Trouble, **facts: Any) -> Template:
    """A page for somebody who is signed in; `trouble` is what keeps mail from going out, and is shown on top."""
    return page(name, user=request.user, trouble=trouble, **facts)


@get("/assets/{version:str}/{name:str}")
async def asset(version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """A stylesheet, script or picture, in whatever version: servers of two may be up while one replaces the other.

    Only under the address of its own version may it be kept, else it would stand there for another for a year.
    """
    if name not in ASSETS:
        raise NotFound
    headers = {"Cache-Control": KEEP if version == VERSION else "no-store"}
    return Response(ASSETS[name], media_type=mimetypes.guess_type(name)[0], headers=headers)
