"""docs/permissions.md says who may do what: each of its rows is tried by everybody."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from tests.pages import page, table
from tests.service import Service, running
from tests.web import signed_in, visitor

from leadintake.domain.people import Role
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.settings.environment import load

PAGE = page("docs/permissions.md")
ROWS = {
    (address.strip("`"), method): who
    for kind in ("page", "call")
    for address, methods, who in table(PAGE, kind, "method", "who")
    for method in methods.split(", ")
}
EVERYBODY = ("nobody", "inactive", "attorney", "admin")
ALLOWED = {
    "anyone": EVERYBODY,
    "attorneys": ("attorney", "admin"),
    "admins": ("admin",),
    "operators": (),
}
NOTHING = "8f14e45f-ceea-467f-9575-1d7f1f1f1f1f"


@dataclass(frozen=True)
class Person:
    """Somebody with a browser and a program, each signed in where somebody can be."""

    browser: httpx.Client
    program: httpx.Client


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a user of each kind."""
    with running(tmp_path_factory.mktemp("quick") / "data") as service:
        service.add_user("admin@example.org", Role.ADMIN)
        service.add_user("attorney@example.org")
        service.add_user("inactive@example.org")
        yield service


@pytest.fixture(scope="module")
def people(quick: Service) -> dict[str, Person]:
    """Everybody, signed in once."""
    return {who: person(quick, who) for who in EVERYBODY}


def person(service: Service, who: str) -> Person:
    """Sign somebody in. Who is inactive was signed in, and then the access was taken away."""
    if who == "nobody":
        return Person(visitor(service), service.client())
    email = f"{who}@example.org"
    admin = service.sign_in("admin@example.org")
    user = next(user for user in admin.get("/users").json()["items"] if user["email"] == email)
    if who == "inactive":
        admin.patch(f"/users/{user['id']}", json={"is_active": True}).raise_for_status()
    found = Person(signed_in(service, email), service.sign_in(email))
    if who == "inactive":
        admin.patch(f"/users/{user['id']}", json={"is_active": False}).raise_for_status()
    return found


def is_refused(answer: httpx.Response) -> bool:
    """Whether it is the answer to who may not, or may not yet."""
    asks_to_sign_in = answer.headers.get("location", "").startswith("/inbox/sign-in?next=")
    return answer.status_code in {401, 403} or (answer.status_code == 303 and asks_to_sign_in)


@pytest.mark.asvs("V8.1.1-2")
def test_every_address_has_a_row() -> None:
    """A new one is on the page, with who may use it, before it goes out."""
    app = cast("Any", create_app(load({}, {})))._app  # noqa: SLF001 - the framework's routes are inside
    addresses = {(route.path_format, method) for route in app.routes for method in route.methods}

    assert {(address, method) for address, method in addresses if method not in {"HEAD", "OPTIONS"}} == set(ROWS)


@pytest.mark.asvs("V8.2.1")
@pytest.mark.parametrize(("address", "method"), ROWS)
def test_permissions(quick: Service, people: dict[str, Person], address: str, method: str) -> None:
    """Refused is who has no right to it, and nobody else, whether what is asked for exists or not."""
    parts = [NOTHING if part.startswith("{") else part for part in address.split("/")]
    is_for_a_browser = f"\n| `{address}` |" in PAGE.partition("## Calls")[0]
    sent: dict[str, Any] = {}
    if method in {"POST", "PATCH"}:
        sent = {"data": {"notes": "New.", "seen": "Old."}} if is_for_a_browser else {"json": {}}
    if address == "/metrics":
        sent["headers"] = {"Forwarded": "for=203.0.113.7"}
    refused = {}
    for who in EVERYBODY:
        someone = person(quick, who) if address == "/inbox/sign-out" else people[who]
        client = someone.browser if is_for_a_browser else someone.program
        refused[who] = is_refused(client.request(method, "/".join(parts), **sent))

    assert refused == {who: who not in ALLOWED[ROWS[address, method]] for who in EVERYBODY}


def test_neither_counts_for_the_other(people: dict[str, Person]) -> None:
    """The cookie of a browser opens no call, and a token no page."""
    admin = people["admin"]

    assert is_refused(admin.browser.get("/users"))
    assert is_refused(admin.program.get("/inbox/users"))
