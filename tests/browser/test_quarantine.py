"""Robots and people at the form, and the quarantine in the inbox."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import ATTORNEY, BOTH, VIEWS, Clock, at_desk, inspect
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import accessible
from tests.documents import pdf
from tests.service import Service, running

from leadintake.application.app import App

CLOCK = Clock()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows how fast people are, with a clock to move."""

    def clocked(app: App) -> App:
        return replace(app, intake=replace(app.intake, now=CLOCK))

    with running(tmp_path_factory.mktemp("strict") / "data", clocked, FORM_SECONDS="60") as service:
        service.add_user(ATTORNEY, full_name="Atticus Finch")
        yield service


@pytest.fixture
def cv(tmp_path: Path) -> Path:
    """A resume."""
    path = tmp_path / "cv.pdf"
    path.write_bytes(pdf())
    return path


def filled_in(page: Page, cv: Path, last_name: str) -> None:
    """Open the form and fill it in."""
    page.goto("/")
    for name, text in {"First name": "Ada", "Last name": last_name, "Email": "ada@example.org"}.items():
        page.get_by_label(name).fill(text)
    page.get_by_label("Resume").set_input_files(cv)


def send(page: Page, after: timedelta) -> None:
    """Press the button so long after the form was shown."""
    CLOCK.ahead += after
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="We have received your enquiry")).to_be_visible()


def reasons(service: Service, last_name: str) -> list[str]:
    """Why the lead of a name is in quarantine; it is not, where there are none."""
    client = service.sign_in(ATTORNEY)
    lists = [client.get("/leads", params={"q": last_name, "quarantined": asked}) for asked in ("false", "true")]
    [lead] = [lead for answer in lists for lead in answer.raise_for_status().json()["items"]]
    return list(lead["quarantine"])


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_the_trap_is_for_robots_alone(browsing: Browsing, strict: Service, view: View) -> None:
    """The keyboard does not reach it, nobody sees it, no screen reader reads it, and browsers are told to leave it."""
    page = browsing.page(view, strict.url)
    page.goto("/")
    trap = page.locator("[name=remark]")
    reached: list[str | None] = []
    while len(reached) < 9:  # There are fewer places to go to; then the focus leaves the page, and comes again.
        page.keyboard.press("Tab")
        reached += [each.get_attribute("name") for each in page.locator("input:focus, button:focus, a:focus").all()]
    box = trap.locator("..").bounding_box()
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    said = " ".join(str(node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"])

    assert {"first_name", "last_name", "email", "resume"} <= set(reached)
    assert "remark" not in reached
    assert box is not None
    assert (box["width"], box["height"]) == (1, 1)
    assert "First name" in said
    assert "Leave this empty" not in said
    assert trap.get_attribute("autocomplete") == "off"
    expect(page.get_by_role("textbox")).to_have_count(3)
    accessible(page)


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_people_are_slow_and_robots_fill_in_everything(
    browsing: Browsing, strict: Service, cv: Path, view: View
) -> None:
    """Who takes a minute is a person; who is quicker, or fills in the trap, is kept apart, and sees the same."""
    page, suffix = browsing.page(view, strict.url), "a" if view.javascript else "b"
    filled_in(page, cv, f"slow{suffix}")
    send(page, timedelta(seconds=61))
    slow = page.locator("main").inner_text()
    filled_in(page, cv, f"quick{suffix}")
    send(page, timedelta(seconds=1))
    quick = page.locator("main").inner_text()
    filled_in(page, cv, f"greedy{suffix}")
    page.locator("[name=remark]").fill("Buy now", force=True)
    send(page, timedelta(seconds=61))

    assert [reasons(strict, f"{name}{suffix}") for name in ("slow", "quick", "greedy")] == [[], ["too-fast"], ["trap"]]
    assert slow.replace("\n", " ").split("LD-")[0] == quick.replace("\n", " ").split("LD-")[0]
    assert slow[-300:] == quick[-300:]


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_the_way_out_of_quarantine(browsing: Browsing, strict: Service, cv: Path, view: View) -> None:
    """From the list to the lead; one is released and waits like any other, one is discarded, after a question."""
    names = [f"{name}{'c' if view.javascript else 'd'}" for name in ("Person", "Robot")]
    visitor = browsing.page(view, strict.url)
    for name in names:
        filled_in(visitor, cv, name)
        send(visitor, timedelta(seconds=1))
    page = at_desk(browsing, strict, view=view)
    page.goto("/inbox")
    expect(page.locator("#list")).not_to_contain_text(names[0])
    page.get_by_role("link", name="Quarantine").click()
    page.get_by_role("link", name=f"Ada {names[0]}").click()
    expect(page.locator("#quarantine")).to_contain_text("It was sent sooner than anybody fills in the form.")
    expect(page.get_by_role("button", name="Mark as reached out")).to_have_count(0)
    page.get_by_role("button", name="Release").click()

    expect(page.locator("#quarantine")).to_have_count(0)
    expect(page.get_by_role("button", name="Mark as reached out")).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("Atticus Finch released the lead from quarantine.")

    page.get_by_role("link", name="Back to the list").click()
    page.get_by_role("link", name=f"Ada {names[1]}").click()
    page.get_by_role("link", name="Discard ...").click()
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Discard ...").click()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_text("The enquiry is discarded.")).to_be_visible()
    page.get_by_role("link", name="All").click()
    expect(page.get_by_text("The enquiry is discarded.")).to_have_count(0)

    expect(page.locator("#list")).to_contain_text(f"Ada {names[0]}")
    expect(page.locator("#list")).not_to_contain_text(names[1])


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_quarantine_is_for_everybody(
    browsing: Browsing,
    new_service: Callable[..., Service],
    cv: Path,
    view: View,
    screenshot: Callable[[Page, str], None],
) -> None:
    """The list, the lead, the question, and the list with nothing in it break no rule and fit."""
    strict = new_service(FORM_SECONDS="60")
    strict.add_user(ATTORNEY)
    visitor = browsing.page(view, strict.url)
    filled_in(visitor, cv, "Hasty")
    send(visitor, timedelta())
    page = at_desk(browsing, strict, view=view)
    page.goto("/inbox?state=quarantine")
    inspect(page)
    screenshot(page, f"quarantine-list-{view}")
    page.get_by_role("link", name="Ada Hasty").click()
    inspect(page)
    screenshot(page, f"quarantine-lead-{view}")
    page.get_by_role("link", name="Discard ...").click()
    inspect(page)
    screenshot(page, f"quarantine-discard-{view}")
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#list")).to_contain_text("Nothing is in quarantine")
    inspect(page)
