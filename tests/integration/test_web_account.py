"""One's own account with a browser."""

import re
from uuid import uuid4

import httpx
import pytest
from tests.service import PASSWORD, Service, logged
from tests.web import signed_in, text_of, visitor

from leadintake.application.password_rules import EASY

NEW = "another battery staple"
NO_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def email(service: Service) -> str:
    """A user of the test's own."""
    email = f"{uuid4().hex}@example.org"
    service.add_user(email, full_name="Grace Hopper")
    return email


def ends(page: str) -> list[str]:
    """Where the forms of a page lead to that end a session."""
    return re.findall(r'action="(/inbox/account/sessions/[\w-]+/end)"', page)


def can_sign_in(service: Service, email: str, password: str) -> bool:
    """Whether somebody gets in."""
    return visitor(service).post("/inbox/sign-in", data={"email": email, "password": password}).status_code == 303


def change(client: httpx.Client, current: str, new: str) -> httpx.Response:
    """Send the form."""
    return client.post("/inbox/account/password", data={"current_password": current, "new_password": new})


def test_who_one_is(service: Service, email: str) -> None:
    """Name, address and role are there, and the rule for passwords is said before one is typed."""
    page = signed_in(service, email).get("/inbox/account").text
    text = text_of(page)

    for part in ("Grace Hopper", email, "Attorney", "An admin changes name and role.", "At least 12 characters."):
        assert part in text
    assert page.count("<h1") == 1
    for kind in ("username", "current-password", "new-password"):
        assert f'autocomplete="{kind}"' in page


def test_admins_are_led_to_their_user(service: Service) -> None:
    """They can change name and role themselves."""
    page = signed_in(service, "admin@example.org").get("/inbox/account").text
    address = re.search(r'"(/inbox/users/[\w-]+)"', page)

    assert address
    assert "Admin Istrator" in signed_in(service, "admin@example.org").get(address[1]).text


@pytest.mark.asvs("V6.4.1")
def test_first_password(service: Service, email: str) -> None:
    """Every page says that it runs out, and leads to where it is changed to another one; once it is, none does."""
    client = signed_in(service, email)
    before = client.get("/inbox").text
    same = change(client, PASSWORD, PASSWORD)
    change(client, PASSWORD, NEW)
    after = client.get("/inbox").text

    assert "Your password was set by somebody else. To sign in after" in text_of(before)
    assert 'href="/inbox/account#password-title"' in before
    assert (same.status_code, "Choose another password" in text_of(same.text)) == (422, True)
    assert "set by somebody else" not in after


@pytest.mark.asvs("V6.4.1")
def test_a_password_that_ran_out(service: Service, email: str) -> None:
    """The sign-in says what to do to who knows it, and to nobody else."""
    service.let_run_out(email)
    knows, guesses = (
        visitor(service).post("/inbox/sign-in", data={"email": email, "password": password})
        for password in (PASSWORD, NEW)
    )

    assert (knows.status_code, guesses.status_code) == (400, 400)
    assert "This password has run out, because it was not changed in time. Ask an admin" in text_of(knows.text)
    assert "The email address or the password is wrong." in text_of(guesses.text)
    assert "run out" not in text_of(guesses.text)


@pytest.mark.asvs("V6.2.2-3")
def test_new_password(service: Service, email: str) -> None:
    """It counts at once; this session goes on, every other one is over, and the log has a line."""
    here, there, token = signed_in(service, email), signed_in(service, email), service.sign_in(email)
    answer = change(here, PASSWORD, NEW)
    shown = here.get(answer.headers["location"])

    assert answer.status_code == 303
    assert shown.status_code == 200
    assert "Your password is changed." in text_of(shown.text)
    assert "is changed" not in text_of(here.get("/inbox/account").text)
    assert there.get("/inbox/account").status_code == 303
    assert token.get("/me").status_code == 401
    assert can_sign_in(service, email, NEW)
    assert not can_sign_in(service, email, PASSWORD)
    assert "authn_password_change" in [line["event"] for line in logged(answer.headers["x-request-id"])]


