"""One lead: what an attorney sees of it and does with it, alone and beside others."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from playwright.sync_api import Error, Page, Request, expect
from tests.browser.attorneys import ADMIN, ATTORNEY, BOTH, VIEWS, arrive, at_desk, inspect, questions
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import weight
from tests.documents import pdf
from tests.service import Service, running

from leadintake.application.app import App
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.errors import DeliveryFailed

HOSTILE = {
    "first_name": "<script>alert(1)</script>\u202e{{7*7}}",
    "last_name": "\"'><img src=x onerror=alert(2)>",
    "email": "o'hara+?bcc=x&body=y%0a'@example.org",
    "resume": ("<img src=x onerror=alert(4)>\u202e.pdf", pdf(), "application/pdf"),
}
POLYGLOT = pdf(objects=(b"<html><script>document.title = 'owned'; alert(5)</script></html>",))


class Refusing:
    """A mailer that nobody takes a letter from."""

    at_once = 1

    async def send(self, letter: Letter) -> str:
        """Fail for good."""
        raise DeliveryFailed(f"550 <script>alert(6)</script> no such user as {letter.recipient}", permanent=True)


def refusing(app: App) -> App:
    """The application with that mailer."""
    return replace(app, dispatch=replace(app.dispatch, mailer=Refusing()))


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose mails fail, and that holds back a second confirmation to the same address."""
    with running(tmp_path_factory.mktemp("blocked") / "data", refusing, CONFIRMATIONS_PER_ADDRESS="1/day") as service:
        service.add_user(ATTORNEY)
        yield service


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_the_way_of_an_attorney(browsing: Browsing, service: Service, view: View) -> None:
    """From one lead to the next, the resume as it was sent, the mark, and a timeline that tells all that."""
    content, word = pdf(5000), "road" if view.javascript else "lane"
    first, second, third = (
        arrive(service, last_name=f"{word}{number}", resume=("life.pdf", content, "application/pdf"))
        for number in (1, 2, 3)
    )
    page = at_desk(browsing, service, view=view)
    page.goto(f"{second}?q={word}")
    page.get_by_role("link", name="Previous lead").click()
    expect(page).to_have_url(f"{service.url}{first}?q={word}")
    expect(page.get_by_role("link", name="Previous lead")).to_have_count(0)
    page.get_by_role("link", name="Next lead").click()
    page.get_by_role("link", name="Next lead").click()
    expect(page).to_have_url(f"{service.url}{third}?q={word}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the resume").click()
    page.get_by_role("button", name="Mark as reached out").click()

    assert download.value.path().read_bytes() == content
    assert download.value.suggested_filename == "life.pdf"
    expect(page).to_have_url(f"{service.url}{third}?q={word}&marked")
    expect(page.get_by_role("status").first).to_have_text("The lead is marked as reached out.")
    expect(page.locator("#answer")).to_contain_text("Atticus Finch reached out on ")
    expect(page.locator("#head")).to_contain_text("Reached out")
    expect(page.locator("#timeline li")).to_contain_text(
        ["Atticus Finch reached out.", "Atticus Finch opened the resume.", "The enquiry arrived."]
    )
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator(".leads .name")).to_have_text([f"Ada {word}1", f"Ada {word}2"])


def test_a_double_click(browsing: Browsing, service: Service) -> None:
    """It is one click."""
    page = at_desk(browsing, service)
    page.goto(arrive(service))
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    page.get_by_role("button", name="Mark as reached out").dblclick()

    expect(page.locator("#answer")).to_contain_text("Atticus Finch reached out")
    assert len(sent) == 1


