import json
from uuid import uuid4

import httpx
import pytest
from tests.service import PASSWORD, Service, logged


@pytest.fixture
def email() -> str:
    """An address that nobody has yet."""
    return f"{uuid4().hex}@example.org"


@pytest.mark.asvs("V15.3.1")
def test_add_and_list(admin: httpx.Client, email: str) -> None:
    """A new user is listed; the answer has no password where one was given."""
    added = admin.post(
        "/users", json={"email": email, "full_name": " Grace  Hopper ", "role": "attorney", "password": PASSWORD}
    )
    user = {key: value for key, value in added.json().items() if key != "generated_password"}

    assert added.status_code == 201
    assert added.json()["generated_password"] is None
    assert user.keys() == {"id", "email", "full_name", "role", "is_active", "created_at", "password_expires_at"}
    assert user in admin.get("/users").json()["items"]


def test_generated_password(service: Service, admin: httpx.Client, email: str) -> None:
    """Without a password one is made and shown, and it signs in."""
    password = admin.post("/users", json={"email": email, "full_name": "Grace", "role": "admin"}).json()[
        "generated_password"
    ]
    answer = service.client().post("/auth/token", data={"username": email, "password": password})

    assert answer.status_code == 200


def test_addresses_are_unique(admin: httpx.Client, email: str) -> None:
    """Whatever its case, an address has one user."""
    new = {"email": email, "full_name": "Grace", "role": "attorney"}
    admin.post("/users", json=new)
    answer = admin.post("/users", json={**new, "email": email.upper()})

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "email-taken")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"email": "nobody"}, ["email"]),
        ({"email": "a@example.org\ud800"}, ["email"]),
        ({"full_name": ""}, ["full_name"]),
        ({"full_name": "x" * 101}, ["full_name"]),
        ({"full_name": "a\0"}, ["full_name"]),
        ({"role": "owner"}, ["role"]),
        ({"email": "bob", "full_name": ""}, ["email", "full_name"]),
        ({"role": None}, ["role"]),
        ({"password": "short"}, ["password"]),
        ({"password": "password1234"}, ["password"]),
        ({"password": "\ud800" * 20}, ["password"]),
        ({"password": "x" * 1025}, ["password"]),
        ({"is_active": False}, ["is_active"]),
        ({"id": "1", "role": 1}, ["id", "role"]),
    ],
)
def test_wrong_users(admin: httpx.Client, email: str, change: dict[str, object], fields: list[str]) -> None:
    """Each wrong field is named, and nobody is added."""
    body = json.dumps({"email": email, "full_name": "Grace", "role": "attorney", **change})
    answer = admin.post("/users", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert email not in admin.get("/users").text


def test_missing_fields(admin: httpx.Client) -> None:
    """All that is missing is named at once."""
    answer = admin.post("/users", json={})

    assert [error["field"] for error in answer.json()["errors"]] == ["email", "full_name", "role"]


def test_change(admin: httpx.Client, email: str) -> None:
    """Name, role and activity can be changed, and nothing else."""
    user = admin.post("/users", json={"email": email, "full_name": "Grace", "role": "attorney"}).json()
    path = f"/users/{user['id']}"
    changed = admin.patch(path, json={"full_name": "Grace Hopper", "is_active": False})

    assert changed.status_code == 200
    assert (changed.json()["full_name"], changed.json()["is_active"]) == ("Grace Hopper", False)
    for body in (
        {},
        {"email": "other@example.org"},
        {"is_active": "true"},
        {"is_active": 1},
        {"role": "owner"},
        {"full_name": None},
    ):
        assert admin.patch(path, json=body).status_code == 422


@pytest.mark.asvs("V16.2.1-2")
def test_who_made_whom_an_admin(admin: httpx.Client, email: str) -> None:
    """The log says who added and changed whom, and what the user may do from then on."""
    added = admin.post("/users", json={"email": email, "full_name": "Grace", "role": "attorney"})
    user_id = added.json()["id"]
    changed = admin.patch(f"/users/{user_id}", json={"role": "admin"})
    me = {"user_id": admin.get("/me").json()["id"], "target": user_id}

    assert "user_created" in [line["event"] for line in logged(added.headers["x-request-id"])]
    (updated, request) = logged(changed.headers["x-request-id"])
    assert updated | {"event": "user_updated", "role": "admin", "is_active": True, **me} == updated
    assert request | {"route": "/users/{user_id}", **me} == request


def test_the_last_admin_stays(admin: httpx.Client) -> None:
    """Nobody can lock the firm out of its own user management."""
    me = admin.get("/me").json()
    others = [
        user for user in admin.get("/users").json()["items"] if user["role"] == "admin" and user["id"] != me["id"]
    ]
    for other in others:
        admin.patch(f"/users/{other['id']}", json={"is_active": False})

    for change in ({"role": "attorney"}, {"is_active": False}):
        answer = admin.patch(f"/users/{me['id']}", json=change)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "last-admin")


@pytest.mark.asvs("V8.2.1")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users"),
        ("POST", "/users"),
        ("PATCH", "/users/8f14e45f-ceea-467f-9575-1d7f1f1f1f1f"),
        ("PATCH", "/users/x"),
    ],
)
def test_attorneys_may_not(attorney: httpx.Client, method: str, path: str) -> None:
    """Who may not manage users learns nothing about them, nor what a good request would be."""
    answer = attorney.request(method, path, content=b"{not json")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "not-allowed")
