"""What one network address may take of what is there for all: places for uploads, and room for files."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.documents import pdf
from tests.service import LOG, Service, form, running
from tests.web import text_of

ONE, OTHER = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
PATIENCE = 10.0
UPLOAD = (
    b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n--x\r\n"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service behind a proxy, with four places for uploads and a megabyte a day for each address."""
    with running(
        tmp_path_factory.mktemp("shared") / "data",
        MAX_UPLOADS="4",
        RATE_LIMIT_SUBMIT="1000/minute",
        RATE_LIMIT_MEGABYTES="1/day",
        TRUSTED_PROXIES="127.0.0.1",
    ) as service:
        yield service


def submit(
    client: httpx.Client, headers: dict[str, str], size: int = 1000, to: str = "/public/leads"
) -> httpx.Response:
    """Send a form with a file of that size."""
    return client.post(to, **form(resume=("cv.pdf", pdf(size))), headers={"Sec-Fetch-Site": "same-origin", **headers})


def until(status: int, client: httpx.Client) -> httpx.Response:
    """Send forms until one is answered so."""
    deadline = time.monotonic() + PATIENCE
    while (answer := submit(client, ONE)).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


@pytest.mark.asvs("V2.3.2", "V2.4.1")
@pytest.mark.attack(33)
def test_slow_uploads_of_one_address_leave_room(shared: Service) -> None:
    """Who holds two of four places is a 429 with a third; everybody else gets in, and so does who comes back later."""
    client = shared.client()
    begin = len(LOG.getvalue())
    with ExitStack() as stack:
        for _ in range(2):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", shared.port)))
            slow.sendall(UPLOAD)
        refused = until(429, client)
        page = submit(client, ONE, to="/")
        other = submit(client, OTHER)
    afterwards = until(201, client)

    assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("application/problem+json", "5")
    assert refused.json()["type"].endswith("/problems/too-many-requests")
    assert "on their way from your network address" in refused.json()["detail"]
    assert (page.status_code, page.headers["retry-after"]) == (429, "5")
    assert "Try again in 5 seconds." in text_of(page.text)
    assert (other.status_code, afterwards.status_code) == (201, 201)
    assert b'"limit":"uploads"' in LOG.getvalue()[begin:]


@pytest.mark.asvs("V5.2.4")
def test_room_for_files(shared: Service) -> None:
    """What is more than an address may bring in a day is a 429 and not stored; less, and what others bring, is."""
    client = shared.client()
    far = {"X-Forwarded-For": "203.0.113.9"}
    first = submit(client, far, 600_000)
    before = shared.stored()
    refused = [submit(client, far, 600_000, to) for to in ("/public/leads", "/")]
    after = shared.stored()
    smaller, other = submit(client, far, 300_000), submit(client, OTHER, 600_000)

    assert first.status_code == 201
    assert [answer.status_code for answer in refused] == [429, 429]
    assert after == before
    assert refused[0].json()["type"].endswith("/problems/too-many-requests")
    assert "megabytes" in refused[0].json()["detail"]
    assert 0 < int(refused[0].headers["retry-after"]) <= 2 * 86_400
    assert " hours." in text_of(refused[1].text)
    assert (smaller.status_code, other.status_code) == (201, 201)


def test_off(tmp_path: Path) -> None:
    """Where submissions are not limited, neither are their files nor the places they take."""
    with running(tmp_path / "data", MAX_UPLOADS="3", RATE_LIMIT_SUBMIT="off") as service, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port))).sendall(UPLOAD)
        answer = until(503, service.client())

    assert service.settings.rate_limit_megabytes is None
    assert answer.json()["type"].endswith("/problems/unavailable")
