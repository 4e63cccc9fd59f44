"""Attorneys at their desks, and the leads that they find there."""

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Dialog, Page
from tests.browser.browsing import DESKTOP, Browsing, View
from tests.browser.inspection import accessible, fits
from tests.service import PASSWORD, Service, form

ATTORNEY = "attorney@example.org"
ADMIN = "admin@example.org"

BOTH = [View(), View(javascript=False)]
VIEWS = [View(), View(javascript=False, dark=True, width=320), View(dark=True, zoom=2)]


class Clock:
    """The time, and how far a clock is ahead of it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def at_desk(browsing: Browsing, service: Service, email: str = ATTORNEY, view: View = DESKTOP) -> Page:
    """An empty page of somebody who is signed in."""
    page = browsing.page(view, service.url)
    cookie = service.run(service.app.accounts.open_browser_session(email, PASSWORD, "Chrome on Linux"))
    page.context.add_cookies([{"name": "leadintake", "value": cookie, "url": service.url, "httpOnly": True}])
    return page


def end_session(page: Page, service: Service) -> None:
    """End the session of a page behind its back."""
    (cookie,) = (cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "leadintake")
    identity = service.run(service.app.accounts.recognise(cookie, keep_alive=False))
    service.run(service.app.accounts.end_session(identity, identity.session_id))


def sign_in(page: Page, password: str = PASSWORD) -> None:
    """Fill in the form that asks for it, and send it."""
    page.get_by_label("Email").fill(ATTORNEY)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def arrive(service: Service, **fields: Any) -> str:
    """A new lead with some fields changed; returns the address of its page."""
    answer = service.client().post("/public/leads", **form(**fields))
    return f"/inbox/leads/{answer.raise_for_status().json()['id']}"


def inspect(page: Page) -> None:
    """Raise AssertionError if a page is not accessible or too wide."""
    accessible(page)
    fits(page)


def questions(page: Page) -> list[str]:
    """What the browser, or a script, asks from now on; the answer is yes."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    return asked


def opened(browsing: Browsing, service: Service, path: str, view: View = DESKTOP, email: str = ATTORNEY) -> Page:
    """A page of somebody who is signed in, with a clock that stands still."""
    page = at_desk(browsing, service, email, view)
    page.clock.install()
    page.goto(path)
    return page


def write(page: Page, text: str) -> None:
    """Type notes, and pause."""
    page.get_by_role("textbox", name="Notes").fill(text)
    page.clock.run_for(1000)


def notes_of(service: Service, lead: str) -> str:
    """What is stored."""
    notes: str = service.sign_in(ADMIN).get(lead.removeprefix("/inbox")).json()["notes"]
    return notes
