"""Requests that no honest client makes, on a connection of their own."""

import re

import httpx
import pytest
from tests.documents import pdf
from tests.service import Service, form

HEAD = (
    b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n"
)


def body() -> bytes:
    """A good form with the boundary x."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return httpx.Request("POST", "http://h", headers=headers, **form()).read()


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """A chunk of a body."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


@pytest.mark.long
@pytest.mark.asvs("V4.2.1")
@pytest.mark.attack(20)
@pytest.mark.parametrize(
    "sent",
    [
        b"xyz\r\n" + body() + b"\r\n0\r\n\r\n",
        b"-5\r\n" + body() + b"\r\n0\r\n\r\n",
        b"0x" + chunk(body()) + b"0\r\n\r\n",
        b"f" * 20 + b"\r\n" + body() + b"\r\n0\r\n\r\n",
        chunk(body())[:-2] + b"more than was said\r\n0\r\n\r\n",
        chunk(body())[:-9],
        b"\r\n" + chunk(body()) + b"0\r\n\r\n",
    ],
)
def test_broken_chunks(service: Service, sent: bytes) -> None:
    """A chunk whose length is none, or not its length, is refused, and nothing of the form is stored."""
    before = service.stored()
    answer = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + sent)

    assert answer[9:12] in {b"400", b""}
    assert service.stored() == before


@pytest.mark.parametrize(
    "sent",
    [
        chunk(body(), b";" + b"x" * 2**20) + b"0\r\n\r\n",
        chunk(body()) + b"0\r\nContent-Length: 5\r\nHost: evil.example\r\nX: y\r\n\r\n",
    ],
)
def test_what_comes_with_chunks_means_nothing(service: Service, sent: bytes) -> None:
    """An extension of a megabyte and headers after the end are refused or ignored, and the next request is answered."""
    answer = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + sent)

    assert answer[9:12] in {b"201", b"400", b"431", b""}
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert service.client().get("/health").status_code == 200


@pytest.mark.attack(23)
def test_a_length_that_is_too_short(service: Service) -> None:
    """A form that is cut off by its length is refused, and the rest of it is no request."""
    before = service.stored()
    sent = body()
    answer = service.raw(HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: 99\r\n\r\n" + sent)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 2" not in answer
    assert service.stored() == before


@pytest.mark.attack(30)
def test_requests_in_a_row(service: Service) -> None:
    """A hundred requests at once on one connection are answered in their order."""
    requests = [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: row-%d\r\n%s\r\n"
        % (number, b"Connection: close\r\n" if number == 99 else b"")
        for number in range(100)
    ]
    answer = service.raw(b"".join(requests))

    assert re.findall(rb"x-request-id: row-(\d+)", answer) == [b"%d" % number for number in range(100)]


@pytest.mark.asvs("V1.1.1")
def test_what_looks_encoded_twice_stays_as_it_is(anyone: httpx.Client, attorney: httpx.Client) -> None:
    """What is decoded once is not decoded again: neither in a name, nor in a path, nor in a query."""
    sent = form(first_name="%41da", last_name="&#65;da\\u0041", resume=("%2e%2e%2fcv.pdf", pdf()))
    lead_id = anyone.post("/public/leads", **sent).json()["id"]
    lead = attorney.get(f"/leads/{lead_id}").json()

    assert (lead["first_name"], lead["last_name"]) == ("%41da", "&#65;da\\u0041")
    assert lead["resume_name"] == "%2e%2e%2fcv.pdf"
    assert anyone.get("/%252e%252e/health").status_code == 404
    assert attorney.get(f"/leads/%2525{lead_id}").status_code == 404
    assert attorney.get("/leads?state=%2550ENDING").status_code == 422


@pytest.mark.attack(85)
@pytest.mark.parametrize("said", ["text/html", "application/x-msdownload", "nonsense", "application/pdf; x=y"])
def test_the_type_that_a_client_says_does_not_count(anyone: httpx.Client, attorney: httpx.Client, said: str) -> None:
    """A file is what its content is, when it is stored and when it is handed out."""
    answer = anyone.post("/public/leads", **form(resume=("cv.pdf", pdf(), said)))
    resume = attorney.get(f"/leads/{answer.json()['id']}/resume")

    assert answer.status_code == 201
    assert resume.headers["content-type"] == "application/pdf"


@pytest.mark.attack(135)
@pytest.mark.parametrize("wish", ["image/png", "text/html;q=0", "*/*;q=nan", "a" * 8_000, ";;,,"])
def test_what_is_accepted_is_a_wish(attorney: httpx.Client, wish: str) -> None:
    """Whatever a client says that it accepts, a call is answered in JSON."""
    answer = attorney.get("/leads", headers={"Accept": wish})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
