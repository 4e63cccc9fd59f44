"""A running service with real things in it, for requests that are made up from its OpenAPI document."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from tests.fakes import MemoryFiles, PlainPasswords
from tests.passwords import with_passwords
from tests.service import PASSWORD, Service, form, running

from leadintake.application.app import App
from leadintake.domain.people import Role
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.settings.environment import load

ADMIN = "admin@example.org"
ATTORNEY = "attorney@example.org"
LEADS = 5
"""How many there are from the start, for lists of several pages."""
FROM_QUARANTINE = ("/leads/{lead_id}/release", "/leads/{lead_id}/discard")


def document() -> dict[str, Any]:
    """The OpenAPI document, from an application that does not run."""

    async def served() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(load({}, {})))  # type: ignore[arg-type] # Litestar's ASGIApp is one
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/openapi.json")

    found: dict[str, Any] = asyncio.run(served()).raise_for_status().json()
    return found


def operations(of: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each call, by its operationId."""
    return {
        about["operationId"]: (method.upper(), path, about)
        for path, item in of["paths"].items()
        for method, about in item.items()
    }


@dataclass
class Supplies:
    """Each method makes something new, so that no request takes from another what it needs."""

    service: Service
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.anyone = self.service.client()
        self.token = str(self.grant(ADMIN)["access_token"])
        self.admin = self.service.client(self.token)

    def grant(self, email: str) -> dict[str, Any]:
        """The tokens of a session."""
        answer = self.anyone.post("/auth/token", data={"username": email, "password": PASSWORD})
        granted: dict[str, Any] = answer.raise_for_status().json()
        return granted

    def email(self) -> str:
        """An address that nobody has."""
        return f"{next(self.numbers)}@example.org"

    def colleague(self) -> str:
        """The address of an attorney."""
        email = self.email()
        self.service.add_user(email)
        return email

    def lead_id(self) -> str:
        """A lead of version 1."""
        return str(self.anyone.post("/public/leads", **form()).raise_for_status().json()["id"])

    def quarantined_id(self) -> str:
        """A lead in quarantine."""
        robot = form(first_name="http://a.example", last_name="http://b.example")
        return str(self.anyone.post("/public/leads", **robot).raise_for_status().json()["id"])

    def delivery_id(self) -> str:
        """A delivery that is held."""
        deliveries = self.admin.get(f"/leads/{self.lead_id()}/deliveries").raise_for_status().json()["items"]
        return next(str(delivery["id"]) for delivery in deliveries if delivery["status"] == "held")

    def session_id(self) -> str:
        """A session of the admin; a refresh token begins with its id."""
        return str(self.grant(ADMIN)["refresh_token"].partition(".")[0])

    def user_id(self) -> str:
        """An attorney."""
        new = {"email": self.email(), "full_name": "Grace Hopper", "role": "attorney", "password": PASSWORD}
        return str(self.admin.post("/users", json=new).raise_for_status().json()["id"])

    def path(self, template: str) -> str:
        """The path to new things."""
        if template in FROM_QUARANTINE:
            return template.format(lead_id=self.quarantined_id())
        made = {name: getattr(self, name) for name in ("lead_id", "delivery_id", "session_id", "user_id")}
        return template.format_map({name: make() for name, make in made.items() if f"{{{name}}}" in template})


def linking(app: App) -> App:
    """An application whose files are in memory, with links as an object store makes them."""
    files = MemoryFiles(address="https://store.example/bucket")
    intake, desk = replace(app.intake, files=files), replace(app.desk, files=files)
    return replace(app, files=files, intake=intake, desk=desk, retention=replace(app.retention, files=files))


@contextmanager
def supplied(folder: Path, change: Callable[[App], App] = lambda app: app, **settings: str) -> Iterator[Supplies]:
    """A service with an admin and an attorney. Its passwords are neither hashed nor judged, which takes long."""

    def quick(app: App) -> App:
        return with_passwords(app, PlainPasswords())

    # One attorney is told, whoever is added; and of the confirmations to Ada, all but one are held.
    few: dict[str, Any] = {"ATTORNEY_EMAIL": ATTORNEY, "CONFIRMATIONS_PER_ADDRESS": "1/day", **settings}
    with running(folder / "data", lambda app: change(quick(app)), **few) as service:
        service.app = quick(service.app)
        service.add_user(ADMIN, Role.ADMIN, "Admin Istrator")
        supplies = Supplies(service)
        for _ in range(LEADS):
            supplies.lead_id()
        yield supplies
