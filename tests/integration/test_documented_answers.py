"""Each answer that the OpenAPI document lists for a call is given: the good one, and every problem by its name."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import httpx
import pytest
from tests.service import PASSWORD, form
from tests.supplies import ADMIN, LEADS, Supplies, document, linking, operations, supplied

from leadintake.application.app import App
from leadintake.domain.errors import Unavailable
from leadintake.entrypoints.errors import BY_SLUG
from leadintake.entrypoints.http.guesses import FREE_GUESSES

SUCCESS = "success"
REDIRECT = "redirect"
NOTHING = "8f14e45f-ceea-467f-9575-1d7f1f1f1f1f"
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

CALLS = operations(document())
ANSWERS = {
    (operation_id, slug): int(status)
    for operation_id, (_, _, about) in CALLS.items()
    for status, answer in about["responses"].items()
    for slug in re.findall(r"\(`([a-z-]+)`\)", answer["description"]) or [SUCCESS if status < "300" else REDIRECT]
}


class Database:
    """A database that can be taken away."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.is_away = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: object) -> object:
            if self.is_away:
                raise Unavailable
            return await getattr(self._database, name)(*arguments)

        return call


@dataclass(frozen=True)
class Services:
    """One that works, whose database can be taken away; one whose limits are reached; one that redirects to files."""

    supplies: Supplies
    database: Database
    tight: Supplies
    redirecting: Supplies


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The services."""
    databases: list[Database] = []

    def removable(app: App) -> App:
        databases.append(Database(app.database))
        database: Any = databases[0]
        parts = {part.name: getattr(app, part.name) for part in fields(app)}
        using = {name: replace(part, database=database) for name, part in parts.items() if hasattr(part, "database")}
        return replace(app, database=database, **using)

    limits: dict[str, Any] = {"RATE_LIMIT_SUBMIT": f"{LEADS}/day", "RATE_LIMIT_LOGIN": "1/day"}
    with (
        supplied(tmp_path_factory.mktemp("service"), removable, MAX_RESUME_BYTES="20000") as supplies,
        supplied(tmp_path_factory.mktemp("tight"), **limits) as tight,
        supplied(
            tmp_path_factory.mktemp("redirecting"), linking, FILES="s3://bucket", FILES_REDIRECT="on"
        ) as redirecting,
    ):
        yield Services(supplies, databases[0], tight, redirecting)


@dataclass(frozen=True)
class Request:
    """A good request, and whose it is."""

    services: Services
    client: httpx.Client
    method: str
    path: str
    body: dict[str, Any]

    def send(self, client: httpx.Client | None = None, path: str | None = None, **changes: Any) -> httpx.Response:
        """Send it with some changes."""
        return (client or self.client).request(self.method, path or self.path, **{**self.body, **changes})

    def send_in_an_outage(self) -> httpx.Response:
        """Send it while the database is away."""
        self.services.database.is_away = True
        try:
            return self.send()
        finally:
            self.services.database.is_away = False

    def send_twice(self, **changes: Any) -> httpx.Response:
        """Send it, then send it with some changes."""
        self.send().raise_for_status()
        return self.send(**changes)


BODIES: dict[str, Callable[[Supplies], dict[str, Any]]] = {
    "submitLead": lambda supplies: {**form(), "headers": {"Idempotency-Key": supplies.email()}},
    "getToken": lambda _: {"data": {"username": ADMIN, "password": PASSWORD}},
    "revokeToken": lambda supplies: {"data": {"token": supplies.grant(ADMIN)["access_token"]}},
    "changePassword": lambda _: {"json": {"current_password": PASSWORD, "new_password": "tr0ub4dor and three"}},
    "changeLead": lambda _: {"json": {"notes": "Called her."}},
    "addUser": lambda supplies: {"json": {"email": supplies.email(), "full_name": "Grace", "role": "attorney"}},
    "changeUser": lambda _: {"json": {"full_name": "Grace"}},
}


def good(operation_id: str, services: Services) -> Request:
    """A good request for a call: an attorney's for a new password, all others the admin's."""
    supplies = services.supplies
    method, path, _ = CALLS[operation_id]
    client = attorney(supplies) if operation_id == "changePassword" else supplies.admin
    body = BODIES[operation_id](supplies) if operation_id in BODIES else {}
    return Request(services, client, method, supplies.path(path), body)


def attorney(supplies: Supplies) -> httpx.Client:
    """A signed-in attorney."""
    return supplies.service.client(supplies.grant(supplies.colleague())["access_token"])


def send_too_much(request: Request) -> httpx.Response:
    """Send a large body of the kind that is expected."""
    changes: dict[str, Any] = {kind: {"x": "x" * 300_000} for kind in request.body}
    return request.send(**changes)


def sign_in_too_late(request: Request) -> httpx.Response:
    """Sign in with a first password that was not changed in time."""
    supplies = request.services.supplies
    email = supplies.colleague()
    supplies.service.let_run_out(email)
    return request.send(data={"username": email, "password": PASSWORD})


def spoil_resume(request: Request) -> httpx.Response:
    """Ask for a resume whose file is gone."""
    supplies = request.services.supplies
    name = supplies.admin.get(request.path.removesuffix("/resume")).json()["resume_path"]
    next((supplies.service.settings.data_dir / "uploads").rglob(name)).unlink()
    return request.send()


def send_elsewhere(request: Request) -> httpx.Response:
    """Ask the service that redirects to its files for one."""
    redirecting = request.services.redirecting
    path = f"/leads/{redirecting.lead_id()}/resume"
    return request.send(redirecting.admin, path)


def demote_last_admin(request: Request) -> httpx.Response:
    """Make the admin an attorney."""
    me = request.client.get("/me").json()["id"]
    return request.send(path=f"/users/{me}", json={"role": "attorney"})


def guess_too_often(request: Request) -> httpx.Response:
    """Try passwords for one's own account until no more may be tried."""
    wrong = {"current_password": "wrong", "new_password": PASSWORD * 2}
    client = request.services.tight.admin
    return [request.send(client, json=wrong) for _ in range(FREE_GUESSES + 1)][-1]


