"""One service and one Chromium for all tests of a process, and the pages of each test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.browsing import DESKTOP, Browsing, View
from tests.service import Service, running

from leadintake.domain.people import Role

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # No request leaves the machine.
]
"""Beside those of Playwright, which keep Chromium from updates, first-run pages and calls home."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for pictures of the pages."""
    parser.addoption("--screenshots", type=Path, metavar="DIR", help="keep pictures of the pages in this folder")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, without rate limits."""
    with running(tmp_path_factory.mktemp("service") / "data") as service:
        service.add_user("admin@example.org", Role.ADMIN, "Admin Istrator")
        service.add_user("attorney@example.org", Role.ATTORNEY, "Atticus Finch")
        yield service


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium of the system."""
    if not CHROMIUM:
        pytest.fail("Chromium is not installed: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        sandbox = os.geteuid() != 0  # Chromium refuses to have one as root.
        yield playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandbox, args=FLAGS)


@pytest.fixture
def new_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service of the test's own, with settings as `running` takes them."""
    with ExitStack() as services:
        yield lambda **settings: services.enter_context(running(tmp_path / "data", **settings))


@pytest.fixture
def browsing(
    chromium: Browser,
    service: Service,
    new_service: Callable[..., Service],  # noqa: ARG001 # It ends after the browsing, which may still load something.
) -> Iterator[Browsing]:
    """The browsing of a test, which may have no complaints at its end but those that the test expects."""
    browsing = Browsing(chromium, service.url)
    try:
        yield browsing
        browsing.check()
    finally:
        browsing.close()


@pytest.fixture
def view() -> View:
    """How the page of a test is looked at. A test that is parametrized with `view` has others."""
    return DESKTOP


@pytest.fixture
def page(browsing: Browsing, view: View) -> Page:
    """An empty page of the service."""
    return browsing.page(view)


@pytest.fixture(scope="session")
def screenshot(pytestconfig: pytest.Config) -> Callable[[Page, str], None]:
    """Keeps a picture of a whole page under a name, where --screenshots says so."""
    folder: Path | None = pytestconfig.getoption("screenshots")

    def screenshot(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=folder / f"{name}.png", full_page=True)

    return screenshot
