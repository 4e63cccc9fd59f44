"""What somebody signs in with, as they would call it, by what a browser says of itself (RFC 9110, 10.1.5)."""

import re
from typing import Any

from litestar.connection import ASGIConnection

BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
"""Browsers by their mark. Most say that they are those further down too, so the first that is found counts."""

SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Macintosh": "Mac",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}

PRODUCT = re.compile(r"[\w.-]{1,40}", re.ASCII)


def device_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Such as "Firefox on Windows", or "curl" for a program; None where it says nothing. Anybody can say anything."""
    said = connection.headers.get("user-agent", "")
    browser, system = _first(BROWSERS, said), _first(SYSTEMS, said)
    if browser and system:
        return f"{browser} on {system}"
    product = PRODUCT.match(said)
    return product[0] if product else None


def _first(names: dict[str, str], said: str) -> str | None:
    return next((name for mark, name in names.items() if mark in said), None)