Way = Callable[[Request], httpx.Response]

WAYS: dict[str, Way] = {
    SUCCESS: lambda request: request.send(),
    "malformed": lambda request: request.send(headers={"Host": "elsewhere.example"}),
    "not-signed-in": lambda request: request.send(request.services.supplies.anyone),
    "not-allowed": lambda request: request.send(attorney(request.services.supplies)),
    "not-found": lambda request: request.send(path=ID.sub(NOTHING, request.path)),
    "too-large": send_too_much,
    "unsupported-media-type": lambda request: request.send(headers={"Content-Encoding": "gzip"}),
    "invalid-fields": lambda request: request.send(json={}),
    "too-many-requests": lambda request: request.send(request.services.tight.anyone),
    "unavailable": Request.send_in_an_outage,
}
"""How a good request of any call gets an answer."""

SPECIAL: dict[tuple[str, str], Way] = {
    ("submitLead", "too-large"): lambda request: request.send(**form(resume=("cv.pdf", bytes(20_001)))),
    ("submitLead", "wrong-kind-of-file"): lambda request: request.send(**form(resume=("cv.pdf", b"MZ"))),
    ("submitLead", "invalid-fields"): lambda request: request.send(**form(email="nobody")),
    ("submitLead", "key-reused"): lambda request: request.send_twice(**form(first_name="Eva")),
    ("getToken", "wrong-credentials"): lambda request: request.send(data={"username": ADMIN, "password": "wrong"}),
    ("getToken", "password-ran-out"): sign_in_too_late,
    ("getToken", "session-over"): lambda request: request.send(
        data={"grant_type": "refresh_token", "refresh_token": NOTHING}
    ),
    ("getToken", "unsupported-grant-type"): lambda request: request.send(data={"grant_type": "client_credentials"}),
    ("changePassword", "too-many-requests"): guess_too_often,
    ("listLeads", "invalid-fields"): lambda request: request.send(params={"limit": 0}),
    ("listEvents", "invalid-fields"): lambda request: request.send(params={"limit": 0}),
    ("changeLead", "illegal-transition"): lambda request: request.send(json={"state": "PENDING"}),
    ("changeLead", "stale"): lambda request: request.send(headers={"If-Match": '"7"'}),
    ("releaseLead", "not-quarantined"): Request.send_twice,
    ("discardLead", "not-quarantined"): lambda request: request.send(
        path=f"/leads/{request.services.supplies.lead_id()}/discard"
    ),
    ("getResume", "file-unavailable"): spoil_resume,
    ("getResume", REDIRECT): send_elsewhere,
    ("retryDelivery", "not-retryable"): Request.send_twice,
    ("addUser", "email-taken"): Request.send_twice,
    ("changeUser", "last-admin"): demote_last_admin,
    ("metrics", "not-allowed"): lambda request: request.send(headers={"Forwarded": "for=203.0.113.7"}),
}
"""How one call gets an answer that it alone has, or in a way of its own."""


@pytest.mark.parametrize(("operation_id", "slug"), ANSWERS)
def test_documented_answers_are_given(services: Services, operation_id: str, slug: str) -> None:
    """Whatever the document says may come does come, under its status and its name."""
    way = SPECIAL.get((operation_id, slug)) or WAYS[slug]
    request = good(operation_id, services)
    answer = way(request)
    status = ANSWERS[operation_id, slug]

    assert answer.status_code == status
    if status >= 400 and request.path.startswith("/auth/"):
        assert answer.json()["error"] == BY_SLUG[slug].oauth
    elif status >= 400:
        assert answer.json()["type"].endswith(f"/problems/{slug}")


def test_no_way_leads_to_what_is_not_documented() -> None:
    """A way is removed with the answer that it leads to."""
    assert SPECIAL.keys() <= ANSWERS.keys()
    assert WAYS.keys() <= {slug for _, slug in ANSWERS}
