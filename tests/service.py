"""The service itself on a free port, in a thread, over a temporary data folder; and a way to talk to it."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx
import uvicorn
from tests.documents import pdf
from tests.passwords import QuickPasswords, with_passwords
from tests.secrecy import note

from leadintake.adapters.security.passwords import Argon2Passwords
from leadintake.application.app import App
from leadintake.application.ports.database import Transaction
from leadintake.domain.people import Role
from leadintake.entrypoints import bootstrap, logs
from leadintake.entrypoints.asgi import create_app
from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.http.connection import Connection
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.settings.environment import load

T = TypeVar("T")

LOG = io.BytesIO()
"""What the service has logged in this process, as JSON lines."""

PASSWORD = "correct horse battery"
NO_LIMITS = {
    "RATE_LIMIT_SUBMIT": "off",
    "RATE_LIMIT_LOGIN": "off",
    "CONFIRMATIONS_PER_ADDRESS": "off",
    "FORM_SECONDS": "0",
}
"""Tests send more, and sooner, than people do."""


@dataclass
class Service:
    """A running service. `app` is its use cases, to arrange what HTTP cannot."""

    settings: Settings
    app: App
    loop: asyncio.AbstractEventLoop
    port: int
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the event loop of the service."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def client(self, token: str | None = None) -> httpx.Client:
        """A client, signed in where it has a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=30,
            event_hooks={"response": [note]},
            verify=False,  # To load certificates, of which none is used, takes 25 ms.
        )
        self.clients.append(client)
        return client

    def add_user(self, email: str, role: Role = Role.ATTORNEY, full_name: str = "Grace Hopper") -> None:
        """A user whose password is PASSWORD."""
        self.run(self.app.staff.add(self.app.operator, email, full_name, role, PASSWORD))

    def let_run_out(self, email: str) -> None:
        """Have it that somebody else set the user's password, and that it was not changed in time."""

        def work(tx: Transaction) -> None:
            found = tx.people.with_password(email)
            assert found
            tx.people.set_password(found[0].id, found[1], expires_at=found[0].created_at)

        self.run(self.app.database.write(self.app.firm_id, work))

    def sign_in(self, email: str) -> httpx.Client:
        """A client of a user."""
        answer = self.client().post("/auth/token", data={"username": email, "password": PASSWORD})
        return self.client(answer.raise_for_status().json()["access_token"])

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes over a connection of their own, and return all that comes back until it is closed or silent."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=3) as connection, suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            while more := connection.recv(65536):
                answer += more
        return answer

    def stored(self) -> tuple[int, list[str]]:
        """How many leads there are, and the files in the uploads folder: what a refused submission must not change."""
        count = self.run(self.app.database.read(self.app.firm_id, lambda tx: len(tx.leads.paths_in_use(self.files()))))
        return count, self.files()

    def files(self) -> list[str]:
        """The names in the uploads folder."""
        return sorted(path.name for path in (self.settings.data_dir / "uploads").rglob("*") if path.is_file())


@contextmanager
def running(
    data_dir: Path,
    change: Callable[[App], App] = lambda app: app,
    http: type[Connection] = Connection,
    passwords: type[Argon2Passwords] = QuickPasswords,
    **settings: str,
) -> Iterator[Service]:
    """Serve until the context ends.

    Settings go without their prefix; `change` may break parts of the application, `http` says how long requests may
    take to arrive, and `passwords` what a hash of one costs.
    """
    given = {**NO_LIMITS, **settings, "DATA_DIR": str(data_dir)}
    database = {name: given.pop(name) for name in ("DATABASE_URL",) if name in given}
    loaded = load({**database, **{f"LEADINTAKE_{name}": value for name, value in given.items()}}, {})
    logs.configure("json", LOG)
    started: list[tuple[App, asyncio.AbstractEventLoop]] = []

    @asynccontextmanager
    async def opened(settings: Settings, wake: Callable[[], None]) -> AsyncIterator[App]:
        async with bootstrap.opened(settings, wake) as app, aclosing(passwords(settings.firm_name)) as hashing:
            served = with_passwords(app, hashing)
            started.append((served, asyncio.get_running_loop()))
            yield change(served)

    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(create_app(loaded, opened), http=http, port=0, lifespan="on", **options))

    def serve() -> None:  # here, because a browser may have the event loop of the other thread
        if not loaded.postgres_url and not loaded.database_path.exists():
            schema.prepare(loaded)
            loaded.database_path.write_bytes(_migrated())
        asyncio.run(schema.migrate(loaded))
        server.run()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        while not server.started:
            thread.join(0.005)
            assert thread.is_alive(), "the service did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        service = Service(loaded, *started[0], port)
        yield service
        for client in service.clients:
            client.close()
    finally:
        server.should_exit = True
        thread.join()


@cache
def _migrated() -> bytes:
    """An empty database, which is migrated once in this process, because that takes a while."""
    with TemporaryDirectory() as folder:
        settings = load({"LEADINTAKE_DATA_DIR": folder}, {})
        asyncio.run(schema.migrate(settings))
        return settings.database_path.read_bytes()


def logged(request_id: str) -> list[dict[str, Any]]:
    """What was logged about a request that was answered; the line that says so comes last, after the answer."""
    as_logged, deadline = json.dumps(request_id).encode(), time.monotonic() + 10
    lines: list[dict[str, Any]] = []
    while "request" not in [line["event"] for line in lines] and time.monotonic() < deadline:
        time.sleep(0.001)
        lines = [json.loads(line) for line in LOG.getvalue().splitlines() if as_logged in line]
    return [line for line in lines if line.get("request_id") == request_id]


def form(**fields: Any) -> dict[str, Any]:
    """What httpx needs to send a good submission; a field given as None is left out."""
    texts = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
    file = fields.pop("resume", ("cv.pdf", pdf(), "application/pdf"))
    data = {name: value for name, value in {**texts, **fields}.items() if value is not None}
    return {"data": data, "files": {"resume": file} if file else None}
