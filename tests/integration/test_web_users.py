"""The users of the firm, with a browser."""

import re
from html import escape
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.service import PASSWORD, Service, running
from tests.web import signed_in, text_of, visitor

from leadintake.domain.people import Role

NO_ID = "00000000-0000-4000-8000-000000000000"
HOSTILE = "<script>alert(1)</script>\"'</option><b>"


@pytest.fixture
def admin(service: Service) -> httpx.Client:
    """An admin at the desk."""
    return signed_in(service, "admin@example.org")


@pytest.fixture
def email() -> str:
    """An address that nobody has yet."""
    return f"{uuid4().hex}@example.org"


def page_of(admin: httpx.Client, email: str) -> str:
    """Where the list leads to from the row of a user."""
    rows = re.findall(r"<tr>.*?</tr>", admin.get("/inbox/users").text, flags=re.DOTALL)
    [row] = [row for row in rows if f">{email}<" in row]
    found = re.search(r'href="(/inbox/users/[\w-]+)"', row)
    assert found
    return found[1]


def row_of(admin: httpx.Client, email: str) -> str:
    """What the list says of a user."""
    rows = re.findall(r"<tr>.*?</tr>", admin.get("/inbox/users").text, flags=re.DOTALL)
    return next((text_of(row) for row in rows if email in row), "")


def password_in(answer: httpx.Response) -> str:
    """The password that a page shows."""
    found = re.search(r'<code class="secret">([^<]+)</code>', answer.text)
    assert found
    return found[1]


def can_sign_in(service: Service, email: str, password: str) -> bool:
    """Whether somebody gets in."""
    return visitor(service).post("/inbox/sign-in", data={"email": email, "password": password}).status_code == 303


def test_add(service: Service, admin: httpx.Client, email: str) -> None:
    """A new user is listed; the password is shown with the answer and never again, is not cached, and signs in."""
    answer = admin.post("/inbox/users", data={"email": email, "full_name": " Grace  Hopper ", "role": "attorney"})
    password = password_in(answer)

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    for part in ("is a user now", "The password is shown only now.", email, f"{service.settings.base_url}/inbox"):
        assert part in text_of(answer.text)
    assert re.search(rf"Grace +Hopper {email} Attorney Active First password \d+ \w+ \d{{4}}", row_of(admin, email))
    assert password not in admin.get("/inbox/users").text
    assert password not in admin.get(page_of(admin, email)).text
    assert can_sign_in(service, email, password)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"email": "nobody"}, "email", "An email address must have an @-sign. Enter one address such as"),
        ({"email": ""}, "email", "An email address must have an @-sign. Enter one address such as"),
        ({"full_name": " "}, "full_name", "Fill in this field."),
        ({"full_name": "x" * 101}, "full_name", "Use at most 100 characters."),
        ({"full_name": "a\x07"}, "full_name", "Remove the control characters"),
        ({"role": "owner"}, "role", "Choose a role."),
        ({"role": ""}, "role", "Choose a role."),
    ],
)
def test_wrong_users(admin: httpx.Client, email: str, change: dict[str, str], field: str, message: str) -> None:
    """A message stands at the field and in a summary that leads there; what was typed is kept, and nobody is added."""
    typed = {"email": email, "full_name": HOSTILE, "role": "admin", **change}
    answer = admin.post("/inbox/users", data=typed)

    assert answer.status_code == 422
    assert "<title>Error: Users" in answer.text
    assert f'<a href="#{field}">{field.replace("_", " ").capitalize()}: {message}' in answer.text
    assert f'id="{field}-wrong">{message}' in answer.text
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="[\w -]*{field}-wrong"', answer.text)
    assert answer.text.count('aria-invalid="true"') == 1
    for name in ("email", "full_name"):
        assert re.search(rf'<input id="{name}"[^>]* value="{re.escape(_escaped(typed[name]))}"', answer.text)
    assert ('<option value="admin" selected' in answer.text) == (typed["role"] == "admin")
    assert not row_of(admin, email)


def _escaped(text: str) -> str:
    return escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def test_missing_fields(admin: httpx.Client) -> None:
    """A form without its fields is one with empty fields."""
    assert admin.post("/inbox/users", data={"x": ""}).status_code == 422
    assert admin.post(page_of(admin, "attorney@example.org"), data={"x": ""}).status_code == 422


def test_addresses_are_unique(admin: httpx.Client, email: str) -> None:
    """Whatever its case, an address has one user; the page says so at the field and keeps what was typed."""
    new = {"email": email, "full_name": "Grace", "role": "attorney"}
    admin.post("/inbox/users", data=new)
    answer = admin.post("/inbox/users", data={**new, "email": email.upper(), "full_name": "Grace the second"})

    assert answer.status_code == 409
    assert 'id="email-wrong">A user with this email address exists already.<' in answer.text
    assert f'value="{email.upper()}"' in answer.text
    assert "Grace the second" not in row_of(admin, email)


