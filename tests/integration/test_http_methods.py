"""Methods and headers that hold for pages and calls alike."""

import httpx
import pytest
from tests.service import Service, form
from tests.web import signed_in, visitor

from leadintake.entrypoints.web.pages import VERSION

ALWAYS = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
STYLE = f"/assets/{VERSION}/site.css"
CALLS = ["/health", "/openapi.json", "/docs", "/problems/not-found", "/leads?limit=1", "/me", "/users", "/nothing"]
PAGES = [
    "/",
    "/received/LD-7F3K9QX2/x",
    "/inbox",
    "/inbox/account",
    "/inbox/users",
    "/inbox/sign-in",
    "/inbox/x",
    STYLE,
]
KEPT = {STYLE: "public, max-age=31536000, immutable", "/": "private, no-cache"}
"""What a browser may keep of them."""
CHANGING = {"date", "x-request-id", "content-length"}
"""What two answers to the same request may have of their own; two pages may be a ticket or a time apart."""


def compared(client: httpx.Client, path: str) -> None:
    """See that HEAD tells what GET does, without the body."""
    got, head = client.get(path), client.head(path)
    told = [{name: value for name, value in answer.headers.items() if name not in CHANGING} for answer in (got, head)]

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert told[0] == told[1]
    assert "content-length" in head.headers


@pytest.mark.parametrize("path", CALLS)
def test_head_of_calls(admin: httpx.Client, path: str) -> None:
    """HEAD is GET without the body."""
    compared(admin, path)


@pytest.mark.parametrize("path", PAGES)
def test_head_of_pages(service: Service, path: str) -> None:
    """Signed in or not, where a page leads elsewhere too."""
    compared(signed_in(service, "admin@example.org"), path)
    compared(visitor(service), path)


def test_head_of_a_resume(service: Service, attorney: httpx.Client) -> None:
    """The file is named and measured, and not sent; the connection serves on."""
    lead = service.client().post("/public/leads", **form()).json()["id"]
    compared(attorney, f"/leads/{lead}/resume")

    assert attorney.get("/me").status_code == 200


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/public/leads", "OPTIONS, POST"), ("/leads", "GET, HEAD, OPTIONS"), ("/", "GET, HEAD, OPTIONS, POST")],
)
def test_allow(anyone: httpx.Client, path: str, allow: str) -> None:
    """Both answers that list the methods list the same ones, HEAD among them where there is GET."""
    refused = anyone.request("TRACE", path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allow)
    assert anyone.options(path).headers["allow"] == allow


def test_head_where_there_is_no_get(anyone: httpx.Client) -> None:
    """A call that only takes POST takes no HEAD."""
    answer = anyone.head("/public/leads")

    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LINK", "PURGE", "FROB"])
@pytest.mark.parametrize("path", ["/", "/inbox", "/leads", STYLE])
def test_other_methods(anyone: httpx.Client, method: str, path: str) -> None:
    """A method that HTTP parsers know is 405, any other is 501; neither does anything."""
    answer = anyone.request(method, path)

    assert answer.status_code == (501 if method == "FROB" else 405)
    assert ALWAYS.items() <= dict(answer.headers).items()
    assert method not in answer.text


@pytest.mark.parametrize("path", [*PAGES, "/inbox/leads/nothing"])
def test_headers_of_pages(service: Service, path: str) -> None:
    """A page, what it loads, and the way from one to another are safe in the same way."""
    for client in (visitor(service), signed_in(service, "admin@example.org")):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]

        assert ALWAYS.items() <= dict(answer.headers).items()
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] in {"same-origin", "no-referrer"}
        assert answer.headers["cache-control"] == KEPT.get(path, "no-store")
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "sent",
    [
        b"FROB / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ],
)
def test_headers_of_what_is_no_request(service: Service, sent: bytes) -> None:
    """What the application never saw as a request has the headers of any other answer."""
    head = service.raw(sent).partition(b"\r\n\r\n")[0].decode()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}

    assert ALWAYS.items() <= headers.items()
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-request-id"]


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "nonsense", "application/xml, */*;q=0"])
@pytest.mark.parametrize("path", ["/health", "/", STYLE, "/leads"])
def test_accept_is_not_looked_at(admin: httpx.Client, accept: str, path: str) -> None:
    """Who asks for what is not made here gets what is."""
    answer, usual = admin.get(path, headers={"Accept": accept}), admin.get(path)

    assert answer.status_code == usual.status_code == 200
    assert answer.headers["content-type"] == usual.headers["content-type"]
