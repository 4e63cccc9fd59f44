import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from tests.service import PASSWORD, Service, form, logged, running

from leadintake.application.app import App
from leadintake.domain.errors import Unavailable

TOKEN = "a-token-for-metrics"


class Broken:
    """A part of which nothing works."""

    def __init__(self, failure: Callable[[], Any]) -> None:
        self._failure = failure

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def fail(*_: object) -> object:
            return await self._failure()

        return fail


async def unavailable() -> None:
    """Fail as a database does that cannot be used."""
    raise Unavailable


async def surprise() -> None:
    """Fail as nothing should."""
    raise RuntimeError("postgresql://user:secret@db")


def server_errors(client: httpx.Client) -> float:
    """How many the metrics tell of."""
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("leadintake_server_errors_total "))


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_alive(anyone: httpx.Client, path: str) -> None:
    """Whatever the Host, a process that answers is alive."""
    answer = anyone.get(path, headers={"Host": "10.0.0.7:1234"})

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready(anyone: httpx.Client) -> None:
    """Ready names what it looked at."""
    answer = anyone.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {"database": "ok", "files": "ok"}})


def test_many_who_ask_cause_no_more_writing(tmp_path: Path) -> None:
    """Whether a file can be written is tried once a second, because anybody may ask."""
    tries: list[None] = []

    async def tried() -> None:
        tries.append(None)

    def counted(app: App) -> App:
        files: Any = Broken(tried)
        return replace(app, files=files)

    with running(tmp_path / "data", counted) as service:
        client = service.client()
        answers = [client.get("/health/ready").status_code for _ in range(20)]

    assert answers == [200] * 20
    assert 1 <= len(tries) < 20


@pytest.mark.asvs("V16.5.1-4")
def test_database_that_fails(tmp_path: Path, anyone: httpx.Client) -> None:
    """Ready and every call that needs it say so, and when to come back; alive and metrics are still there.

    Metrics have no figures then that were true before.
    """
    before = anyone.get("/metrics").text  # Of another service, but those of one process are the same.

    def broken(app: App) -> App:
        database: Any = Broken(unavailable)
        return replace(
            app,
            database=database,
            intake=replace(app.intake, database=database),
            accounts=replace(app.accounts, database=database),
            dispatch=replace(app.dispatch, database=database),
        )

    with running(tmp_path / "data", broken) as service:
        client = service.client()
        metrics, ready = client.get("/metrics"), client.get("/health/ready")
        submitted = client.post("/public/leads", **form())
        token = client.post("/auth/token", data={"username": "a@example.org", "password": PASSWORD})

        assert client.get("/health").status_code == 200
        assert (metrics.status_code, "leadintake_outbox_deliveries{" in metrics.text) == (200, False)
        assert "leadintake_outbox_deliveries{" in before
        assert ready.json()["detail"] == "Not ready: database."
        assert token.json()["error"] == "temporarily_unavailable"
        assert [answer.status_code for answer in (ready, submitted, token)] == [503, 503, 503]
        assert all(int(answer.headers["retry-after"]) for answer in (ready, submitted, token))


async def stubborn() -> None:
    """Hang, also when told to stop."""
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(60)


@pytest.mark.long
@pytest.mark.parametrize("hangs", [lambda: asyncio.sleep(60), stubborn])
def test_files_that_hang(tmp_path: Path, hangs: Callable[[], Any]) -> None:
    """A part that does not answer in two seconds is not ready, however long it takes to give it up."""

    def broken(app: App) -> App:
        files: Any = Broken(hangs)
        return replace(app, files=files)

    with running(tmp_path / "data", broken) as service:
        assert service.client().get("/health/ready").json()["detail"] == "Not ready: files."


@pytest.mark.asvs("V13.4.2-5", "V16.5.1-4")
@pytest.mark.attack(161)
def test_surprises_are_logged_not_shown(tmp_path: Path) -> None:
    """An error that nobody expected is a plain 500; its trace is in the log, under the id of the request."""

    def broken(app: App) -> App:
        broken: Any = Broken(surprise)
        return replace(app, database=broken, accounts=broken)

    with running(tmp_path / "data", broken) as service:
        client = service.client("x")
        for path in ("/leads", "/health/ready"):
            answer = client.get(path)
            lines = logged(answer.headers["x-request-id"])

            assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "secret" not in answer.text
            assert [line["event"] for line in lines] == ["server_error", "request"]
            assert "RuntimeError" in lines[0]["exception"]


