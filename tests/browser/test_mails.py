"""What has not gone out, as it is seen and sent again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import ATTORNEY, BOTH, VIEWS, arrive, at_desk, inspect
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import weight
from tests.fakes import ChoosyMailer
from tests.service import Service, running

from leadintake.application.app import App
from leadintake.domain.delivery import Status

NAME = "María-José de la Purísima Concepción"
REASON = (
    "The mail server refused the recipient: 550 5.1.1 <no@example.org>: Recipient address rejected: User unknown in "
    "virtual mailbox table; see https://mail.example.org/errors/550-5.1.1?recipient=no@example.org&" + "x" * 80
)


def choosy(app: App) -> App:
    """The application with a mailer that fails for some addresses."""
    return replace(app, dispatch=replace(app.dispatch, mailer=ChoosyMailer(REASON)))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with one attorney, and with one confirmation a day to each address."""
    with running(tmp_path_factory.mktemp("office") / "data", choosy, CONFIRMATIONS_PER_ADDRESS="1/day") as service:
        service.add_user(ATTORNEY)
        yield service


def owed(service: Service) -> dict[Status, int]:
    """How many mails are in each status but sent."""
    return service.run(service.app.dispatch.count_unsettled())


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages(
    browsing: Browsing, office: Service, view: View, screenshot: Callable[[Page, str], None], tmp_path: Path
) -> None:
    """With mails of all kinds and with none, the page is accessible, fits, and is small."""
    for email in ("no@example.org", "ada@example.org", "ada@example.org", "later@example.org"):
        arrive(office, email=email, first_name=NAME)
    while Status.SENDING in owed(office):
        pass
    page = at_desk(browsing, office, ATTORNEY, view)

    assert weight(page, "/inbox/mails") < 60_000
    inspect(page)
    screenshot(page, f"mails-owed-{view}")
    with running(tmp_path / "data") as idle:
        idle.add_user(ATTORNEY)
        page = at_desk(browsing, idle, ATTORNEY, view)
        page.goto("/inbox/mails")
        inspect(page)
        screenshot(page, f"mails-none-{view}")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_send_again(browsing: Browsing, office: Service, view: View) -> None:
    """A held confirmation goes out when somebody presses its button, by keyboard; the page says so."""
    for _ in range(2):
        arrive(office, email="grace@example.org")
    page = at_desk(browsing, office, ATTORNEY, view)
    page.goto("/inbox/mails")
    buttons = page.get_by_role("button", name="Send now to grace@example.org")
    before = buttons.count()
    buttons.first.press("Enter")

    expect(page.get_by_role("status")).to_have_text("The mail is on its way again.")
    expect(buttons).to_have_count(before - 1)
