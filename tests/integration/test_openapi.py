"""The OpenAPI document says what the service does."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service import running

from leadintake.entrypoints.errors import BY_SLUG

Operations = list[tuple[str, str, dict[str, Any]]]
OPEN = {
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "POST /auth/revoke",
    "POST /auth/token",
    "POST /public/leads",
}
"""All calls that need no token. What is added to the API is not open by mistake."""

ID = "8f14e45f-ceea-467f-9575-1d7f1f1f1f1f"


@pytest.fixture(scope="module")
def document(anyone: httpx.Client) -> dict[str, Any]:
    """The document as served."""
    found: dict[str, Any] = anyone.get("/openapi.json").raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> Operations:
    """Method, path and description of each call."""
    return [(method, path, about) for path, item in document["paths"].items() for method, about in item.items()]


def test_every_call_is_described(operations: Operations) -> None:
    """Each has a stable id, a summary, a description and a tag."""
    ids = [about["operationId"] for *_, about in operations]

    assert len(ids) == len(set(ids)) == 24
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in ids)
    for _, path, about in operations:
        assert about["summary"], path
        assert about["description"], path
        assert about["tags"], path
        assert all(
            parameter["description"] for parameter in about.get("parameters", ()) if parameter["in"] != "path"
        ), path


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No schema is missing, and none is unused."""
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))

    assert used == set(document["components"]["schemas"])


def test_errors_are_problems(operations: Operations) -> None:
    """Every error has the one shape, and is called by the name of its page."""
    for _, path, about in operations:
        media_type = "application/json" if path.startswith("/auth/") else "application/problem+json"
        for status, answer in about["responses"].items():
            assert "X-Request-ID" in answer["headers"]
            if status >= "400":
                assert list(answer["content"]) == [media_type], path
                slugs = re.findall(r"\(`([a-z-]+)`\)", answer["description"])
                assert slugs
                assert {BY_SLUG[slug].status for slug in slugs} == {int(status)}


def test_headers_that_statuses_bring(operations: Operations) -> None:
    """Retry-After and WWW-Authenticate stand where they belong, and nowhere else."""
    for *_, about in operations:
        for status, answer in about["responses"].items():
            assert ("Retry-After" in answer["headers"]) is (status in {"429", "503"})
            assert ("WWW-Authenticate" in answer["headers"]) is (status == "401")


@pytest.mark.asvs("V8.1.1-2")
def test_what_needs_no_token(operations: Operations) -> None:
    """Everything else does; `test_roles` asks each call whether that is so."""
    assert {f"{method.upper()} {path}" for method, path, about in operations if "security" not in about} == OPEN


@pytest.mark.asvs("V8.1.1-2")
def test_roles(operations: Operations, anyone: httpx.Client, attorney: httpx.Client, admin: httpx.Client) -> None:
    """Who may call what is what the document says, for every call there is."""
    for method, path, about in operations:
        url = re.sub(r"\{\w+\}", ID, path)
        is_protected = "401" in about["responses"]
        is_for_admins = is_protected and "403" in about["responses"]

        assert is_protected is ("security" in about)
        assert (anyone.request(method, url).status_code == 401) is is_protected, url
        assert (attorney.request(method, url).status_code == 403) is is_for_admins, url
        assert admin.request(method, url).status_code not in {401, 403}, url


@pytest.mark.asvs("V2.2.1")
def test_unknown_and_wrong_values_are_ruled_out(operations: Operations) -> None:
    """A JSON body lists all its fields, and one that changes something has at least one."""
    for method, path, about in operations:
        schema = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema:
            assert schema["additionalProperties"] is False, path
            assert (schema.get("minProperties") == 1) is (method == "patch"), path


def test_behind_a_path(tmp_path: Path) -> None:
    """Where a proxy serves it under a path, document and page say so."""
    with running(tmp_path / "data", BASE_URL="http://localhost/intake") as service:
        document = service.client().get("/openapi.json").json()
        page = service.client().get("/docs").text

        assert document["servers"] == [{"url": "/intake"}]
        assert (
            document["components"]["securitySchemes"]["OAuth2"]["flows"]["password"]["tokenUrl"] == "/intake/auth/token"
        )
        assert all(link.startswith("/intake/") for link in re.findall(r'(?:src|href|document)="([^"]+)"', page))
