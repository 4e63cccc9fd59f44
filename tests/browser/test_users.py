"""The users of the firm, as an admin sees and changes them."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.browser.attorneys import ADMIN, BOTH, VIEWS, at_desk, inspect
from tests.browser.browsing import Browsing, View
from tests.browser.inspection import weight
from tests.service import Service, running

from leadintake.domain.people import Role

NAME = "María-José de la Purísima Concepción Fernández-Villaverde"


@pytest.fixture
def email() -> str:
    """An address that nobody has yet."""
    return f"{uuid4().hex}@example.org"


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages(
    browsing: Browsing, service: Service, email: str, view: View, screenshot: Callable[[Page, str], None]
) -> None:
    """Each page and state is accessible, and fits."""
    for complaint in ("409 POST /inbox/users", "403 GET /inbox/users"):
        browsing.expects(complaint)
    page = at_desk(browsing, service, ADMIN, view)

    def looked_at(state: str) -> None:
        inspect(page)
        screenshot(page, f"users-{state}-{view}")

    def add() -> None:
        page.get_by_label("Full name").fill(NAME)
        page.get_by_label("Email").fill(email)
        page.get_by_role("button", name="Add the user").click()

    assert weight(page, "/inbox/users") < 60_000
    looked_at("list")
    add()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{NAME} is a user now")
    looked_at("added")
    page.get_by_role("link", name="Users").click()
    add()
    expect(page.get_by_role("alert")).to_be_focused()
    looked_at("taken")
    page.get_by_role("row").filter(has_text=email).get_by_role("link").click()
    looked_at("one")
    page.get_by_text("Make a new password ...").click()
    page.get_by_text("Deactivate ...").click()
    looked_at("opened")
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_role("status")).to_contain_text("The user is deactivated")
    looked_at("deactivated")
    attorney = at_desk(browsing, service, view=view)
    attorney.goto("/inbox/users")
    inspect(attorney)


@pytest.mark.parametrize("view", BOTH, ids=str)
def test_last_admin(browsing: Browsing, tmp_path: Path, view: View, screenshot: Callable[[Page, str], None]) -> None:
    """The only admin is told on the page why nobody can be without one."""
    browsing.expects("409 POST /inbox/users/*/deactivate")
    with running(tmp_path / "data") as service:
        service.add_user("only@example.org", Role.ADMIN, NAME)
        page = at_desk(browsing, service, "only@example.org", view)
        page.goto("/inbox/users")
        page.get_by_role("row").get_by_role("link", name=NAME).click()
        page.get_by_text("Deactivate ...").click()
        page.get_by_role("button", name="Deactivate").click()
        expect(page.get_by_role("alert")).to_be_focused()
        inspect(page)
        screenshot(page, f"users-last-{view}")
        page.get_by_role("link", name="This is the last active admin.").click()

        expect(page.get_by_role("heading", name="Access")).to_be_focused()


def test_new_password_signs_in(browsing: Browsing, service: Service, email: str) -> None:
    """An admin makes one by keyboard alone, and the user signs in with it; the session before it is over."""
    service.add_user(email, Role.ATTORNEY, NAME)
    user, page = at_desk(browsing, service, email), at_desk(browsing, service, ADMIN)
    page.goto("/inbox/users")
    page.get_by_role("row").filter(has_text=email).get_by_role("link").press("Enter")
    page.get_by_text("Make a new password ...").press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"A new password for {NAME}")
    password = page.get_by_role("code").inner_text()
    user.goto("/inbox/account")
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password").fill(password)
    user.get_by_role("button", name="Sign in").click()

    expect(user.get_by_role("heading", level=1)).to_have_text("Your account")


@pytest.mark.asvs("V1.2.1")
@pytest.mark.parametrize("view", BOTH, ids=str)
def test_hostile_name(browsing: Browsing, service: Service, email: str, view: View) -> None:
    """It does nothing, and is shown as it is."""
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    service.add_user(email, Role.ATTORNEY, name)
    page = at_desk(browsing, service, ADMIN, view)
    page.goto("/inbox/users")
    page.get_by_role("row").filter(has_text=email).get_by_role("link").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_label("Full name")).to_have_value(name)
