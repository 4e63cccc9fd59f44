"""Raw requests, sent to the service itself and to nginx in front of it: the answers are of the same kind."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trustme
from tests.documents import pdf
from tests.nginx import NAME, Proxy, nginx
from tests.service import Service, running

SILENCE = 3.0
"""Seconds after which nothing more is waited for."""

OPEN = f"Host: {NAME}\r\n".encode()
HEAD = OPEN + b"Connection: close\r\n"
FORM_HEAD = b"POST /public/leads HTTP/1.1\r\n" + HEAD + b"Content-Type: multipart/form-data; boundary=b\r\n"
TEXTS = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
FORM = b"".join(
    [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode() for name, text in TEXTS.items()]
    + [b'--b\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n', pdf(), b"\r\n--b--\r\n"]
)
LENGTH = b"Content-Length: %d\r\n" % len(FORM)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunks(body: bytes) -> bytes:
    """A body in one chunk."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


CHUNKS = chunks(FORM)


def get(target: bytes = b"/health", head: bytes = HEAD, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    """A request without a body."""
    return b"%s %s %s\r\n%s\r\n" % (method, target, version, head)


def submitted(*headers: bytes, body: bytes = FORM) -> bytes:
    """A form, framed by these headers."""
    return FORM_HEAD + b"".join(headers) + b"\r\n" + body


REQUESTS: dict[str, bytes] = {
    "good": get(),
    "HEAD": get(method=b"HEAD"),
    "not signed in": get(b"/leads"),
    "nowhere": get(b"/nowhere"),
    "form": submitted(LENGTH),
    "form in chunks": submitted(CHUNKED, body=CHUNKS),
    "form in chunks with an extension": submitted(CHUNKED, body=CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)),
    "form after Expect": submitted(LENGTH, b"Expect: 100-continue\r\n"),
    "Expect something else": submitted(LENGTH, b"Expect: 200-ok\r\n"),
    "GET with a body": get(head=HEAD + b"Content-Length: 2\r\n") + b"{}",
    "no body": submitted(b"Content-Length: 0\r\n", body=b""),
    "no length": submitted(body=b""),
    "wrong type": submitted(LENGTH).replace(b"multipart/form-data", b"application/json"),
    "compressed": submitted(LENGTH, b"Content-Encoding: gzip\r\n"),
    "11 MB announced": submitted(b"Content-Length: 11000000\r\n", body=b""),
    "11 MB sent": submitted(b"Content-Length: 11000000\r\n", body=b"--b\r\n" + bytes(11_000_000 - 5)),
    "11 MB in chunks": submitted(CHUNKED, body=chunks(FORM.replace(pdf(), pdf(11_000_000)))),
    "a terabyte announced": submitted(b"Content-Length: 1000000000000\r\n", body=b""),
    "large body for another call": b"POST /auth/token HTTP/1.1\r\n"
    + HEAD
    + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 300000\r\n\r\n"
    + b"x" * 300_000,
    "length and chunks": submitted(LENGTH, CHUNKED, body=CHUNKS),
    "chunks and length": submitted(CHUNKED, b"Content-Length: 5\r\n", body=CHUNKS),
    "a length twice": submitted(LENGTH, LENGTH),
    "two lengths": submitted(LENGTH, b"Content-Length: 5\r\n"),
    "a list of lengths": submitted(b"Content-Length: 5, 5\r\n", body=b"12345"),
    "length with a sign": submitted(b"Content-Length: +5\r\n", body=b"12345"),
    "negative length": submitted(b"Content-Length: -5\r\n", body=b"12345"),
    "hexadecimal length": submitted(b"Content-Length: 0x5\r\n", body=b"12345"),
    "length without an end": submitted(b"Content-Length: " + b"9" * 26 + b"\r\n", body=b"12345"),
    "empty length": submitted(b"Content-Length:\r\n", body=b""),
    "unknown coding": submitted(b"Transfer-Encoding: xchunked\r\n", body=CHUNKS),
    "identity coding": submitted(b"Transfer-Encoding: identity\r\n", LENGTH),
    "chunked twice": submitted(CHUNKED, CHUNKED, body=CHUNKS),
    "chunked after gzip": submitted(b"Transfer-Encoding: gzip, chunked\r\n", body=CHUNKS),
    "chunked behind a tab": submitted(b"Transfer-Encoding:\tchunked\r\n", body=CHUNKS),
    "chunked with a vertical tab": submitted(b"Transfer-Encoding: \x0bchunked\r\n", body=CHUNKS),
    "chunk of no size": submitted(CHUNKED, body=b"zz\r\n" + CHUNKS),
    "chunk of negative size": submitted(CHUNKED, body=b"-1\r\n" + CHUNKS),
    "chunk of endless size": submitted(CHUNKED, body=b"f" * 20 + b"\r\n" + CHUNKS),
    "chunk longer than it says": submitted(CHUNKED, body=b"1\r\nabc\r\n0\r\n\r\n"),
    "no Host": get(b"/leads", head=b"Connection: close\r\n"),
    "two Hosts": get(b"/leads", head=HEAD + b"Host: evil.example\r\n"),
    "empty Host": get(b"/leads", head=b"Host:\r\nConnection: close\r\n"),
    "another Host": get(b"/leads", HEAD.replace(NAME.encode(), b"evil.example")),
    "Host with a user": get(b"/leads", HEAD.replace(NAME.encode(), b"a@" + NAME.encode())),
    "Host with a port": get(b"/leads", HEAD.replace(NAME.encode(), NAME.encode() + b":443")),
    "Host with a bad port": get(b"/leads", HEAD.replace(NAME.encode(), NAME.encode() + b":x")),
    "Host with a path": get(b"/leads", HEAD.replace(NAME.encode(), NAME.encode() + b"/x")),
    "Host in capitals": get(b"/leads", HEAD.replace(NAME.encode(), NAME.upper().encode())),
    "unknown method": get(method=b"FROB"),
    "method in small letters": get(method=b"get"),
    "PROPFIND": get(method=b"PROPFIND"),
    "TRACE": get(method=b"TRACE"),
    "CONNECT": get(b"intake.example.com:443", method=b"CONNECT"),
    "OPTIONS": get(method=b"OPTIONS"),
    "OPTIONS of all": get(b"*", method=b"OPTIONS"),
    "PUT": get(head=HEAD + b"Content-Length: 2\r\n", method=b"PUT") + b"{}",
    "absolute address": get(f"http://{NAME}/health".encode()),
    "absolute address without a path": get(f"http://{NAME}".encode()),
    "absolute address with a port": get(f"https://{NAME}:443/leads".encode()),
    "absolute address elsewhere": get(b"http://evil.example/leads"),
    "two slashes": get(b"//health"),
    "dot segments": get(b"/x/../health"),
    "encoded dot segments": get(b"/x/%2e%2e/health"),
    "above the root": get(b"/../health"),
    "encoded slash": get(b"/leads%2fx"),
    "encoded NUL": get(b"/health%00"),
    "encoded line break": get(b"/health%0d%0aX:%20y"),
    "no encoding after all": get(b"/%zz"),
    "parameters of a segment": get(b"/health;x=y"),
    "fragment": get(b"/health#x"),
    "backslash": get(b"/x\\..\\health"),
    "no slash": get(b"health"),
    "bytes that are no text": get(b"/\xff"),
    "a space in the address": get(b"/health /x"),
    "NUL in the address": get(b"/hea\0lth"),
    "long address": get(b"/" + b"x" * 6_000),
    "endless address": get(b"/" + b"x" * 40_000),
    "long query": get(b"/health?q=" + b"x" * 40_000),
    "large header": get(head=HEAD + b"X: " + b"x" * 40_000 + b"\r\n"),
    "many headers": get(head=HEAD + b"X: x\r\n" * 200),
    "headers of 40 kB in all": get(head=HEAD + (b"X: " + b"x" * 4_000 + b"\r\n") * 10),
    "header without a colon": get(head=HEAD + b"no colon\r\n"),
    "header without a name": get(head=HEAD + b": x\r\n"),
    "space before a colon": get(head=HEAD + b"X-Space : x\r\n"),
    "folded header": get(head=HEAD + b"X: a\r\n b\r\n"),
    "NUL in a header": get(head=HEAD + b"X: a\0b\r\n"),
    "carriage return in a header": get(head=HEAD + b"X: a\rb\r\n"),
    "line feeds alone": get().replace(b"\r\n", b"\n"),
    "empty lines first": b"\r\n\r\n" + get(),
    "HTTP/1.0": get(version=b"HTTP/1.0"),
    "HTTP/1.0 without a Host": get(b"/leads", head=b"", version=b"HTTP/1.0"),
    "HTTP/1.0 in chunks": submitted(CHUNKED, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "HTTP/0.9": b"GET /health\r\n",
    "HTTP/9.9": get(version=b"HTTP/9.9"),
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": get(version=b"HTTP"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "upgrade": get(head=OPEN + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n"),
    "three in a row": get(head=OPEN) * 2 + get(),
    "rubbish after a good one": get(head=OPEN) + b"rubbish\r\n\r\n",
    "a body of a request after a short length": submitted(b"Content-Length: 5\r\n", body=b"--b\r\n" + get(b"/leads")),
    "form after a refused one": submitted(CHUNKED, LENGTH, body=CHUNKS).replace(b"Connection: close\r\n", b"", 1)
    + submitted(LENGTH),
}

