"""What a browser keeps of the inbox: nothing."""

import re

import httpx
import pytest
from tests.pages import ROOT
from tests.service import Service, form
from tests.web import signed_in, visitor

KEPT = {"keys": "whether there are keys", "list": "the place in the list, which signing out forgets"}
"""What scripts put into the storage of the browser."""


@pytest.mark.asvs("V14.2.2", "V14.3.1")
@pytest.mark.attack(127, 158)
def test_nothing_private_is_cached(service: Service) -> None:
    """No page of the inbox and no file is kept, whatever its address looks like and whoever asks."""
    lead_id = service.client().post("/public/leads", **form()).json()["id"]
    paths = ["/inbox", "/inbox?q=ada", "/inbox/new", "/inbox/mails", "/inbox/account", "/inbox/users", "/inbox/x.css"]
    paths += [f"/inbox/leads/{lead_id}", f"/inbox/leads/{lead_id}/resume", f"/inbox/leads/{lead_id}/photo.png"]
    for client in (signed_in(service, "admin@example.org"), visitor(service)):
        for path in (*paths, "/inbox/sign-in"):
            assert client.get(path).headers["cache-control"] == "no-store", path


@pytest.mark.asvs("V14.3.1")
def test_scripts_keep_nothing_of_a_lead() -> None:
    """What is written into the storage of the browser has no name and no text in it, and ends with the session."""
    scripts = [path.read_text() for path in (ROOT / "src").rglob("*.js")]
    stored = [name for script in scripts for name in re.findall(r'Storage\.setItem\("(\w+)"', script)]

    assert sorted(stored) == sorted(KEPT)
    assert not any(re.search(r"indexedDB|document\.cookie|caches\b", script) for script in scripts)
    assert any("sessionStorage.clear()" in script for script in scripts)


@pytest.mark.asvs("V6.2.6")
def test_passwords_are_typed_hidden(service: Service, anyone: httpx.Client) -> None:
    """Each field for a password hides it, and tells password managers which one it is."""
    pages = [anyone.get("/inbox/sign-in").text, signed_in(service, "admin@example.org").get("/inbox/account").text]
    fields = [field for page in pages for field in re.findall(r"<input[^>]*password[^>]*>", page)]

    assert len(fields) >= 3
    for field in fields:
        assert 'type="password"' in field
        assert re.search(r'autocomplete="(current|new)-password"', field)
