"""The list of leads, as attorneys look through it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.attorneys import ATTORNEY, BOTH, VIEWS, arrive, at_desk, inspect, opened
from tests.browser.browsing import DESKTOP, Browsing, View
from tests.browser.inspection import fits, weight
from tests.service import Service, running

COUNT = 62
"""Two pages of the list, the second one not full."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A firm with nothing but the leads of these tests; the first was reached out to."""
    with running(tmp_path_factory.mktemp("office") / "data") as service:
        service.add_user(ATTORNEY)
        first = arrive(service, first_name="First", last_name="Of All")
        service.sign_in(ATTORNEY).patch(first.removeprefix("/inbox"), json={"state": "REACHED_OUT"})
        for number in range(COUNT):
            arrive(service, first_name=WORDS[number % 10].title(), last_name=f"Number{number}")
        yield service


@pytest.fixture
def view() -> View:
    """A window of usual size."""
    return DESKTOP


@pytest.fixture
def at_list(browsing: Browsing, office: Service, view: View) -> Page:
    """The list, with a clock that stands still."""
    return opened(browsing, office, "/inbox", view)


def names(page: Page) -> list[str]:
    """Whose leads are shown."""
    return page.locator(".leads .name").all_inner_texts()


def search(page: Page, text: str) -> None:
    """Type into the field, and pause."""
    page.get_by_role("searchbox").fill(text)
    page.clock.run_for(250)


def numbered(*numbers: int) -> list[str]:
    """The names of leads."""
    return [f"{WORDS[number % 10].title()} Number{number}" for number in numbers]


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_lists_and_pages(at_list: Page) -> None:
    """Who waits longest is first; nothing is skipped or repeated from page to page; each tab has its list and count."""
    expect(at_list.get_by_role("navigation", name="Lists").get_by_role("link")).to_have_text(
        [f"Waiting {COUNT}", "Reached out 1", "All"]
    )
    pages = [names(at_list)]
    for shown, way in (("Number50", "Next"), ("Number0", "Previous")):
        at_list.get_by_role("link", name=f"{way} page").click()
        expect(at_list.get_by_role("link", name=shown, exact=False).first).to_be_visible()
        pages.append(names(at_list))

    assert pages == [numbered(*range(50)), numbered(*range(50, COUNT)), numbered(*range(50))]
    expect(at_list.get_by_role("link", name="Previous page")).to_have_count(0)
    at_list.get_by_role("link", name="oldest first: turn round").click()
    expect(at_list.locator(".leads .name").first).to_have_text("One Number61")
    expect(at_list.get_by_role("columnheader", name="Waiting")).to_have_attribute("aria-sort", "descending")
    at_list.get_by_role("link", name="Reached out").click()
    expect(at_list.locator(".leads .name")).to_have_text(["First Of All"])
    expect(at_list.locator(".leads tbody tr")).to_contain_text("Reached out by Grace Hopper")


def test_from_a_lead_back_to_the_list(at_list: Page) -> None:
    """It is the page that one came from, not the first one."""
    at_list.get_by_role("link", name="Next page").click()
    at_list.get_by_role("link", name="Number60").click()
    at_list.get_by_role("link", name="Previous lead").click()
    expect(at_list.get_by_role("heading", level=1)).to_have_text("Nine Number59")
    at_list.get_by_role("link", name="Back to the list").click()

    expect(at_list.locator(".leads .name")).to_have_text(numbered(*range(50, COUNT)))