def test_change(service: Service, admin: httpx.Client, email: str) -> None:
    """A new name and a new role count from the user's next request on."""
    service.add_user(email, Role.ATTORNEY, "Grace Murray")
    user, path = signed_in(service, email), page_of(admin, email)
    before = user.get("/inbox/users")
    answer = admin.post(path, data={"full_name": "Grace Hopper", "role": "admin"})
    shown = admin.get(answer.headers["location"])

    assert before.status_code == 403
    assert answer.status_code == 303
    assert "The change is saved." in text_of(shown.text)
    assert "Grace Hopper" in text_of(shown.text)
    assert "Grace Hopper" in row_of(admin, email)
    assert "Admin" in row_of(admin, email)
    assert user.get("/inbox/users").status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"full_name": ""}, 'id="full_name-wrong">Fill in this field.<'),
        ({"role": "owner"}, 'id="role-wrong">Choose a role.<'),
    ],
)
def test_wrong_changes(service: Service, admin: httpx.Client, email: str, change: dict[str, str], said: str) -> None:
    """The page says what is wrong, under the name that the user still has."""
    service.add_user(email, Role.ATTORNEY, "Grace Murray")
    answer = admin.post(page_of(admin, email), data={"full_name": "Grace Hopper", "role": "admin", **change})

    assert answer.status_code == 422
    assert said in answer.text
    assert "Grace Murray" in text_of(answer.text)
    assert "Grace Murray" in row_of(admin, email)
    assert "Attorney" in row_of(admin, email)


@pytest.mark.asvs("V7.4.5")
def test_deactivate_and_activate(service: Service, admin: httpx.Client, email: str) -> None:
    """Who is deactivated is out at once and cannot come back before being activated; the page says all of that."""
    service.add_user(email)
    user, path = signed_in(service, email), page_of(admin, email)
    said = text_of(admin.get(path).text)
    answer = admin.post(f"{path}/deactivate")
    shown = text_of(admin.get(answer.headers["location"]).text)
    is_out = user.get("/inbox").headers["location"].startswith("/inbox/sign-in")

    assert "signed out everywhere at once, cannot sign in, and gets no more mails about new leads" in said
    assert answer.status_code == 303
    assert "The user is deactivated, and signed out everywhere." in shown
    assert is_out
    assert "Deactivated" in row_of(admin, email)
    assert not can_sign_in(service, email, PASSWORD)
    again = admin.post(f"{path}/activate")
    assert "The user is active again" in text_of(admin.get(again.headers["location"]).text)
    assert user.get("/inbox").status_code == 303
    assert can_sign_in(service, email, PASSWORD)


@pytest.mark.asvs("V6.4.3")
def test_new_password(service: Service, admin: httpx.Client, email: str) -> None:
    """It is shown once and works at once; the old one does not, and the user is signed out."""
    service.add_user(email)
    user, path = signed_in(service, email), page_of(admin, email)
    answer = admin.post(f"{path}/password")
    password = password_in(answer)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "A new password for Grace Hopper" in text_of(answer.text)
    assert user.get("/inbox").status_code == 303
    assert not can_sign_in(service, email, PASSWORD)
    assert can_sign_in(service, email, password)
    assert password not in admin.get(path).text


def test_ones_own_password(service: Service, email: str) -> None:
    """An admin's own password is changed with the account, where the present one is asked for."""
    service.add_user(email, Role.ADMIN)
    admin = signed_in(service, email)
    path = page_of(admin, email)
    answer = admin.post(f"{path}/password")

    assert f"{path}/password" not in admin.get(path).text
    assert answer.headers["location"] == "/inbox/account"
    assert can_sign_in(service, email, PASSWORD)


@pytest.mark.asvs("V6.4.1")
def test_first_passwords(service: Service, admin: httpx.Client, email: str) -> None:
    """List and page say that a password is the first one, then that it ran out; once it is changed they do not."""
    service.add_user(email)
    path = page_of(admin, email)
    seen = [(row_of(admin, email), text_of(admin.get(path).text))]
    service.let_run_out(email)
    seen.append((row_of(admin, email), text_of(admin.get(path).text)))
    renewed = admin.post(f"{path}/password")
    client = signed_in(service, email, password_in(renewed))
    change = {"current_password": password_in(renewed), "new_password": "tr0ub4dor and three"}
    client.post("/inbox/account/password", data=change)
    row, page = row_of(admin, email), text_of(admin.get(path).text)

    for (listed, shown), (badge, sentence) in zip(
        seen, [("First password", "; it runs out on "), ("Password ran out", "; it ran out on ")], strict=True
    ):
        assert badge in listed
        assert badge in shown
        assert f"The user has not changed the first password{sentence}" in shown
    assert "It runs out on" in text_of(renewed.text)
    assert "has to be changed within 3 days" in page
    for text in (row, page):
        assert "First password" not in text
        assert "ran out" not in text


