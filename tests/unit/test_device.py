"""What a session is called, from what browsers and programs really send."""

import pytest
from litestar.testing import RequestFactory

from leadintake.entrypoints.http.device import device_of

MOZILLA = "Mozilla/5.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("said", "device"),
    [
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Windows"),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {CHROME}", "Chrome on Windows"),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {CHROME} Edg/131.0.0.0", "Edge on Windows"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {CHROME} OPR/116.0.0.0", "Opera on Mac"),
        (f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {CHROME}", "Chrome on ChromeOS"),
        (f"{MOZILLA} (Linux; Android 10; K) {CHROME}", "Chrome on Android"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.1 Safari/605.1.15", "Safari on Mac"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} CriOS/131.0 Safari/604.1", "Chrome on iPhone"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("x" * 1_000, "x" * 40),
        ("<b>somebody</b>", None),
        ("", None),
    ],
)
def test_device(said: str, device: str | None) -> None:
    """A browser by its name and system, a program by its first word, and nothing that is markup or long."""
    assert device_of(RequestFactory().get("/", headers={"User-Agent": said})) == device


def test_nothing_said() -> None:
    """A client need not say what it is."""
    assert device_of(RequestFactory().get("/")) is None
