"""Requests that arrive too slowly, too large or garbled, sent over raw sockets."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from tests.service import LOG, Service, form, running

from leadintake.entrypoints.http.connection import Connection

PAUSE = 0.02
"""Seconds between the bytes of a client that sends one at a time."""

LONG = 1.5
"""Seconds: a deadline has to come before, even on a busy machine; what is sent takes far longer."""

HEAD = b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FORM = HEAD.replace(b"/public/leads", b"/")
LONG_FORM = FORM + b"Content-Length: 100000\r\n\r\n"
NAME = b'--b\r\nContent-Disposition: form-data; name="first_name"\r\n\r\nAda\r\n'
PART = b'--b\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n'
BEGUN_CHUNK = b"%x\r\n" % len(NAME + PART + b"%PDF-1.7") + NAME + PART + b"%PDF"


class Impatient(Connection):
    """Deadlines that a test can wait for."""

    head_seconds = 0.3
    body_seconds = 0.3
    body_bytes_per_second = 2_000


@dataclass(frozen=True)
class Answer:
    """What came back until the connection was closed, and after how many seconds it was.

    `rest` is what followed the first headers, another answer perhaps.
    """

    status: int
    headers: dict[str, str]
    problem: str
    rest: str
    after: float


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short deadlines, and room for one upload."""
    with running(tmp_path_factory.mktemp("impatient") / "data", http=Impatient, MAX_UPLOADS="1") as service:
        yield service


