"""An inbox that is empty, and one that new leads come into."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import ATTORNEY, VIEWS, Clock, arrive, inspect, opened, sign_in
from tests.browser.browsing import Browsing, View
from tests.service import Service, running

from leadintake.application.app import App

LOW = View(height=400)
"""A window that is too low for the list."""


@pytest.fixture
def clock() -> Clock:
    """The clock that sessions go by."""
    return Clock()


@pytest.fixture
def office(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """A firm that no prospect has written to."""

    def timed(app: App) -> App:
        return replace(app, accounts=replace(app.accounts, now=clock))

    with running(tmp_path / "data", timed) as service:
        service.add_user(ATTORNEY)
        yield service


def half_a_minute(page: Page) -> None:
    """Let the page ask for new leads."""
    with page.expect_response("**/inbox/new?*"):
        page.clock.run_for(30_000)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_empty_lists(browsing: Browsing, office: Service, screenshot: Callable[[Page, str], None], view: View) -> None:
    """Each says why it is empty, and where to go from there."""
    page = opened(browsing, office, "/inbox", view)

    def shown(name: str, title: str, link: str) -> None:
        expect(page.get_by_role("heading", level=2).first).to_have_text(title)
        expect(page.locator("#list").get_by_role("link", name=link)).to_be_visible()
        inspect(page)
        screenshot(page, f"empty-{name}-{view}")

    shown("never", "No enquiry has come yet", "http://127.0.0.1:8000/")
    lead = arrive(office)
    page.goto("/inbox?state=reached-out")
    shown("nobody", "Nobody yet", "See who waits")
    page.goto("/inbox?state=reached-out&q=ada")
    shown("elsewhere", "Nothing matches", "1 in all leads")
    page.goto("/inbox?q=zebra")
    shown("nothing", "Nothing matches", "Clear the search")
    office.sign_in(ATTORNEY).patch(lead.removeprefix("/inbox"), json={"state": "REACHED_OUT"})
    page.goto("/inbox")
    shown("answered", "All answered", "See whom you reached out to")


def test_new_leads_are_announced(browsing: Browsing, office: Service) -> None:
    """A link says how many have come; whoever reads or writes keeps place, focus and text."""
    for number in range(9):
        arrive(office, last_name=f"Number{number}")
    page = opened(browsing, office, "/inbox", LOW)
    arrivals = page.locator("#arrivals")
    half_a_minute(page)
    expect(arrivals).to_be_empty()
    page.locator(".leads .name a").last.focus()
    place = page.locator(".leads .name a").last.bounding_box()
    arrive(office, last_name="New")
    half_a_minute(page)
    expect(arrivals).to_have_text("1 new lead: show")

    assert page.evaluate("scrollY") > 0
    assert page.locator(".leads .name a").last.bounding_box() == place
    expect(page.locator(".leads .name a").last).to_be_focused()
    expect(page.locator(".leads .name")).to_have_count(9)
    inspect(page)
    arrive(office, last_name="Newest")
    half_a_minute(page)
    expect(arrivals).to_have_text("2 new leads: show")
    arrivals.get_by_role("link").click()
    expect(page.locator(".leads .name")).to_have_count(11)
    expect(page.locator(".leads .name").first).to_have_text("Ada Newest")
    half_a_minute(page)
    expect(arrivals).to_be_empty()


def test_the_first_lead_is_announced(browsing: Browsing, office: Service) -> None:
    """In an inbox that was empty."""
    page = opened(browsing, office, "/inbox", LOW)
    arrive(office)
    half_a_minute(page)

    expect(page.locator("#arrivals")).to_have_text("1 new lead: show")


def test_nobody_is_there(browsing: Browsing, office: Service, clock: Clock) -> None:
    """To ask for new leads keeps no session alive: when it is over the list goes, and signing in leads back to it."""
    arrive(office)
    page = opened(browsing, office, "/inbox?state=all&q=ada")
    for _ in range(2):
        expect(page.get_by_role("link", name="Ada Lovelace")).to_be_visible()
        clock.ahead += timedelta(minutes=20)
        half_a_minute(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.locator("body")).not_to_contain_text("Ada Lovelace")
    sign_in(page)

    expect(page).to_have_url(f"{office.url}/inbox?state=all&q=ada")
