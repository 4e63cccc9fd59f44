"""What the browser tests would catch: pages with planted faults, which the service does not have."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, Route
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import accessible, fits, weight
from tests.service import Service

VIEWS = pytest.mark.parametrize("view", [View(), View(javascript=False)], ids=str)


@dataclass(eq=False)
class Planted:
    """A page, its script and its style sheet."""

    body: str = "<main><h1>Planted</h1><p>All is well.</p></main>"
    script: str = ""
    style: str = ""
    policy: str = "default-src 'self'; require-trusted-types-for 'script'"
    status: int = 200

    def show(self, page: Page) -> None:
        """Go to this page, at the address of the service."""
        page.route("**/planted*", self._fulfill)
        page.goto("/planted")

    def _fulfill(self, route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(body=self.script, content_type="text/javascript")
        elif route.request.url.endswith(".css"):
            route.fulfill(body=self.style, content_type="text/css")
        else:
            head = '<link rel="stylesheet" href="/planted.css"><script type="module" src="/planted.js"></script>'
            html = f'<!doctype html><html lang="en"><title>Planted</title>{head}<body>{self.body}</body></html>'
            policy = {"Content-Security-Policy": self.policy}
            route.fulfill(status=self.status, headers=policy, body=html, content_type="text/html")


@pytest.fixture
def unchecked(chromium: Browser, service: Service) -> Iterator[Browsing]:
    """The browsing of a test that checks it itself."""
    browsing = Browsing(chromium, service.url)
    yield browsing
    browsing.close()


@VIEWS
def test_a_good_page_is_good(page: Page) -> None:
    """There are no false alarms."""
    Planted().show(page)

    accessible(page)
    fits(page)
    assert page.get_by_role("heading").inner_text() == "Planted"


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (Planted(script="console.error('Oh no')"), "console error: Oh no"),
        (Planted(script="console.warn('Beware')"), "console warning: Beware"),
        (Planted(script="throw new Error('Boom')"), "exception: Boom"),
        (Planted(script="Promise.reject(new Error('Later'))"), "exception: Later"),
        (Planted(script="fetch('http://elsewhere.example/')", policy=""), "request to another host: http://elsewhere"),
        (
            Planted(script="document.body.innerHTML = 'x'"),
            "policy: require-trusted-types-for kTrustedTypesSinkViolation",
        ),
        (Planted(body="<p onclick='x()'>"), "policy: script-src-attr kInlineViolation"),
        (Planted(body="<p style='color: red'>"), "policy: style-src-attr kInlineViolation"),
        (Planted(body="<iframe src='http://elsewhere.example/'>"), "policy: frame-src kURLViolation http://elsewhere"),
        (Planted(body="<img src='/nowhere.png'>"), "404 GET /nowhere.png"),
        (Planted(status=500), "500 GET /planted"),
    ],
)
def test_complaints_of_the_browser_are_heard(unchecked: Browsing, planted: Planted, complaint: str) -> None:
    """Each fault fails its test, and the message names it."""
    planted.show(unchecked.page())

    with pytest.raises(AssertionError, match=complaint):
        unchecked.check()


@VIEWS
@pytest.mark.parametrize("body", ["<img src='http://elsewhere.example/x.png'>", "<p style='color: red'>"])
def test_the_policy_is_watched_without_javascript_too(unchecked: Browsing, view: View, body: str) -> None:
    """What it stops is a complaint all the same."""
    Planted(body).show(unchecked.page(view))

    with pytest.raises(AssertionError, match="policy: "):
        unchecked.check()


def test_a_complaint_of_a_second_window_is_heard(unchecked: Browsing) -> None:
    """That is one that a link has opened."""
    page = unchecked.page()
    Planted("<a href='/nowhere' target='_blank'>Go</a>").show(page)
    with page.expect_popup() as popup:
        page.get_by_role("link").click()
    popup.value.wait_for_load_state()

    with pytest.raises(AssertionError, match="404 GET /nowhere"):
        unchecked.check()


def test_an_expected_complaint_is_none(browsing: Browsing, page: Page) -> None:
    """A star stands for any text, and the query counts for nothing."""
    browsing.expects("404 GET /users/*/nowhere")
    answer = page.goto("/users/1/nowhere?x=1")

    assert answer
    assert answer.status == 404


def test_a_complaint_that_is_expected_in_vain_fails(unchecked: Browsing) -> None:
    """A test that waits for a refusal has to see it."""
    unchecked.expects("409 POST /planted")
    Planted().show(unchecked.page())

    with pytest.raises(AssertionError, match="not complain as expected:\n409 POST /planted"):
        unchecked.check()


@VIEWS
@pytest.mark.parametrize(
    ("planted", "finding"),
    [
        (Planted("<main><h1>Planted</h1><input name='a'></main>"), "label: .*\n  input: Fix any"),
        (Planted("<main><h1>Planted</h1><p>Pale</p></main>", style="p { color: #bbb }"), "color-contrast: "),
        (Planted("<main><p>No heading</p></main>"), "page-has-heading-one: "),
        (Planted("<main><h1>Planted</h1><button id='small'>x</button><button>y</button></main>",
                 style="button { all: unset; width: 9px }"), "target-size: "),
    ],
)  # fmt: skip
def test_what_is_not_accessible_is_found(page: Page, planted: Planted, finding: str) -> None:
    """With JavaScript and without, under the policy of the page."""
    planted.show(page)

    with pytest.raises(AssertionError, match=finding):
        accessible(page)


def test_axe_leaves_no_trace_on_a_page(page: Page) -> None:
    """The page cannot tell that it is looked at."""
    Planted().show(page)
    before = page.content()
    accessible(page)

    assert page.content() == before
    assert page.evaluate("[typeof axe, setTimeout.toString()]") == [
        "undefined",
        "function setTimeout() { [native code] }",
    ]


@pytest.mark.parametrize(
    "view", [View(width=1280, zoom=2), View(width=640), View(width=640, javascript=False)], ids=str
)
def test_what_is_too_wide_is_found(page: Page) -> None:
    """A window of 1,280 pixels has 640 at 200 %."""
    Planted(style="h1 { width: 640px; margin: 0 } body { margin: 0 }").show(page)

    fits(page)
    assert page.evaluate("innerWidth") == 640
    Planted(style="h1 { width: 641px; margin: 0 } body { margin: 0 }").show(page)
    with pytest.raises(AssertionError, match="is 641 px wide in a window of 640 px"):
        fits(page)


@pytest.mark.parametrize("view", [View(dark=True), View()], ids=str)
def test_a_view_is_dark_or_light(page: Page, view: View) -> None:
    """The page is told so."""
    Planted().show(page)

    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == view.dark


def test_a_page_weighs_all_that_came(page: Page) -> None:
    """The page itself, its script and its style sheet, with their headers."""
    Planted("x", script=" ", style=" ").show(page)
    light = weight(page, "/planted")
    Planted("x" * 1001, script=" " * 1001, style=" " * 1001).show(page)
    heavy = weight(page, "/planted")

    assert light > 300
    assert 3000 <= heavy - light < 3010


def test_what_comes_from_the_cache_weighs_the_same(page: Page, service: Service) -> None:
    """A page is as light or heavy as for somebody who is new to it."""
    bytes_sent = len(service.client().get("/docs/swagger-ui.css").content)
    first, again = weight(page, "/docs/swagger-ui.css"), weight(page, "/docs/swagger-ui.css")

    assert bytes_sent < first < bytes_sent + 2000
    assert again == first


def test_each_page_has_cookies_of_its_own(browsing: Browsing) -> None:
    """So that two people can be at work in one test."""
    one, other = browsing.page(), browsing.page()
    for page in (one, other):
        page.goto("/problems/not-found")
    one.context.add_cookies([{"name": "a", "value": "1", "url": browsing.url}])

    assert len(one.context.cookies()) == 1
    assert not other.context.cookies()


def test_a_test_may_have_a_service_of_its_own(browsing: Browsing, new_service: Callable[..., Service]) -> None:
    """One with other settings, say, or without any leads."""
    page = browsing.page(url=new_service(DOCS="off").url)
    browsing.expects("404 GET /docs")
    page.goto("/docs")

    assert browsing.url not in page.url
