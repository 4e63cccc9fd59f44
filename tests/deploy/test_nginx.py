from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme
from tests.documents import pdf
from tests.nginx import NAME, Proxy, closed_port, nginx
from tests.service import PASSWORD, Service, form, logged, running

from leadintake.entrypoints.errors import BY_SLUG
from leadintake.entrypoints.http.observe import STRICT_TRANSPORT_SECURITY

LARGEST = 10_485_760
TOKEN = "a-token-for-the-metrics"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, as it is set up behind nginx."""
    with running(
        tmp_path_factory.mktemp("service") / "data",
        BASE_URL=f"https://{NAME}",
        TRUSTED_PROXIES="127.0.0.1",
        RATE_LIMIT_SUBMIT="5/hour",
        MAX_UPLOADS="2",
        METRICS_TOKEN=TOKEN,
    ) as service:
        service.add_user("attorney@example.org")
        yield service


@pytest.fixture(scope="module")
def proxy(service: Service, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Nginx in front of it."""
    with nginx(tmp_path_factory.mktemp("proxy") / "nginx", authority, service.port) as proxy:
        yield proxy


def check_problem(answer: httpx.Response, status: int, slug: str | None = None) -> None:
    """An error has the shape of the service's own, whoever made it, and is never without HSTS."""
    problem = answer.json()
    wanted = (f"https://{NAME}/problems/{slug}", BY_SLUG[slug].title) if slug else ("about:blank", problem["title"])

    assert answer.status_code == problem["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["title"]) == wanted
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert problem["detail"]
    assert answer.headers["Strict-Transport-Security"].encode() == STRICT_TRANSPORT_SECURITY[1]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "nginx"  # and no version


@pytest.mark.asvs("V4.1.3")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_form_is_stored_for_the_address_that_sent_it(proxy: Proxy, service: Service, address: str) -> None:
    """The logs name the client, not nginx, and not what the client says it were, even if it were a trusted proxy."""
    before, _ = service.stored()
    spoofed = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7", "X-Request-ID": address}
    sent = proxy.client(address).post("/public/leads", **form(), headers=spoofed)
    [request] = [line for line in logged(address) if line["event"] == "request"]

    assert sent.status_code == 201
    assert sent.headers["X-Request-ID"] == address
    assert service.stored()[0] == before + 1
    assert request["client"] == proxy.logged(address)["client"] == address


def test_each_address_has_its_own_rate_and_gets_to_know_of_it(proxy: Proxy) -> None:
    """Who is over the rate is told so by the service, however large the form: nginx does not lose the answer."""
    client = proxy.client("127.0.0.3")
    for number in range(5):
        client.post("/public/leads", **form(), headers={"X-Forwarded-For": f"203.0.113.{number}"})
    large = form(resume=("cv.pdf", pdf(LARGEST), "application/pdf"))
    refused = [client.post("/public/leads", **large) for _ in range(10)]
    other = proxy.client("127.0.0.4").post("/public/leads", **form())

    for answer in refused:
        check_problem(answer, 429, "too-many-requests")
    assert refused[0].headers["Retry-After"]
    assert other.status_code == 201


def test_a_refusal_before_the_body_was_read_arrives(proxy: Proxy) -> None:
    """The service says no after the headers, while nginx still passes on ten megabytes."""
    client = proxy.client("127.0.0.5")
    for _ in range(5):
        answer = client.post("/public/leads", content=bytes(LARGEST), headers={"Content-Type": "application/json"})

        check_problem(answer, 415, "unsupported-media-type")


def test_the_largest_file_passes_and_one_byte_more_is_refused(proxy: Proxy) -> None:
    """Up to the limit of the service nginx has no say; far beyond it, nginx answers in its place."""
    client = proxy.client("127.0.0.6")
    largest, over, far_over = (
        client.post("/public/leads", **form(resume=("cv.pdf", content, "application/pdf")))
        for content in (pdf(LARGEST), pdf(LARGEST + 1), bytes(LARGEST + 2**17))
    )

    assert largest.status_code == 201
    check_problem(over, 413, "too-large")
    check_problem(far_over, 413, "too-large")
    assert "10 MB" in over.json()["detail"]
    assert "10 MB" not in far_over.json()["detail"]


@pytest.mark.attack(33)
def test_slow_senders_keep_nobody_out(proxy: Proxy) -> None:
    """The service has two places for uploads. Ten who never come to an end take neither."""
    head = f"POST /public/leads HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(proxy.connection())
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n--b\r\n".encode())
        sent = proxy.client("127.0.0.7").post("/public/leads", **form())

    assert sent.status_code == 201


@pytest.mark.asvs("V4.1.2", "V12.1.1")
def test_pages_lead_on_to_https_and_calls_do_not(proxy: Proxy) -> None:
    """A browser is sent on. A program that would send a password in clear is refused, and sent nowhere."""
    client = proxy.client(scheme="http")
    pages = {path: client.get(path) for path in ("/", "/inbox", "/docs", "/problems/too-large")}
    calls = [client.post("/public/leads", **form()), client.post("/auth/token", data={"username": "a"})]
    calls += [client.get(path) for path in ("/leads", "/me", "/health", "/metrics")]

    for path, answer in pages.items():
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{NAME}{path}")
    for answer in calls:
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
        assert "Location" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x"])
def test_metrics_are_not_for_the_public(proxy: Proxy, service: Service, path: str) -> None:
    """Not even for who has the token, because each server has figures of its own. The server itself gives them."""
    token, address = {"Authorization": f"Bearer {TOKEN}"}, f"https://127.0.0.1:{proxy.https}{path}"

    check_problem(proxy.client().get(address, headers=token), 404, "not-found")
    assert service.client().get("/metrics", headers=token).status_code == 200


@pytest.mark.attack(29)
def test_headers_without_end_are_refused(proxy: Proxy) -> None:
    """What is too much for nginx has the status for it."""
    check_problem(proxy.client().get("/health", headers={"X": "x" * 40_000}), 431, "headers-too-large")


@pytest.mark.asvs("V4.2.1")
@pytest.mark.attack(21)
@pytest.mark.parametrize("length", ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: +12"])
def test_a_body_of_two_lengths_is_no_request(proxy: Proxy, length: str) -> None:
    """What two parsers could read differently never reaches the service."""
    with proxy.connection() as connection:
        connection.sendall(f"POST /public/leads HTTP/1.1\r\nHost: {NAME}\r\n{length}\r\n\r\n0\r\n\r\n".encode())
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.asvs("V14.2.1")
def test_nginx_logs_no_query(proxy: Proxy) -> None:
    """Who searches for a name leaves none in the log."""
    proxy.client().get("/leads", params={"q": "lovelace"}, headers={"X-Request-ID": "searching"})

    assert proxy.logged("searching")["path"] == "/leads"
    assert "lovelace" not in (proxy.folder / "access.log").read_text()


def test_nobody_notices_that_one_of_two_servers_is_away(
    service: Service, authority: trustme.CA, tmp_path: Path
) -> None:
    """A form goes to the server that is there, each time, because nothing of it was sent to the other."""
    with nginx(tmp_path / "nginx", authority, closed_port(), service.port) as proxy:
        client = proxy.client("127.0.0.8")
        sent = [client.post("/public/leads", **form()).status_code for _ in range(5)]

    assert sent == [201] * 5


def test_a_service_that_is_away_is_a_503(authority: trustme.CA, tmp_path: Path) -> None:
    """It says when to come again, and that it does not know more."""
    with nginx(tmp_path / "nginx", authority, closed_port()) as proxy:
        answer = proxy.client().post("/public/leads", **form())

    check_problem(answer, 503)
    assert answer.headers["Retry-After"] == "5"


def test_a_browser_is_refused_on_a_page(proxy: Proxy, authority: trustme.CA, tmp_path: Path) -> None:
    """Who has sent the form in a browser reads what to do, and no JSON."""
    browser = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
    with nginx(tmp_path / "nginx", authority, closed_port()) as lonely:
        away = lonely.client().post("/", **form(), headers=browser)
    missing = proxy.client().get("/metrics", headers=browser)

    for answer, status, said in [(away, 503, "is not stored twice"), (missing, 404, "This is not for the public.")]:
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert said in answer.text
        assert answer.headers["X-Request-ID"] in answer.text
    assert away.headers["Retry-After"] == "5"


def test_the_pages(proxy: Proxy) -> None:
    """The form is told on a page of the service that its file is too large; an attorney signs in and out."""
    client = proxy.client("127.0.0.9")
    client.headers["Sec-Fetch-Site"] = "same-origin"
    too_large = client.post("/", **form(resume=("cv.pdf", bytes(3 * LARGEST), "application/pdf")))
    signed_in = client.post("/inbox/sign-in", data={"email": "attorney@example.org", "password": PASSWORD})
    inbox = client.get("/inbox")
    signed_out = client.post("/inbox/sign-out")

    assert too_large.status_code == 413
    assert "MB" in too_large.text
    assert "<form" in too_large.text
    assert signed_in.headers["Location"] == "/inbox"
    assert signed_in.headers["Set-Cookie"].startswith("__Host-leadintake=")
    assert inbox.status_code == 200
    assert signed_out.headers["Location"] == "/inbox/sign-in?signed-out"
