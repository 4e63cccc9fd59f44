"""The log of all tests of a process is searched when they are over (conftest.py); here is what the search finds."""

import json

import httpx
import pytest
from tests import secrecy
from tests.service import LOG, PASSWORD, Service, form, logged
from tests.web import signed_in

EMAIL = "secrecy@example.org"


@pytest.fixture(scope="module")
def secrets(service: Service) -> dict[str, str]:
    """One of each kind, as the service has handed it out."""
    service.add_user(EMAIL)
    granted = service.client().post("/auth/token", data={"username": EMAIL, "password": PASSWORD}).json()
    admin = service.sign_in("admin@example.org")
    added = admin.post("/users", json={"email": "new@example.org", "full_name": "New", "role": "attorney"}).json()
    cookies = signed_in(service, EMAIL).cookies
    return {
        "an access token": granted["access_token"],
        "a refresh token": granted["refresh_token"],
        "a cookie": cookies["leadintake"],
        "a password": added["generated_password"],
    }


@pytest.mark.asvs("V16.2.5")
@pytest.mark.parametrize("kind", ["an access token", "a refresh token", "a cookie", "a password"])
@pytest.mark.parametrize("line", ["{}", "GET /leads?token={}&x=1", 'Traceback: KeyError("{}")'])
def test_a_planted_secret_is_found(secrets: dict[str, str], kind: str, line: str) -> None:
    """Whatever was handed out is found, wherever in a line it stands."""
    planted = json.dumps({"event": line.format(secrets[kind])}).encode()

    assert any(found.startswith(kind) for found in secrecy.leaks(LOG.getvalue() + planted))


@pytest.mark.asvs("V16.2.5")
@pytest.mark.parametrize("text", secrecy.PRIVATE)
def test_a_planted_person_is_found(text: str) -> None:
    """So is what tests send."""
    planted = json.dumps({"event": "request", "who": f"x {text} y"}).encode()

    assert secrecy.leaks(planted)


def test_tests_send_what_is_looked_for(anyone: httpx.Client) -> None:
    """A search for what nobody sends would find nothing; this was sent, and something was logged about it."""
    answer = anyone.post("/public/leads", **form())

    assert logged(answer.headers["x-request-id"])
    assert {form()["data"]["last_name"], form()["data"]["email"], PASSWORD} <= secrecy.PRIVATE.keys()