@pytest.mark.asvs("V1.2.1", "V3.2.2")
@pytest.mark.attack(53, 81)
@pytest.mark.parametrize("view", BOTH, ids=str)
def test_hostile_texts_are_texts(browsing: Browsing, service: Service, view: View) -> None:
    """Names, address, notes and file name are shown as they are, and do nothing."""
    lead = arrive(service, **HOSTILE)
    notes = "</textarea><script>alert(7)</script>\u202e{{7*7}}<img src=x onerror=alert(8)>"
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": notes}).raise_for_status()
    page = at_desk(browsing, service, view=view)
    asked = questions(page)
    page.goto("/inbox?q=onerror")
    name = "<script>alert(1)</script>{{7*7}} \"'><img src=x onerror=alert(2)>"
    page.get_by_role("link", name=name).first.click()

    expect(page).to_have_title(f"{name} - Our firm")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("textbox", name="Notes")).to_have_value(notes)
    expect(page.locator("#enquiry")).to_contain_text("<img src=x onerror=alert(4)>")
    expect(page.locator("main script, main img, main svg")).to_have_count(0)
    assert not asked
    link = page.locator("#answer a").get_attribute("href") or ""
    assert re.fullmatch(
        r"mailto:o%27hara%2B%3Fbcc%3Dx%26body%3Dy%250a%27@example\.org\?subject=Your%20enquiry%20LD-\w{8}", link
    )


@pytest.mark.asvs("V3.2.1")
@pytest.mark.attack(88)
def test_a_polyglot_is_downloaded(browsing: Browsing, service: Service) -> None:
    """A file that is a PDF and a page with a script is a file, also when its address is opened."""
    lead = arrive(service, resume=("cv.pdf", POLYGLOT, "application/pdf"))
    page = at_desk(browsing, service)
    asked = questions(page)
    page.goto(lead)
    with page.expect_download() as download, suppress(Error):  # Playwright tells of a download by an error.
        page.goto(f"{lead}/resume")

    assert download.value.path().read_bytes() == POLYGLOT
    assert not asked
    expect(page).to_have_title("Ada Lovelace - Our firm")


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_mails_that_did_not_go_out(browsing: Browsing, blocked: Service, view: View) -> None:
    """What failed and what is held is said, with the reason, and sent again by a click."""
    email = f"held.{view.javascript}@example.org".lower()
    arrive(blocked, email=email)
    lead = arrive(blocked, email=email)
    page = at_desk(browsing, blocked, view=view)
    page.goto(lead)
    mails = page.get_by_role("region", name="Mails").get_by_role("listitem")
    expect(mails.filter(has_text="Confirmation")).to_contain_text("Held back")
    page.get_by_role("button", name=f"Send now to {email}").click()
    while "Failed" not in mails.filter(has_text="Confirmation").inner_text():
        page.reload()

    expect(page).to_have_url(blocked.url + lead)
    expect(mails.filter(has_text="Confirmation")).to_contain_text("550 <script>alert(6)</script> no such user")
    expect(page.locator("#timeline")).to_contain_text("Grace Hopper had a mail sent.")
    expect(page.get_by_role("region", name="Mail trouble")).to_contain_text("could not be delivered. See which mails")
    inspect(page)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_how_it_looks(
    browsing: Browsing, service: Service, screenshot: Callable[[Page, str], None], view: View
) -> None:
    """It is accessible and fits whatever the words, weighs little, and so do the page that erases and the help."""
    lead = arrive(
        service, first_name="W" * 100, last_name="M" * 100, resume=(f"{'x' * 100}.pdf", pdf(), "application/pdf")
    )
    page = at_desk(browsing, service, ADMIN, view)
    weighed = weight(page, lead)
    inspect(page)
    screenshot(page, f"lead-{view}")
    if view.javascript:
        page.keyboard.press("?")
        inspect(page)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Mark as reached out").click()
    expect(page.locator("#answer")).to_contain_text("reached out on")
    inspect(page)
    page.get_by_role("link", name="Erase this lead").click()
    expect(page.get_by_role("button", name="Erase it")).to_be_visible()
    inspect(page)
    screenshot(page, f"erase-{view}")

    assert weighed < 60_000


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_how_it_is_printed(browsing: Browsing, service: Service, view: View) -> None:
    """With facts, notes and timeline, and without what one can only click."""
    lead = arrive(service)
    service.sign_in(ADMIN).patch(lead.removeprefix("/inbox"), json={"notes": "To be printed"}).raise_for_status()
    page = at_desk(browsing, service, view=view)
    page.goto(lead)
    page.emulate_media(media="print")

    for shown in ("Ada Lovelace", "ada@example.org", "cv.pdf", "To be printed", "The enquiry arrived."):
        expect(page.get_by_text(shown).locator("visible=true").first).to_be_visible()
    expect(page.locator("button, textarea, nav, a.button").locator("visible=true")).to_have_count(0)