UNREADABLE = "400 problem+json malformed"

DIFFERENT: dict[str, tuple[list[str], list[str], str]] = {
    "chunked behind a tab": (["201 json"], [UNREADABLE], "nginx knows no tab there, and refuses what it does not know"),
    "Host with a bad port": (
        [UNREADABLE],
        ["401 problem+json not-signed-in"],
        "nginx hands on the name without a port",
    ),
    "method in small letters": (["501 problem+json method-unknown"], [UNREADABLE], "nginx wants capitals in a method"),
    "CONNECT": (["501 problem+json method-unknown"], [UNREADABLE], "to nginx, its address has no slash"),
    "above the root": (["404 problem+json not-found"], [UNREADABLE], "nginx resolves dots, and there is nothing above"),
    "encoded NUL": (["404 problem+json not-found"], [UNREADABLE], "nginx decodes the address first"),
    "no encoding after all": (["404 problem+json not-found"], [UNREADABLE], "nginx decodes the address first"),
    "line feeds alone": ([UNREADABLE], ["200 json"], "nginx takes them for line ends, and hands on real ones"),
    "HTTP/1.0 without a Host": ([UNREADABLE], ["401 problem+json not-signed-in"], "nginx hands on its own name"),
    "HTTP/0.9": ([], ["body alone"], "nginx answers as it was then, without a status"),
    "no HTTP": (["501 problem+json method-unknown"], [UNREADABLE], "the service sees a method in whatever comes first"),
    "rubbish after a good one": (
        ["200 json", "501 problem+json method-unknown"],
        ["200 json", UNREADABLE],
        "nginx wants an address behind a method",
    ),
}
"""What the service answers, what nginx does, and why that may be. Neither ever stores a form that the other refuses."""

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
PROBLEM = re.compile(rb'\{"type":"https://[^"]*/problems/([a-z-]+)"')
ALWAYS = (b"strict-transport-security", b"x-content-type-options", b"x-request-id")
NOT_CACHED = (b"cache-control: no-store", b"cache-control: private, no-cache")
"""The second of the empty form, so that Back finds it again."""


