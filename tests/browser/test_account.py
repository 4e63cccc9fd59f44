"""One's own account, as it is seen and used."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import BOTH, VIEWS, at_desk, inspect
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import weight
from tests.service import PASSWORD, Service

NEW = "another battery staple"


@pytest.fixture
def email(service: Service) -> str:
    """A user of the test's own, whose name is long."""
    email = f"{uuid4().hex}@example.org"
    service.add_user(email, full_name="María-José de la Purísima Concepción Fernández-Villaverde")
    return email


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages(
    browsing: Browsing, service: Service, email: str, view: View, screenshot: Callable[[Page, str], None]
) -> None:
    """The page and each of its answers are accessible, fit, and are small."""
    browsing.expects("422 POST /inbox/account/password")
    page = at_desk(browsing, service, email, view)
    at_desk(browsing, service, email)

    def looked_at(state: str) -> None:
        inspect(page)
        screenshot(page, f"account-{state}-{view}")

    assert weight(page, "/inbox/account") < 60_000
    looked_at("two-sessions")
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert")).to_be_focused()
    looked_at("wrong")
    page.get_by_role("button", name="Sign out Chrome on Linux, since").click()
    expect(page.get_by_role("status")).to_have_text("The other session is over.")
    looked_at("ended")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_by_keyboard(browsing: Browsing, service: Service, email: str, view: View) -> None:
    """A wrong password, the way back from the summary to the field, and then the right one."""
    browsing.expects("422 POST /inbox/account/password")
    page = at_desk(browsing, service, email, view)
    page.goto("/inbox/account")
    current, new = page.get_by_label("Current password"), page.get_by_label("New password")
    while not current.evaluate("field => field === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Tab")
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(current).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    expect(new).to_be_focused()
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    expect(page).to_have_title("Your account - Our firm")


def test_too_short_a_password_is_not_sent(browsing: Browsing, service: Service, email: str) -> None:
    """The browser says so at the field, by itself."""
    page = at_desk(browsing, service, email)
    page.goto("/inbox/account")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").press_sequentially("short")
    page.get_by_role("button", name="Change the password").click()

    assert page.get_by_label("New password").evaluate("field => field.validity.tooShort")
    expect(page.get_by_role("alert")).to_have_count(0)