def test_searching_as_one_types(at_list: Page, office: Service) -> None:
    """The list follows without a new page; address and tabs say what is searched, and the history does not grow."""
    at_list.evaluate("document.body.dataset.mark = 'same page'")
    before = at_list.evaluate("history.length")
    search(at_list, "number1")
    expect(at_list.get_by_role("status").filter(has_text="found")).to_have_text("11 found.")
    search(at_list, "five NUMBER ")

    expect(at_list.locator(".leads .name")).to_have_text(numbered(5, 15, 25, 35, 45, 55))
    expect(at_list).to_have_url(f"{office.url}/inbox?q=five+NUMBER")
    expect(at_list).to_have_title("Inbox: five NUMBER - Our firm")
    expect(at_list.get_by_role("searchbox")).to_be_focused()
    assert at_list.evaluate("[document.body.dataset.mark, history.length]") == ["same page", before]
    at_list.get_by_role("link", name="All").click()
    expect(at_list).to_have_url(f"{office.url}/inbox?state=all&q=five+NUMBER")
    expect(at_list.get_by_role("searchbox")).to_have_value("five NUMBER")
    search(at_list, "")
    expect(at_list).to_have_url(f"{office.url}/inbox?state=all")
    search(at_list, "!")
    expect(at_list.get_by_role("searchbox")).to_have_accessible_description("Search for at least one letter or digit.")
    search(at_list, "first")
    expect(at_list.locator(".leads .name")).to_have_text(["First Of All"])
    expect(at_list.get_by_role("searchbox")).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_searching_with_enter(at_list: Page, office: Service) -> None:
    """At once, or without JavaScript at all."""
    at_list.get_by_role("searchbox").fill("seven")
    at_list.keyboard.press("Enter")

    expect(at_list).to_have_url(f"{office.url}/inbox?q=seven")
    expect(at_list.locator(".leads .name").last).to_have_text("Seven Number57")
    at_list.locator(".leads .name a").last.click()
    at_list.get_by_role("link", name="Previous lead").click()
    expect(at_list.get_by_role("heading", level=1)).to_have_text("Seven Number47")
    at_list.go_back()
    at_list.go_back()
    expect(at_list.locator(".leads .name").last).to_have_text("Seven Number57")


@pytest.mark.parametrize("view", [View(width=320), View(width=700)], ids=str)
def test_the_order_can_be_turned_in_a_narrow_window(at_list: Page) -> None:
    """What turns it is seen there too, when it has the focus and before; the other heads of the columns are not."""
    turn = at_list.get_by_role("link", name="oldest first: turn round")
    expect(turn).to_be_in_viewport(ratio=1)
    expect(at_list.get_by_role("columnheader", name="Reference")).not_to_be_in_viewport()
    inspect(at_list)
    at_list.keyboard.press("Tab")
    turn.focus()
    box = turn.bounding_box()
    assert box
    at_list.mouse.click(box["x"] + 10, box["y"] + 10)

    expect(at_list.locator(".leads .name").first).to_have_text("One Number61")


@pytest.mark.parametrize("view", [View(width=width) for width in (320, 740, 940, 980)], ids=str)
def test_a_reference_stays_on_one_line(at_list: Page) -> None:
    """In windows of every width, so that it can be read out and copied."""
    at_list.get_by_role("link", name="Reached out").click()
    expect(at_list.locator(".leads tbody")).to_contain_text("by Grace Hopper")
    lines = at_list.locator("td.reference").evaluate_all("""cells => cells.map(cell => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return text.getClientRects().length;
    })""")

    assert set(lines) == {1}
    fits(at_list)


def test_a_late_answer_changes_nothing(at_list: Page) -> None:
    """The list is that of the last word, however long the answer to one before takes."""
    held: list[Route] = []
    at_list.route("**/inbox?q=one", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    with at_list.expect_request("**/inbox?q=one"):
        search(at_list, "one")
    search(at_list, "two")
    expect(at_list.locator(".leads .name").first).to_have_text("Two Number2")
    held[0].continue_()
    at_list.clock.run_for(1000)
    at_list.wait_for_load_state("networkidle")

    expect(at_list.locator(".leads .name").first).to_have_text("Two Number2")


def test_a_search_without_an_answer(at_list: Page, browsing: Browsing) -> None:
    """It is said, and Enter tries again."""
    browsing.expects("console error: Failed to load resource: net::ERR_FAILED *")
    at_list.route("**/inbox?q=one", lambda route: route.abort())
    search(at_list, "one")
    expect(at_list.get_by_text("The service does not answer. Press Enter to search again.")).to_be_visible()
    at_list.unroute("**/inbox?q=one")
    at_list.keyboard.press("Enter")

    expect(at_list.locator(".leads .name").first).to_have_text("One Number1")
    expect(at_list.get_by_text("The service does not answer.")).to_have_count(0)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_how_it_looks(browsing: Browsing, office: Service, screenshot: Callable[[Page, str], None], view: View) -> None:
    """A full page is accessible, fits and weighs little; so do a search, one without result, and one that cannot be."""
    page = at_desk(browsing, office, view=view)
    weighed = weight(page, "/inbox")
    for name, path in (("list", ""), ("search", "?q=one"), ("nothing", "?q=zebra"), ("wrong", "?q=!")):
        page.goto(f"/inbox{path}")
        inspect(page)
        screenshot(page, f"{name}-{view}")

    assert weighed < 60_000
