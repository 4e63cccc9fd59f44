import re
from pathlib import Path

import httpx
import pytest
from tests.service import Service, logged, running

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}

ANSWERS = [
    ("GET", "/health", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/docs", 200),
    ("GET", "/docs/swagger-ui.css", 200),
    ("GET", "/problems/not-found", 200),
    ("POST", "/auth/token", 400),
    ("GET", "/leads", 401),
    ("GET", "/nothing/at/all", 404),
    ("GET", "/problems/nothing", 404),
    ("GET", "/docs/start.js/..%2f..%2fsecret", 404),
    ("GET", "/docs/index.html", 404),
    ("GET", "/auth/nothing", 404),
    ("GET", "/%2e%2e/health", 404),
    ("GET", "/health;x=1", 404),
    ("GET", "/inbox%00", 404),
    ("GET", "/" + "x" * 10_000, 404),
    ("TRACE", "/leads", 405),
    ("PROPFIND", "/leads", 405),
    ("GET", "/public/leads", 405),
    ("DELETE", "/auth/token", 405),
    ("POST", "/public/leads", 415),
]


@pytest.mark.asvs(
    "V3.4.3",
    "V3.4.4",
    "V3.4.5",
    "V3.4.6",
    "V3.4.8",
    "V3.5.8",
    "V4.1.1",
    "V4.1.4",
    "V5.3.1",
    "V13.4.2-5",
    "V13.4.6",
    "V14.2.2",
)
@pytest.mark.attack(27, 154, 157, 159)
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer(anyone: httpx.Client, method: str, path: str, status: int) -> None:
    """Whatever the answer and whoever gives it, it has the same headers and the same shape."""
    answer = anyone.request(method, path)

    assert answer.status_code == status
    assert ALWAYS.items() <= dict(answer.headers).items()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == ("no-store" if ".css" not in path else "public, max-age=86400")
    assert re.fullmatch("[0-9a-f]{12}-[0-9a-f]+", answer.headers["x-request-id"])
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers
    if status >= 400:
        oauth = path.startswith("/auth/")
        assert answer.headers["content-type"] == ("application/json" if oauth else "application/problem+json")
        assert answer.json().keys() >= (
            {"error", "error_description"} if oauth else {"type", "title", "status", "detail", "request_id"}
        )
    if status == 405:
        assert answer.headers["allow"]


def test_problems_lead_to_their_page(anyone: httpx.Client) -> None:
    """The type of a problem is the address of a page about it."""
    problem = anyone.get("/nothing").json()
    page = anyone.get(problem["type"].removeprefix("http://127.0.0.1:8000"))

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert problem["title"] in page.text
    assert (
        problem["request_id"]
        == anyone.get("/nothing", headers={"X-Request-ID": problem["request_id"]}).headers["x-request-id"]
    )


@pytest.mark.parametrize(
    ("given", "is_kept"), [("abc-DEF_1.2", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ('"', False)]
)
def test_request_ids(anyone: httpx.Client, given: str, *, is_kept: bool) -> None:
    """A plain id of the client is used; any other is not even repeated."""
    answer = anyone.get("/health", headers={"X-Request-ID": given})

    assert (answer.headers["x-request-id"] == given) is is_kept


@pytest.mark.asvs("V3.4.1")
def test_strict_transport_security(tmp_path: Path) -> None:
    """Where the service is reached by https, browsers shall not come by http any more."""
    with running(tmp_path / "data", BASE_URL="https://firm.example") as service:
        for path in ("/health", "/nothing"):
            answer = service.client().get(path, headers={"Host": "firm.example"})
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


class TestHosts:
    """Only names of the service are answered."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:1", "LOCALHOST:65535", "[::1]:8000"])
    def test_own(self, service: Service, host: str) -> None:
        """With or without a port."""
        answer = service.raw(f"GET /nothing HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

        assert answer.startswith(b"HTTP/1.1 404 ")

    @pytest.mark.attack(152)
    @pytest.mark.parametrize(
        "headers",
        [
            "Host: evil.example\r\n",
            "Host: localhost.evil.example\r\n",
            "Host: localhostXevil\r\n",
            "Host: user@localhost\r\n",
            "Host: localhost:port\r\n",
            "Host: localhost:123456\r\n",
            "Host: localhost, evil.example\r\n",
            "Host: localhost\r\nHost: localhost\r\n",
            "Host: localhost\r\nHost: evil.example\r\n",
            "Host: \r\n",
            "",
        ],
    )
    def test_foreign(self, service: Service, headers: str) -> None:
        """Foreign, missing, doubled or garbled: a 400, also before anything else of the request is looked at."""
        answer = service.raw(f"GET /leads HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())

        assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.asvs("V14.2.1", "V16.2.1-2", "V16.2.5", "V16.3.1-3")
def test_nothing_private_is_logged(anyone: httpx.Client) -> None:
    """A line of the log has the route, never the path, the query or a header."""
    answer = anyone.get(
        "/leads/private-1?q=private-2", headers={"User-Agent": "private-3", "Authorization": "Bearer private-4"}
    )
    lines = logged(answer.headers["x-request-id"])

    assert len(lines) == 1
    assert "private" not in str(lines)
    assert lines[0].keys() >= {"timestamp", "event", "method", "route", "status", "duration_ms", "client", "problem"}


class TestCors:
    """Pages of other sites may call the service where a setting says so."""

    @pytest.mark.asvs("V3.4.2")
    @pytest.mark.attack(156)
    def test_off(self, anyone: httpx.Client) -> None:
        """By default no origin is allowed."""
        asked = {"Origin": "https://firm.example", "Access-Control-Request-Method": "POST"}

        assert "access-control-allow-origin" not in anyone.options("/public/leads", headers=asked).headers
        assert "access-control-allow-origin" not in anyone.get("/health", headers=asked).headers

    @pytest.mark.asvs("V3.4.2")
    @pytest.mark.attack(156)
    def test_on(self, tmp_path: Path) -> None:
        """Exactly the origins that were named."""
        with running(tmp_path / "data", ALLOWED_ORIGINS="https://firm.example") as service:
            client = service.client()

            def allowed(origin: str) -> str | None:
                asked = {
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "Idempotency-Key",
                }
                answer = client.options("/public/leads", headers=asked)
                found: str | None = answer.headers.get("access-control-allow-origin")
                return found

            assert allowed("https://firm.example") == "https://firm.example"
            for origin in (
                "https://firmxexample",
                "https://firm.example.evil",
                "null",
                "http://firm.example",
                "https://evil.example",
            ):
                assert allowed(origin) is None
            refused = client.post("/public/leads", headers={"Origin": "https://firm.example"})
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (
                415,
                "https://firm.example",
            )


class TestDocs:
    """The documentation."""

    @pytest.mark.asvs("V1.2.3")
    def test_needs_nothing_from_elsewhere(self, anyone: httpx.Client) -> None:
        """Everything that the page loads is served here, and nothing of it is inline."""
        page = anyone.get("/docs")
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)

        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert all(anyone.get(link).status_code == 200 for link in links)
        assert not re.search(r"<style|style=|<script>|https?://", page.text)

    @pytest.mark.asvs("V13.4.2-5")
    def test_may_be_hidden(self, tmp_path: Path) -> None:
        """A setting hides them."""
        with running(tmp_path / "data", DOCS="off") as service:
            statuses = [service.client().get(path).status_code for path in ("/docs", "/openapi.json", "/docs/start.js")]

            assert statuses == [404, 404, 404]