@pytest.mark.asvs("V6.2.2-3")
@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        (("wrong", NEW), "current_password", "This is not your current password."),
        (("", NEW), "current_password", "This is not your current password."),
        ((PASSWORD, "short"), "new_password", "Use at least 12 characters."),
        ((PASSWORD, "password1234"), "new_password", EASY),
        ((PASSWORD, ""), "new_password", "Use at least 12 characters."),
        ((PASSWORD, "x" * 1025), "new_password", "Use plain text of at most 1024 bytes."),
    ],
)
def test_wrong_passwords(service: Service, email: str, sent: tuple[str, str], field: str, message: str) -> None:
    """A message stands at the field and in a summary that leads there; nothing changes, and no password comes back."""
    client, other = signed_in(service, email), signed_in(service, email)
    answer = change(client, *sent)
    summary = f'<a href="#{field}">{field.replace("_", " ").capitalize()}: {message}</a>'

    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert summary in answer.text
    assert re.search(rf'id="{field}-wrong">{message}</p>\s*<input id="{field}"', answer.text)
    assert re.search(
        rf'<input id="{field}"[^>]* aria-invalid="true" aria-describedby="[\w -]*{field}-wrong"', answer.text
    )
    assert answer.text.count('aria-invalid="true"') == 1
    assert NEW not in answer.text
    assert can_sign_in(service, email, PASSWORD)
    assert other.get("/inbox/account").status_code == 200


def test_missing_fields(service: Service, email: str) -> None:
    """A form without its fields is one with empty fields."""
    answer = signed_in(service, email).post("/inbox/account/password", data={"x": ""})

    assert answer.status_code == 422


def test_sessions(service: Service, email: str) -> None:
    """Each session is there; this one is marked and ends by signing out, any other can be ended from here."""
    here, there = signed_in(service, email), signed_in(service, email)
    page = here.get("/inbox/account").text
    [end] = ends(page)
    answer = here.post(end)
    shown = here.get(answer.headers["location"]).text

    assert text_of(page).count("python-httpx") == 2 + 1, "each, and the one to sign out by its button"
    assert text_of(page).count("This one") == 1
    assert answer.status_code == 303
    assert "The other session is over." in text_of(shown)
    assert not ends(shown)
    assert there.get("/inbox/account").status_code == 303
    assert here.post(end).status_code == 303


@pytest.mark.asvs("V8.2.2")
def test_sessions_of_others(service: Service, email: str) -> None:
    """Nobody can end the session of somebody else."""
    theirs = signed_in(service, "attorney@example.org")
    signed_in(service, "attorney@example.org")
    [end, *_] = ends(theirs.get("/inbox/account").text)
    signed_in(service, email).post(end)

    assert end in ends(theirs.get("/inbox/account").text)


def test_unknown_sessions(service: Service, email: str) -> None:
    """A session that is not there is over; what is no id is not found."""
    client = signed_in(service, email)

    assert client.post(f"/inbox/account/sessions/{NO_ID}/end").status_code == 303
    assert client.post("/inbox/account/sessions/x/end").status_code == 404


def test_ending_this_session(service: Service, email: str) -> None:
    """Who ends the session that asks is signed out."""
    here, there = signed_in(service, email), signed_in(service, email)
    [end] = ends(there.get("/inbox/account").text)
    answer = here.post(end)

    assert here.get(answer.headers["location"]).headers["location"].startswith("/inbox/sign-in")
    assert there.get("/inbox/account").status_code == 200


@pytest.mark.asvs("V3.5.1")
@pytest.mark.parametrize("path", ["/inbox/account/password", f"/inbox/account/sessions/{NO_ID}/end"])
def test_other_sites(service: Service, email: str, path: str) -> None:
    """No other site can send the forms, and nothing changes when one tries."""
    client = signed_in(service, email)
    form = {"current_password": PASSWORD, "new_password": NEW}
    answer = client.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert can_sign_in(service, email, PASSWORD)


def test_signed_out(service: Service) -> None:
    """Who is not signed in is asked to."""
    answers = visitor(service).get("/inbox/account"), change(visitor(service), PASSWORD, NEW)

    assert answers[0].headers["location"].startswith("/inbox/sign-in")
    assert answers[1].status_code == 401
    assert 'id="sign-in"' in answers[1].text


def test_hostile_names(service: Service) -> None:
    """A name is text, whatever it looks like."""
    email, name = f"{uuid4().hex}@example.org", "<script>alert(1)</script>\"'"
    service.add_user(email, full_name=name)
    page = signed_in(service, email).get("/inbox/account").text

    assert name in text_of(page)
    assert "<script>alert" not in page
