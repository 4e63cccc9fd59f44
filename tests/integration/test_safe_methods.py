"""GET and HEAD change nothing, on whatever route."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from litestar.routes import HTTPRoute
from tests.service import Service, form, running
from tests.supplies import document, operations
from tests.web import signed_in

from leadintake.domain.people import Role
from leadintake.entrypoints.settings.environment import load
from leadintake.entrypoints.web import form as form_page
from leadintake.entrypoints.web import routes

ADMIN = "admin@example.org"
NO_ID = "00000000-0000-4000-8000-000000000000"
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own."""
    with running(tmp_path / "data") as service:
        service.add_user(ADMIN, Role.ADMIN)
        yield service


def readable() -> tuple[list[str], list[str]]:
    """The paths of all calls and of all pages that answer GET, so that no new one is forgotten."""
    calls = [path for method, path, _ in operations(document()).values() if method == "GET"]
    routers = [form_page.routes(load({}, {})), *routes.ROUTERS]
    pages = [route for router in routers for route in router.routes if isinstance(route, HTTPRoute)]
    return calls, [re.sub(r":\w+\}", "}", route.path) for route in pages if "GET" in route.methods]


def rows(service: Service) -> Rows:
    """All that is in the database."""
    with closing(sqlite3.connect(service.settings.data_dir / "leadintake.db")) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


def settled(service: Service) -> Rows:
    """The same, once no mail is under way."""
    deadline = time.monotonic() + 10
    while "pending" in repr(rows(service)["deliveries"]) or "sending" in repr(rows(service)["deliveries"]):
        assert time.monotonic() < deadline, "mail does not go out"
        time.sleep(0.01)
    return rows(service)


@pytest.mark.long
@pytest.mark.asvs("V3.5.3")
def test_reading_changes_nothing(service: Service) -> None:
    """Every table is as it was, but for the record of who opened a resume."""
    lead_id = service.client().post("/public/leads", **form()).json()["id"]
    clients = service.sign_in(ADMIN), signed_in(service, ADMIN)
    user_id = clients[0].get("/me").json()["id"]
    before, statuses = settled(service), []
    for client, paths in zip(clients, readable(), strict=True):
        for path in paths:
            known = path.replace("{lead_id}", lead_id).replace("{user_id}", user_id)
            for method in ("HEAD", "GET"):
                status = client.request(method, re.sub(r"\{\w+\}", NO_ID, known)).status_code
                after = rows(service)
                if path.endswith("/resume"):
                    opened = len(after["events"]) - len(before["events"])
                    assert opened == 1 or (opened, method) == (0, "HEAD"), path
                    before["events"] = after["events"]
                assert after == before, f"{method} {path}"
                statuses.append(status)

    assert statuses.count(200) > len(statuses) / 2
    assert max(statuses) < 500
