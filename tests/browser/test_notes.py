"""Notes: nothing that somebody wrote is lost."""

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import (
    ADMIN,
    BOTH,
    arrive,
    end_session,
    inspect,
    notes_of,
    opened,
    questions,
    sign_in,
    write,
)
from tests.browser.browsing import Browsing, View
from tests.service import Service

LONG = 'Called at noon.\n\nShe said: "ask about the lease" & <b>call back</b>.\n' + "Line after line.\n" * 400


@pytest.fixture
def lead(service: Service) -> str:
    """The address of a new lead."""
    return arrive(service)


@pytest.fixture
def at_lead(browsing: Browsing, service: Service, lead: str, view: View) -> Page:
    """Its page, with a clock that stands still."""
    return opened(browsing, service, lead, view)


def state(page: Page, text: str) -> None:
    """Wait until the line below the field says so."""
    expect(page.locator("#notes-state")).to_have_text(text)


def test_they_save_themselves(at_lead: Page, service: Service, lead: str) -> None:
    """After a pause, while one goes on; the timeline and what is printed follow."""
    write(at_lead, "First")
    state(at_lead, "Saved.")
    write(at_lead, "First, and second")
    state(at_lead, "Saved.")

    assert notes_of(service, lead) == "First, and second"
    expect(at_lead.get_by_role("textbox", name="Notes")).to_be_focused()
    expect(at_lead.locator("#timeline li")).to_contain_text(
        ["Atticus Finch changed the notes.", "The enquiry arrived."]
    )
    at_lead.emulate_media(media="print")
    expect(at_lead.locator("#notes-printed")).to_have_text("First, and second")
    expect(at_lead.locator("#notes-printed")).to_be_visible()


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_they_are_saved_by_the_button(at_lead: Page, service: Service, lead: str) -> None:
    """As they are, line breaks and all."""
    at_lead.get_by_role("textbox", name="Notes").fill("\n" + LONG)
    at_lead.get_by_role("button", name="Save notes").click()
    expect(at_lead.locator("#timeline")).to_contain_text("changed the notes")

    assert notes_of(service, lead) == "\n" + LONG
    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("\n" + LONG)


@pytest.mark.parametrize("view", [View(javascript=False, width=360, height=640)], ids=str)
def test_without_scripts_it_is_said_where_one_wrote(
    at_lead: Page, browsing: Browsing, service: Service, lead: str
) -> None:
    """That they are saved, or are not: on a phone, the top of the page is far away from them."""
    browsing.expects("409 POST /inbox/leads/*/notes")
    write(at_lead, "Mine")
    at_lead.get_by_role("button", name="Save notes").click()
    state(at_lead, "Saved.")
    expect(at_lead.locator("#notes-state")).to_be_in_viewport()

    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": "Theirs"})
    write(at_lead, "Mine, and more")
    at_lead.get_by_role("button", name="Save notes").click()
    expect(at_lead.get_by_role("alert")).to_be_in_viewport()
    expect(at_lead.get_by_text("Not saved:")).to_be_in_viewport()
    state(at_lead, "")


@pytest.mark.parametrize("then", ["Mark as reached out", "Back to the list", "Sign out"])
def test_who_goes_on_at_once_loses_nothing(at_lead: Page, service: Service, lead: str, then: str) -> None:
    """What is clicked waits for the notes to be saved, and the browser has nothing to ask."""
    asked = questions(at_lead)
    at_lead.get_by_role("textbox", name="Notes").press_sequentially("Written in haste")
    at_lead.get_by_text(then, exact=True).click()
    expect(at_lead.get_by_text(then, exact=True)).to_have_count(0)

    assert notes_of(service, lead) == "Written in haste"
    assert not asked


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_a_session_that_ends_in_the_middle(
    at_lead: Page, browsing: Browsing, service: Service, lead: str, view: View
) -> None:
    """The note is not lost: who signs in again finds the whole of it, saved."""
    browsing.expects("401 POST /inbox/leads/*/notes")
    at_lead.get_by_role("textbox", name="Notes").fill(LONG[:100])
    end_session(at_lead, service)
    write(at_lead, LONG)
    if view.javascript:
        state(at_lead, "Not saved: you are signed out. Press “Save notes” to sign in; nothing is lost.")
        expect(at_lead.locator("#notes-state")).to_contain_class("wrong")
    at_lead.get_by_role("button", name="Save notes").click()
    expect(at_lead.get_by_label("Email")).to_have_accessible_description(
        "Your session had ended. Your text is not lost: it is saved as soon as you sign in."
    )
    inspect(at_lead)
    sign_in(at_lead)

    expect(at_lead).to_have_url(f"{service.url}{lead}?saved#notes")
    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value(LONG)
    assert notes_of(service, lead) == LONG


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_a_wrong_password_loses_no_note(at_lead: Page, browsing: Browsing, service: Service, lead: str) -> None:
    """The note waits for the right one."""
    browsing.expects("401 POST /inbox/leads/*/notes")
    browsing.expects("400 POST /inbox/sign-in")
    end_session(at_lead, service)
    write(at_lead, LONG)
    at_lead.get_by_role("button", name="Save notes").click()
    sign_in(at_lead, "wrong")
    expect(at_lead.get_by_role("alert")).to_be_visible()
    sign_in(at_lead)

    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value(LONG)
    assert notes_of(service, lead) == LONG


def test_a_service_that_does_not_answer(at_lead: Page, browsing: Browsing, service: Service, lead: str) -> None:
    """The attorney is told, and the notes are saved as soon as it answers again."""
    browsing.expects("console error: Failed to load resource: net::ERR_FAILED *")
    at_lead.route("**/notes", lambda route: route.abort())
    write(at_lead, "Held up")
    state(at_lead, "Not saved: the service does not answer. It is tried again.")
    at_lead.unroute("**/notes")
    at_lead.clock.run_for(10_000)
    state(at_lead, "Saved.")
    expect(at_lead.locator("#notes-state")).not_to_contain_class("wrong")

    assert notes_of(service, lead) == "Held up"


def test_a_lead_that_is_gone(at_lead: Page, browsing: Browsing, service: Service, lead: str) -> None:
    """The attorney is told to keep a copy, and what was written stays in the field."""
    browsing.expects("404 POST /inbox/leads/*/notes")
    service.sign_in(ADMIN).delete(lead.removeprefix("/inbox")).raise_for_status()
    write(at_lead, "Too late")

    state(at_lead, "Not saved: There is nothing here. Copy what you wrote before you leave.")
    inspect(at_lead)
    expect(at_lead.get_by_role("textbox", name="Notes")).to_have_value("Too late")