def sent(connection: socket.socket, request: bytes) -> bytes:
    """All that comes back until the connection is closed or silent."""
    received = b""
    connection.settimeout(SILENCE)
    with suppress(OSError):  # What is refused early is not read to its end.
        connection.sendall(request)
    with suppress(OSError):
        while more := connection.recv(65536):
            received += more
    return received


def kinds(received: bytes) -> list[str]:
    """Of each answer the status, the type of its body, and which problem it is."""
    found = []
    for answer in ANSWER.finditer(received):
        media_type = re.search(rb"content-type: (?:application/)?([^\r;]+)", answer[2].lower())
        problem = PROBLEM.match(received[answer.end() :])
        facts = [answer[1], media_type[1] if media_type else b"", problem[1] if problem else b""]
        found.append(b" ".join(facts).decode().strip())
    return found if found or not received else ["body alone"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, as it is set up behind nginx."""
    folder = tmp_path_factory.mktemp("service") / "data"
    with running(folder, BASE_URL=f"https://{NAME}", TRUSTED_PROXIES="127.0.0.1") as service:
        yield service


@pytest.fixture(scope="module")
def proxy(service: Service, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Nginx in front of it."""
    with nginx(tmp_path_factory.mktemp("proxy") / "nginx", authority, service.port) as proxy:
        yield proxy


@pytest.mark.asvs("V4.2.1")
@pytest.mark.attack(21, 22, 152, 154, 157, 159)
@pytest.mark.parametrize("name", REQUESTS)
def test_answers_are_of_one_kind(service: Service, proxy: Proxy, name: str) -> None:
    """What the service refuses, nginx refuses in the same words, and a form is stored behind it or by neither."""
    before, _ = service.stored()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        bare = sent(connection, REQUESTS[name])
    between, _ = service.stored()
    with proxy.connection() as connection:
        behind = sent(connection, REQUESTS[name])
    after, _ = service.stored()
    different = DIFFERENT.get(name)

    assert (kinds(bare), kinds(behind)) == (different[:2] if different else (kinds(bare), kinds(bare)))
    assert kinds(bare) or different
    assert not different or different[0] != different[1]
    assert after - between <= between - before == kinds(bare).count("201 json")
    assert not any(kind.startswith("500") for kind in kinds(bare))
    for answer in ANSWER.finditer(behind):
        headers = answer[2].lower()
        assert answer[1] == b"100" or all(header in headers for header in ALWAYS)
        assert answer[1] == b"100" or any(header in headers for header in NOT_CACHED)


def test_the_table_of_differences() -> None:
    """Each difference is one of a request that is sent."""
    assert DIFFERENT.keys() <= REQUESTS.keys()
