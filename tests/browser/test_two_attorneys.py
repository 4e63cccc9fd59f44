"""Two attorneys at one lead."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import (
    ADMIN,
    ATTORNEY,
    BOTH,
    VIEWS,
    arrive,
    at_desk,
    end_session,
    inspect,
    notes_of,
    opened,
    questions,
    write,
)
from tests.browser.browsing import Browsing, View
from tests.service import Service


@pytest.fixture
def lead(service: Service) -> str:
    """The address of a new lead."""
    return arrive(service)


@pytest.fixture
def at_lead(browsing: Browsing, service: Service, lead: str, view: View) -> Page:
    """Its page, with a clock that stands still."""
    return opened(browsing, service, lead, view)


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_two_who_reach_out(browsing: Browsing, service: Service, view: View) -> None:
    """Who comes second is told who was first, and when, and sees the lead as it is now."""
    browsing.expects("409 POST /inbox/leads/*/reach-out")
    lead = arrive(service)
    one, other = (at_desk(browsing, service, email, view) for email in (ADMIN, ATTORNEY))
    for page in (one, other):
        page.goto(lead)
    for page in (one, other):
        page.get_by_role("button", name="Mark as reached out").click()

    expect(other.get_by_role("alert")).to_contain_text("Somebody was first. Admin Istrator reached out under a minute")
    expect(other.get_by_role("button", name="Mark as reached out")).to_have_count(0)
    expect(other).to_have_title("Error: Ada Lovelace - Our firm")
    inspect(other)


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_two_who_write_at_once(at_lead: Page, browsing: Browsing, service: Service, lead: str, view: View) -> None:
    """The second sees what the first wrote and keeps his own, and decides himself whether it is put in its place."""
    browsing.expects("409 POST /inbox/leads/*/notes")
    other = opened(browsing, service, lead, view, ADMIN)
    for page, text in ((other, "Theirs"), (at_lead, "Mine")):
        write(page, text)
        if not view.javascript:
            page.get_by_role("button", name="Save notes").click()
    conflict = at_lead.get_by_role("alert")

    expect(conflict).to_contain_text("Admin Istrator changed the notes meanwhile")
    expect(conflict.get_by_role("blockquote")).to_have_text("Theirs")
    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("Mine")
    at_lead.get_by_role("textbox", name="Notes").fill("Mine, and more")
    at_lead.clock.run_for(20_000)
    assert notes_of(service, lead) == "Theirs"
    at_lead.get_by_role("button", name="Save mine").click()
    expect(conflict).to_have_count(0)
    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("Mine, and more")
    assert notes_of(service, lead) == "Mine, and more"


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_to_keep_both(at_lead: Page, browsing: Browsing, service: Service, lead: str, view: View) -> None:
    """By one click, which puts theirs first."""
    browsing.expects("409 POST /inbox/leads/*/notes")
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": "Theirs"})
    write(at_lead, "Mine")
    if not view.javascript:
        at_lead.get_by_role("button", name="Save notes").click()
    at_lead.get_by_role("button", name="Save both").click()

    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("Theirs\n\nMine")
    assert notes_of(service, lead) == "Theirs\n\nMine"


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_to_let_ones_own_go(at_lead: Page, browsing: Browsing, service: Service, lead: str, view: View) -> None:
    """Then theirs are shown, and the browser has nothing to ask."""
    browsing.expects("409 POST /inbox/leads/*/notes")
    asked = questions(at_lead)
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": "Theirs"})
    at_lead.get_by_role("textbox", name="Notes").press_sequentially("Mine")
    at_lead.clock.run_for(1000)
    if not view.javascript:
        at_lead.get_by_role("button", name="Save notes").click()
    at_lead.get_by_role("link", name="let yours go").click()

    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("Theirs")
    assert not asked


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_reaching_out_is_no_conflict(at_lead: Page, service: Service, lead: str, view: View) -> None:
    """Notes are saved whoever reached out meanwhile, and the page shows that too."""
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"state": "REACHED_OUT"})
    write(at_lead, "Mine")
    if not view.javascript:
        at_lead.get_by_role("button", name="Save notes").click()

    expect(at_lead.locator("#timeline")).to_contain_text("changed the notes")
    expect(at_lead.locator("#answer")).to_contain_text("Admin Istrator reached out")
    expect(at_lead.get_by_role("button", name="Mark as reached out")).to_have_count(0)
    assert notes_of(service, lead) == "Mine"


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_how_a_conflict_looks(
    browsing: Browsing, service: Service, lead: str, screenshot: Callable[[Page, str], None], view: View
) -> None:
    """It is accessible and fits, and so does the sign-in that keeps a note."""
    browsing.expects("409 POST /inbox/leads/*/notes")
    browsing.expects("401 POST /inbox/leads/*/notes")
    page = opened(browsing, service, lead, view)
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": "<b>Theirs</b>\n\n" + "x" * 200})
    write(page, "Mine")
    if not view.javascript:
        page.get_by_role("button", name="Save notes").click()
    expect(page.get_by_role("alert")).to_be_visible()
    inspect(page)
    screenshot(page, f"notes-conflict-{view}")
    end_session(page, service)
    page.get_by_role("button", name="Save mine").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    inspect(page)
    screenshot(page, f"notes-kept-{view}")
