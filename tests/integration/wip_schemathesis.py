"""Schemathesis makes up requests from the OpenAPI document, right ones and wrong ones, and judges the answers."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from tests.documents import pdf
from tests.fakes import PlainPasswords
from tests.service import PASSWORD, Service, form, running

from leadintake.application.app import App
from leadintake.domain.people import Role
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.settings import load

CASES = 100

ADMIN = "admin@example.org"
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

CONFIG: dict[str, Any] = {
    "seed": 1,
    "generation": {
        "max-examples": CASES,
        "database": "none",
        "allow-x00": False,
        "with-security-parameters": False,
    },
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "412"]},
    },
}


async def served() -> dict[str, Any]:
    """The document, from an application that does not run."""
    transport = httpx.ASGITransport(create_app(load({}, {})))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


DOCUMENT = asyncio.run(served())
OPERATIONS = {about["operationId"]: about for item in DOCUMENT["paths"].values() for about in item.values()}

DOCUMENT["components"]["securitySchemes"]["Bearer"] = {"type": "http", "scheme": "bearer"}
for about in OPERATIONS.values():
    if "security" in about:
        about["security"][0]["Bearer"] = []

schemathesis.openapi.format("binary", st.just(pdf()))

from functools import cache
import json

@cache
def api(codec):
    config = SchemathesisConfig.from_dict(CONFIG)
    config.projects.default.generation.update(codec=codec)
    a = schemathesis.openapi.from_dict(DOCUMENT, config=config)
    a.hook(before_generate_case)
    return a

def before_generate_case(context: schemathesis.HookContext, strategy):
    ids = st.from_regex(r"[!-~\u00a1-\u00ff][ -~\u00a1-\u00ff]{0,70}", fullmatch=True)
    return st.builds(named, strategy, ids)

def named(case, request_id):
    case.headers["X-Request-ID"] = request_id
    return case


@dataclass
class Supplies:
    """Real things for made-up requests, so that they come further than to a 404 or a wrong password."""

    service: Service
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.anyone = self.service.client()
        self.admin = self.client()

    def grant(self, email=ADMIN) -> dict[str, Any]:
        """The tokens of a new session."""
        answer = self.anyone.post("/auth/token", data={"username": email, "password": PASSWORD})
        granted: dict[str, Any] = answer.raise_for_status().json()
        return granted

    def client(self):
        return self.service.client(self.grant()["access_token"])

    def lead_id(self) -> str:
        return self.anyone.post("/public/leads", **form()).raise_for_status().json()["id"]

    def delivery_id(self) -> str:
        items = self.admin.get(f"/leads/{self.lead_id()}/deliveries").raise_for_status().json()["items"]
        return items[0]["id"]

    def session_id(self) -> str:
        sessions = self.client().get("/me/sessions").json()["items"]
        return next(s["id"] for s in sessions if s["current"])

    def user_id(self) -> str:
        users = self.admin.get("/users").json()["items"]
        return next(u["id"] for u in users if u["email"] == "attorney@example.org")

    def fit(self, case) -> None:
        """Put real things in the place of made-up ones."""
        headers = {"Authorization": self.admin.headers["Authorization"]}
        for name, value in case.path_parameters.items():
            if is_id(value) and UUID(value).int % 8:
                case.path_parameters[name] = getattr(self, name)()
        if re.fullmatch("[!-~]{1,255}", case.headers.get("Idempotency-Key", "")):
            case.headers["Idempotency-Key"] = str(next(self.numbers))
        if case.meta.generation.mode.is_positive:
            self.fill_in(case.query)
            if isinstance(case.body, dict):
                self.fill_in(case.body)
                if "current_password" in case.body:
                    email = f"{next(self.numbers)}@example.org"
                    self.service.add_user(email, Role.ADMIN)
                    headers = {"Authorization": f"Bearer {self.grant(email)['access_token']}"}
        return headers

    def fill_in(self, fields):
        if "cursor" in fields:
            params = {k: v for k, v in fields.items() if k not in ("cursor", "limit")}
            c = self.admin.get("/leads", params={**params, "limit": 1}).json()["next_cursor"]
            if c:
                fields["cursor"] = c
            else:
                del fields["cursor"]
        if "current_password" in fields:
            fields["current_password"] = PASSWORD
        if "username" in fields and "password" in fields:
            fields |= {"username": ADMIN, "password": PASSWORD}
        if "refresh_token" in fields:
            fields["refresh_token"] = self.grant()["refresh_token"]
        if "token" in fields:
            fields["token"] = self.grant()["access_token"]


def is_id(v):
    try:
        UUID(v)
    except Exception:
        return False
    return True


@pytest.fixture(scope="module")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supplies]:
    """A service"""

    def quick(app: App) -> App:
        passwords = PlainPasswords()
        return replace(
            app, accounts=replace(app.accounts, passwords=passwords), staff=replace(app.staff, passwords=passwords)
        )

    with running(tmp_path_factory.mktemp("service") / "data", quick, CONFIRMATIONS_PER_ADDRESS="1/day", ATTORNEY_EMAIL="attorney@example.org") as service:
        service = replace(service, app=quick(service.app))
        service.add_user(ADMIN, Role.ADMIN, "Admin Istrator")
        service.add_user("attorney@example.org", Role.ATTORNEY, "Atticus Finch")
        yield Supplies(service)

@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session

SEEN = {}

def fuzz(operation_id):
    codec = "ascii" if r"\\p{" in json.dumps(OPERATIONS[operation_id]) else "utf-8"
    print(operation_id, codec)
    @api(codec).include(operation_id=operation_id).parametrize()
    def test(case, supplies, session):
        c = SEEN.setdefault(operation_id, Counter())
        headers = supplies.fit(case)
        m = case.meta
        k=(m.phase.name.value, m.generation.mode.value)
        r = case.call_and_validate(base_url=supplies.service.url, session=session, headers=headers)
        c[(*k, r.status_code)] += 1
    return test

for operation_id in OPERATIONS:
    globals()[f"test_{operation_id}"] = fuzz(operation_id)

def test_zz():
    for k, v in SEEN.items():
        print(k, sum(v.values()), dict(v))
