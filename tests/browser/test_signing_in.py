"""Signing in and out of the inbox."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import ATTORNEY, BOTH, VIEWS, arrive, at_desk, end_session, inspect, sign_in
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import weight
from tests.service import PASSWORD, Service


@pytest.mark.asvs("V14.3.1")
@pytest.mark.attack(127)
@pytest.mark.parametrize("view", BOTH, ids=str)
def test_the_way_in_and_out(page: Page, browsing: Browsing, service: Service) -> None:
    """A wrong password is said, the right one leads to what was asked for, and after signing out nothing is shown."""
    browsing.expects("400 POST /inbox/sign-in")
    lead = arrive(service, last_name="Confidential")
    page.goto(lead)
    expect(page.get_by_label("Email")).to_be_focused()
    sign_in(page, "wrong")

    expect(page.get_by_role("alert")).to_have_text("The email address or the password is wrong.")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_accessible_description("The email address or the password is wrong.")
    expect(page.get_by_label("Email")).to_have_value(ATTORNEY)
    expect(page).to_have_title("Error: sign in - Our firm")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Confidential")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.locator("body")).not_to_contain_text("Confidential")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_by_keyboard(page: Page) -> None:
    """The field for the address has the focus; the rest is Tab and Enter."""
    page.goto("/inbox")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(ATTORNEY)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_a_session_that_is_over(browsing: Browsing, service: Service, view: View) -> None:
    """Whatever is clicked leads to the sign-in, which says that it was not done, and from there back to the lead."""
    browsing.expects("401 POST /inbox/leads/*/reach-out")
    lead = arrive(service)
    page = at_desk(browsing, service, view=view)
    page.goto(f"{lead}?state=all")
    end_session(page, service)
    page.get_by_role("button", name="Mark as reached out").click()
    expect(page.get_by_label("Email")).to_have_accessible_description(
        "Your session had ended, so what you did last was not done. Sign in, then do it again."
    )
    inspect(page)
    sign_in(page)

    expect(page).to_have_url(f"{service.url}{lead}?state=all")
    expect(page.get_by_role("button", name="Mark as reached out")).to_be_visible()


def test_a_session_that_is_over_before_a_download(browsing: Browsing, service: Service) -> None:
    """Signing in leads to the page of the lead, from which the resume can be downloaded."""
    lead = arrive(service)
    page = at_desk(browsing, service)
    page.goto(lead)
    end_session(page, service)
    page.get_by_role("link", name="Download the resume").click()
    sign_in(page)

    expect(page).to_have_url(f"{service.url}{lead}")
    with page.expect_download():
        page.get_by_role("link", name="Download the resume").click()


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_how_it_looks(page: Page, browsing: Browsing, screenshot: Callable[[Page, str], None], view: View) -> None:
    """It is accessible, fits, and weighs little."""
    browsing.expects("400 POST /inbox/sign-in")
    weighed = weight(page, "/inbox/sign-in")
    inspect(page)
    screenshot(page, f"sign-in-{view}")
    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    inspect(page)
    screenshot(page, f"sign-in-wrong-{view}")

    assert weighed < 60_000