def test_the_last_admin_stays(tmp_path: Path) -> None:
    """Nobody can lock the firm out of its own user management; the page says why."""
    with running(tmp_path / "data") as service:
        service.add_user("admin@example.org", Role.ADMIN)
        admin = signed_in(service, "admin@example.org")
        path = page_of(admin, "admin@example.org")
        answers = {
            "role": admin.post(path, data={"full_name": "Grace", "role": "attorney"}),
            "access": admin.post(f"{path}/deactivate"),
        }
        row = row_of(admin, "admin@example.org")

    for field, answer in answers.items():
        assert answer.status_code == 409
        assert f'id="{field}-wrong">This is the last active admin.' in answer.text
        assert f'<a href="#{field}">' in answer.text
    assert '<option value="attorney" selected' in answers["role"].text
    assert "<details open>" in answers["access"].text
    assert "Admin Active" in row


def test_an_admin_may_leave(service: Service, email: str) -> None:
    """One who is not the last can become an attorney, and is led to a page that attorneys see."""
    service.add_user(email, Role.ADMIN)
    admin = signed_in(service, email)
    path = page_of(admin, email)
    answer = admin.post(path, data={"full_name": "Grace", "role": "attorney"})

    assert answer.headers["location"] == "/inbox/account"
    assert "Attorney" in text_of(admin.get("/inbox/account").text)
    assert admin.get("/inbox/users").status_code == 403


def test_an_admin_may_go(service: Service, email: str) -> None:
    """One who is not the last can be deactivated, and is asked to sign in."""
    service.add_user(email, Role.ADMIN)
    admin = signed_in(service, email)
    answer = admin.post(f"{page_of(admin, email)}/deactivate")

    assert admin.get(answer.headers["location"]).headers["location"].startswith("/inbox/sign-in")


@pytest.mark.parametrize("path", [f"/inbox/users/{NO_ID}", "/inbox/users/x"])
def test_unknown_users(admin: httpx.Client, path: str) -> None:
    """There is nobody with this id, whatever is asked for."""
    form = {"full_name": "Grace", "role": "attorney"}

    assert admin.get(path).status_code == 404
    for end in ("", "/deactivate", "/activate", "/password"):
        assert admin.post(path + end, data=form).status_code == 404


@pytest.mark.asvs("V8.2.1")
@pytest.mark.parametrize(
    "end", ["", f"/{NO_ID}", "/x", f"/{NO_ID}/deactivate", f"/{NO_ID}/activate", f"/{NO_ID}/password"]
)
def test_attorneys_may_not(service: Service, end: str) -> None:
    """Who may not manage users gets a page that says so, whatever is sent, and finds no link to the users."""
    client = signed_in(service, "attorney@example.org")
    answers = [client.post(f"/inbox/users{end}", data={"x": ""}), client.get(f"/inbox/users{end}")]

    assert answers[0].status_code == 403
    assert answers[1].status_code in {303, 403}
    assert "Your role does not allow this." in text_of(answers[0].text)
    assert "/inbox/users" not in client.get("/inbox/account").text


@pytest.mark.asvs("V3.5.1")
@pytest.mark.parametrize("end", ["", f"/{NO_ID}", f"/{NO_ID}/deactivate", f"/{NO_ID}/activate", f"/{NO_ID}/password"])
def test_other_sites(admin: httpx.Client, email: str, end: str) -> None:
    """No other site can send the forms."""
    form = {"email": email, "full_name": "Grace", "role": "admin"}
    answer = admin.post(f"/inbox/users{end}", data=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert not row_of(admin, email)


def test_signed_out(service: Service) -> None:
    """Who is not signed in is asked to."""
    answers = visitor(service).get("/inbox/users"), visitor(service).post("/inbox/users", data={"x": ""})

    assert answers[0].headers["location"].startswith("/inbox/sign-in")
    assert answers[1].status_code == 401
    assert 'id="sign-in"' in answers[1].text


def test_hostile_names(admin: httpx.Client, email: str) -> None:
    """A name is text on every page, whatever it looks like."""
    added = admin.post("/inbox/users", data={"email": email, "full_name": HOSTILE, "role": "attorney"})
    path = page_of(admin, email)
    pages = [added.text, admin.get("/inbox/users").text, admin.get(path).text, admin.post(f"{path}/password").text]

    for page in pages:
        assert HOSTILE in text_of(page)
        assert "<script>alert" not in page
        assert "<b>" not in page


def test_headings(admin: httpx.Client) -> None:
    """Each page has one first heading, and a title that says what it is."""
    pages = [admin.get("/inbox/users").text, admin.get(page_of(admin, "attorney@example.org")).text]

    assert [page.count("<h1") for page in pages] == [1, 1]
    assert "<title>Users - " in pages[0]
    assert "<title>Atticus Finch - " in pages[1]