class TestMetrics:
    """GET /metrics."""

    def test_by_template(self, anyone: httpx.Client) -> None:
        """Requests are counted by the route they match, so that nobody can make up series."""
        anyone.get("/leads/8e3ac7ab")
        anyone.get("/nothing/8e3ac7ab")
        anyone.request("PROPFIND", "/leads")
        answer = anyone.get("/metrics")

        assert answer.headers["content-type"] == CONTENT_TYPE_LATEST
        assert 'leadintake_requests_total{method="GET",route="/leads/{lead_id}",status="401"}' in answer.text
        assert 'leadintake_requests_total{method="GET",route="unmatched",status="404"}' in answer.text
        assert 'leadintake_requests_total{method="other",route="unmatched",status="405"}' in answer.text
        assert 'leadintake_request_duration_seconds_bucket{le="0.5",route="/leads/{lead_id}"}' in answer.text
        assert 'leadintake_outbox_deliveries{status="held"}' in answer.text
        assert "8e3ac7ab" not in answer.text
        assert "PROPFIND" not in answer.text

    def test_counts_server_errors_from_none_on(self, tmp_path: Path) -> None:
        """Their series is there before the first, else an alert on its increase does not see that one."""

        def broken(app: App) -> App:
            accounts: Any = Broken(surprise)
            return replace(app, accounts=accounts)

        with running(tmp_path / "data", broken) as service:
            client = service.client("x")
            before = server_errors(client)
            client.get("/leads")
            client.get("/nothing")

            assert server_errors(client) == before + 1

    def test_counts_no_mail_where_there_is_none(self, tmp_path: Path) -> None:
        """Each status has its figure all the same, else an alert on it would hear of the first too late."""
        with running(tmp_path / "data") as service:
            counts = re.findall(
                r"^leadintake_outbox_deliveries{.*", service.client().get("/metrics").text, re.MULTILINE
            )

            assert sorted(counts) == [
                f'leadintake_outbox_deliveries{{status="{status}"}} 0.0'
                for status in ("failed", "held", "pending", "sending")
            ]

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
    def test_not_for_who_comes_through_a_proxy(self, anyone: httpx.Client, header: str) -> None:
        """A proxy on this machine is not the machine itself asking."""
        assert anyone.get("/metrics", headers={header: "203.0.113.7"}).status_code == 403

    @pytest.mark.parametrize("token", ["Bearer", "Bearer None"])
    def test_no_token_is_none(self, anyone: httpx.Client, token: str) -> None:
        """Where the settings have no token, nothing takes its place."""
        far = {"X-Forwarded-For": "203.0.113.7"}

        assert anyone.get("/metrics", headers={**far, "Authorization": token}).status_code == 403

    @pytest.mark.long
    def test_token(self, tmp_path: Path) -> None:
        """With the token, from anywhere."""
        with running(tmp_path / "data", METRICS_TOKEN=TOKEN) as service:
            far = {"X-Forwarded-For": "203.0.113.7"}
            client = service.client()

            assert client.get("/metrics", headers={**far, "Authorization": f"Bearer {TOKEN}"}).status_code == 200
            assert client.get("/metrics", headers={**far, "Authorization": f"Bearer {TOKEN}x"}).status_code == 403


class TestProxies:
    """X-Forwarded-For counts from trusted proxies only."""

    def client_in_log(self, service: Service, forwarded: str) -> object:
        """Whom the service takes for the client."""
        answer = service.client().get("/health", headers={"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"})
        return logged(answer.headers["x-request-id"])[0]["client"]

    @pytest.mark.asvs("V4.1.3", "V15.3.4")
    @pytest.mark.attack(153)
    def test_untrusted(self, service: Service) -> None:
        """By default nobody is believed."""
        assert self.client_in_log(service, "203.0.113.7") == "127.0.0.1"

    @pytest.mark.asvs("V4.1.3", "V15.3.4")
    @pytest.mark.attack(153)
    def test_trusted(self, tmp_path: Path) -> None:
        """The right-most address that is no proxy of ours; what stands left of it, anybody can have written."""
        with running(tmp_path / "data", TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8") as service:
            assert self.client_in_log(service, "1.1.1.1, 203.0.113.7, 10.0.0.9") == "203.0.113.7"
