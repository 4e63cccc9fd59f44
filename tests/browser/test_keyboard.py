"""The inbox by the keyboard alone."""

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.attorneys import arrive, at_desk, opened
from tests.browser.browsing import Browsing
from tests.service import Service

SEEN = """() => document.activeElement === document.body
    || parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2
    && getComputedStyle(document.activeElement).outlineStyle === "solid" """


@pytest.fixture(scope="module")
def leads(service: Service) -> str:
    """The address of a list of three leads."""
    for number in (1, 2, 3):
        arrive(service, last_name=f"Board{number}")
    return "/inbox?state=all&q=board&turned=yes"


@pytest.fixture
def at_list(browsing: Browsing, service: Service, leads: str) -> Page:
    """This list, with a clock that stands still."""
    return opened(browsing, service, leads)


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the focus is there; each time it has to be seen."""
    wanted.wait_for()
    while not wanted.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
        assert page.evaluate(SEEN)


def hears_keys(page: Page) -> None:
    """Wait for the script of a page: until it runs, nothing happens at a key."""
    expect(page.get_by_role("button", name="Keys")).to_be_visible()


def test_keys_of_the_list(at_list: Page) -> None:
    """The keys j and k go along the list, Enter opens, / searches, ? helps; none of them while somebody types."""
    links = at_list.locator(".leads .name a")
    for key, focused in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        at_list.keyboard.press(key)
        expect(links.nth(focused)).to_be_focused()
    at_list.keyboard.press("/")
    expect(at_list.get_by_role("searchbox")).to_be_focused()
    at_list.keyboard.type("jk/?e")
    expect(at_list.get_by_role("searchbox")).to_have_value("jk/?e")
    expect(at_list.get_by_role("dialog")).to_have_count(0)
    at_list.get_by_role("searchbox").fill("board")
    at_list.clock.run_for(250)
    expect(links).to_have_count(3)
    at_list.locator("h1").click()
    at_list.keyboard.press("k")
    expect(links.last).to_be_focused()
    at_list.keyboard.press("Enter")
    expect(at_list.get_by_role("heading", level=1)).to_have_text("Ada Board3")


def test_keys_at_once_after_their_help(at_list: Page) -> None:
    """What is pressed before the browser took the focus from the closed dialog counts."""
    at_list.keyboard.press("?")
    at_list.get_by_role("dialog", name="Keys").evaluate("""dialog => {
        dialog.close();
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}));
    }""")
    expect(at_list.get_by_role("searchbox")).to_be_focused()


def test_keys_can_be_turned_off(at_list: Page) -> None:
    """For good, from the list of them (WCAG 2.1.4)."""
    at_list.get_by_role("button", name="Keys").click()
    at_list.get_by_label("Use these keys").uncheck()
    at_list.keyboard.press("Escape")
    at_list.reload()
    at_list.keyboard.press("/")
    expect(at_list.get_by_role("searchbox")).not_to_be_focused()
    at_list.get_by_role("button", name="Keys").click()
    at_list.get_by_label("Use these keys").check()
    at_list.get_by_role("button", name="Close").click()
    at_list.keyboard.press("/")
    expect(at_list.get_by_role("searchbox")).to_be_focused()


def test_by_tab_and_enter(at_list: Page) -> None:
    """All the way from the top of the list to a lead that was reached out to, and one always sees where one is."""
    at_list.keyboard.press("Tab")
    expect(at_list.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    tab_to(at_list, at_list.get_by_role("link", name="Ada Board2"))
    at_list.keyboard.press("Enter")
    expect(at_list.get_by_role("heading", level=1)).to_have_text("Ada Board2")
    tab_to(at_list, at_list.get_by_role("button", name="Mark as reached out"))
    at_list.keyboard.press("Enter")

    expect(at_list.locator("#answer")).to_contain_text("Atticus Finch reached out")


def test_keys_of_a_lead(browsing: Browsing, service: Service) -> None:
    """The keys j and k go on and back, e then Enter marks, / leads to the list, ? helps; none while somebody types."""
    first, second = (arrive(service, last_name=f"Key{number}") for number in (1, 2))
    page = at_desk(browsing, service)
    page.goto(f"{first}?q=key")
    page.get_by_role("textbox", name="Notes").press_sequentially("jke/?")
    expect(page).to_have_url(f"{service.url}{first}?q=key")
    expect(page.get_by_role("button", name="Mark as reached out")).to_be_visible()
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page).to_have_url(f"{service.url}{second}?q=key")
    hears_keys(page)
    page.keyboard.press("k")
    expect(page.get_by_role("textbox", name="Notes")).to_have_value("jke/?")
    hears_keys(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Mark as reached out")).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Mark as reached out")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Atticus Finch reached out")
    hears_keys(page)
    page.keyboard.press("/")
    expect(page).to_have_url(f"{service.url}/inbox?q=key")