def dripped(service: Service, at_once: bytes, drip: bytes = b"x" * 200) -> Answer:
    """Send something at once and something byte by byte, until the other side closes or all is sent."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=PAUSE) as connection:
        received = b""
        with suppress(ConnectionError):
            connection.sendall(at_once)
            for byte in drip:
                connection.send(bytes([byte]))
                with suppress(TimeoutError):
                    if not (more := connection.recv(65536)):
                        break
                    received += more
        return _answer(received, time.monotonic() - begin)


def answered(service: Service, *pieces: bytes) -> Answer:
    """Send something, and read until the connection is closed."""
    begin = time.monotonic()
    return _answer(service.raw(*pieces), time.monotonic() - begin)


def _answer(received: bytes, after: float) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    problem = json.loads(body)["type"].rpartition("/")[2] if body.startswith(b"{") else ""
    return Answer(int(first.split()[1]) if first else 0, headers, problem, body.decode(), after)


class TestSlowRequests:
    """Who sends a byte now and then is cut off, however long it goes on."""

    @pytest.mark.attack(31)
    @pytest.mark.parametrize("begin", [b"GET /", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: "])
    def test_headers(self, impatient: Service, begin: bytes) -> None:
        """Headers have a deadline in all, from the first byte on."""
        answer = dripped(impatient, begin)

        assert (answer.status, answer.problem, answer.headers["connection"]) == (408, "too-slow", "close")
        assert 0.25 < answer.after < LONG

    def test_headers_of_a_later_request(self, impatient: Service) -> None:
        """A connection that was useful once has no more time than a new one."""
        answer = dripped(impatient, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health")

        assert answer.status == HTTPStatus.OK
        assert "HTTP/1.1 408 " in answer.rest
        assert 0.25 < answer.after < LONG

    @pytest.mark.parametrize("drip", [b"", b"\r\n" * 100])
    def test_nothing(self, impatient: Service, drip: bytes) -> None:
        """Who connects and asks for nothing gets no answer, and is gone as soon."""
        answer = dripped(impatient, b"", drip) if drip else answered(impatient)

        assert answer.status in {0, HTTPStatus.REQUEST_TIMEOUT}
        assert 0.25 < answer.after < LONG

    @pytest.mark.attack(32)
    @pytest.mark.parametrize(
        "framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1000\r\n"]
    )
    def test_a_body(self, impatient: Service, framing: bytes) -> None:
        """A body has a deadline as well; nothing of it stays, and its place is free at once."""
        before = impatient.stored()
        answer = dripped(impatient, HEAD + framing + PART + b"%PDF-1.7")
        after = impatient.stored()

        assert (answer.status, answer.problem, answer.headers["connection"]) == (408, "too-slow", "close")
        assert 0.25 < answer.after < LONG
        assert after == before
        assert impatient.client().post("/public/leads", **form()).status_code == HTTPStatus.CREATED

    def test_a_body_that_nobody_wants(self, impatient: Service) -> None:
        """Who was answered before the body came is not kept for it either."""
        answer = dripped(impatient, b"POST /leads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")

        assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert 0.25 < answer.after < LONG

    def test_a_slow_line(self, impatient: Service) -> None:
        """What arrives earns time: at twice the least rate a body may take far longer than the deadline."""
        pieces = [b"a=" + b"x" * 998] * 12
        with socket.create_connection(("127.0.0.1", impatient.port), timeout=5) as connection:
            connection.sendall(
                b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 12000\r\n"
            )
            connection.sendall(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
            begin = time.monotonic()
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
            took = time.monotonic() - begin
            answer = connection.recv(65536)

        assert took > Impatient.body_seconds
        assert answer.startswith(b"HTTP/1.1 400 ")


class TestForms:
    """On the page too, whoever is cut off is told why at once, and loses nothing of what was typed."""

    @pytest.mark.parametrize(
        ("at_once", "drip", "status"),
        [
            (LONG_FORM + NAME + PART + b"%PDF-1.7", b"x" * 200, 408),
            (FORM + b"Transfer-Encoding: chunked\r\n\r\n" + BEGUN_CHUNK, b"-1.7\r\n" + b"Z" * 200, 400),
            (LONG_FORM + NAME + b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"x" * 200, 400),
        ],
        ids=["slow", "garbled", "slow, and refused before"],
    )
    def test_cut_off(self, impatient: Service, at_once: bytes, drip: bytes, status: int) -> None:
        """The form comes back as soon as the connection has refused the request."""
        logged_before = len(LOG.getvalue())
        answer = dripped(impatient, at_once, drip)

        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert 'value="Ada"' in answer.rest
        assert answer.after < LONG
        assert b"server_error" not in LOG.getvalue()[logged_before:]


class TestLargeHeaders:
    """Headers have room for what people send, and no more; the answer says so."""

    @pytest.mark.attack(29)
    @pytest.mark.parametrize(
        "headers",
        [
            b"X-Large: " + b"x" * 64_000 + b"\r\n",
            b"X-Many: x\r\n" * 1_000,
            b"".join(b"X-%d: x\r\n" % number for number in range(5_000)),
            b"Cookie: " + b"x" * 32_768 + b"\r\n",
        ],
        ids=["one", "many", "thousands", "cookie"],
    )
    def test_too_large(self, service: Service, headers: bytes) -> None:
        """Too large or too many."""
        answer = answered(service, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")

        assert (answer.status, answer.problem, answer.headers["connection"]) == (431, "headers-too-large", "close")
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_too_long_an_address(self, service: Service) -> None:
        """The address counts as well."""
        answer = answered(service, b"GET /?q=" + b"x" * 33_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert answer.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    @pytest.mark.parametrize("begin", [b"X-Endless: ", b"X-", b""])
    def test_endless(self, service: Service, begin: bytes) -> None:
        """A header, or the name of one, or an address that never ends is cut off where the room ends."""
        head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + begin if begin else b"GET /"
        answer = answered(service, head, *[b"x" * 8_192] * 4, b"x" * 1_000)

        assert answer.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        assert answer.after < LONG

    def test_room_enough(self, service: Service) -> None:
        """Large cookies, such as a site that shares the domain may set, get through."""
        head = b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        answer = answered(service, head + b"Cookie: " + b"x" * 4_096 + b"\r\n" + b"X: x\r\n" * 90 + b"\r\n")

        assert answer.status == HTTPStatus.OK

    def test_a_trailer_is_no_header(self, service: Service) -> None:
        """What stands behind a body does not count (RFC 9110 6.5.1), be it a condition that is not met."""
        lead_id = service.client().post("/public/leads", **form()).json()["id"]
        token = service.sign_in("attorney@example.org").headers["Authorization"]
        head = f"PATCH /leads/{lead_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n".encode()
        head += b"Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        received = service.raw(head + b'd\r\n{"notes":"x"}\r\n0\r\nIf-Match: "99"\r\n\r\n')

        assert received.startswith(b"HTTP/1.1 200 ")

    def test_many_small_requests_at_once(self, service: Service) -> None:
        """What counts is one request, not all that a connection brings."""
        one = b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n"
        received = service.raw((one + b"\r\n") * 999 + one + b"Connection: close\r\n\r\n")

        assert received.count(b"HTTP/1.1 200 OK\r\n") == 1_000


class TestGarbledRequests:
    """What is no HTTP is refused in our words, with the headers that every answer has."""

    @pytest.mark.parametrize(
        ("sent", "status", "problem"),
        [
            (b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400, "malformed"),
            (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400, "malformed"),
            (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed"),
            (b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, "malformed"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501, "method-unknown"),
            (b"FROB /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "method-unknown"),
            (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "method-unknown"),
            (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed"),
            (HEAD + b"Content-Length: +5\r\n\r\n", 400, "malformed"),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed"),
            (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "malformed"),
            (
                b"POST /nowhere HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
                "malformed",
            ),
            (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed"),
        ],
    )
    def test_garbled(self, service: Service, sent: bytes, status: int, problem: str) -> None:
        """Wherever it is garbled, nothing is stored, and the connection is closed."""
        before = service.stored()
        answer = answered(service, sent)

        assert (answer.status, answer.problem, answer.headers["connection"]) == (status, problem, "close")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert service.stored() == before

    def test_it_is_answered_in_turn(self, service: Service) -> None:
        """A good request before it on the same connection has its own answer first."""
        answer = answered(service, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\nFROB / HTTP/1.1\r\n\r\n")

        assert answer.status == HTTPStatus.OK
        assert "HTTP/1.1 501 " in answer.rest

    @pytest.mark.attack(157)
    @pytest.mark.parametrize(
        ("address", "host", "status"),
        [
            (b"http://localhost/leads", b"localhost", 401),
            (b"https://localhost:443/leads", b"evil.example", 401),
            (b"http://localhost", b"localhost", 200),
            (b"http://evil.example/leads", b"localhost", 400),
            (b"http://localhost@evil.example/leads", b"localhost", 400),
            (b"http://localhost?x", b"localhost", 400),
        ],
    )
    def test_an_address_with_a_host(self, service: Service, address: bytes, host: bytes, status: int) -> None:
        """The host of the address counts, whatever the header says, as it does for a proxy."""
        answer = answered(service, b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (address, host))

        assert answer.status == status
