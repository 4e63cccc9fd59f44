"""A browser without a screen: it keeps cookies, says where it comes from, and follows no redirect by itself."""

import re
from html import unescape

import httpx
from tests.service import PASSWORD, Service


def visitor(service: Service) -> httpx.Client:
    """Somebody who is not signed in."""
    client = service.client()
    client.headers["Sec-Fetch-Site"] = "same-origin"
    return client


def signed_in(service: Service, email: str, password: str = PASSWORD) -> httpx.Client:
    """Somebody at the desk."""
    client = visitor(service)
    answer = client.post("/inbox/sign-in", data={"email": email, "password": password})
    assert answer.status_code == 303
    return client


def text_of(page: str) -> str:
    """What a page says, on one line: without its tags, and what tags have instead of text."""
    without = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", without)).split())


def links(page: str, rel: str) -> list[str]:
    """Where the links of a relation lead to."""
    return [unescape(address) for address in re.findall(rf'rel="{rel}" href="([^"]*)"', page)]


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', page)
    assert found, f"there is no hidden field {name}"
    return unescape(found[1])
