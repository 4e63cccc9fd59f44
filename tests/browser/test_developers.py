"""The pages for developers."""

import pytest
from playwright.sync_api import Page
from tests.browser.browsing import View
from tests.browser.inspection import accessible, fits, weight

VIEWS = [View(), View(javascript=False), View(dark=True), View(width=320), View(zoom=2)]


def test_the_calls_are_described(page: Page) -> None:
    """/docs shows them, with nothing from elsewhere and under its strict policy."""
    page.goto("/docs")
    page.get_by_text("/public/leads", exact=True).click()

    assert page.get_by_role("button", name="Try it out").is_visible()


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_problem_is_explained(page: Page) -> None:
    """To everybody, and with few bytes."""
    weighed = weight(page, "/problems/not-found")

    accessible(page)
    fits(page)
    assert weighed < 60_000
    assert page.get_by_role("heading", level=1).is_visible()
