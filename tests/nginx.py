"""A real nginx with deploy/nginx.conf, and clients who trust its certificate."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from tests.pages import page

NAME = "intake.example.com"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
PATIENCE = 10.0


@dataclass
class Proxy:
    """A running nginx with deploy/nginx.conf, and clients who trust its certificate."""

    folder: Path
    http: int
    https: int
    trust: ssl.SSLContext
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, address: str = "127.0.0.1", scheme: str = "https") -> httpx.Client:
        """A client with a network address of its own."""
        port = self.https if scheme == "https" else self.http
        transport = _ByName(verify=self.trust, local_address=address)
        client = httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", transport=transport, timeout=30)
        self.clients.append(client)
        return client

    def connection(self) -> ssl.SSLSocket:
        """A connection, to send bytes over."""
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=PATIENCE)
        return self.trust.wrap_socket(plain, server_hostname=NAME)

    def logged(self, request_id: str) -> dict[str, Any]:
        """What nginx logged about a request. It does so after the answer, hence the patience."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in map(json.loads, (self.folder / "access.log").read_text().splitlines()):
                if line["request_id"] == request_id:
                    return dict(line)
            time.sleep(0.01)
        pytest.fail("nginx did not log the request")


class _ByName(httpx.HTTPTransport):
    """Speaks to nginx by its public name, wherever it listens."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Host"] = NAME
        request.extensions["sni_hostname"] = NAME
        return super().handle_request(request)


@contextmanager
def nginx(folder: Path, authority: trustme.CA, *servers: int) -> Iterator[Proxy]:
    """Run nginx with deploy/nginx.conf in front of servers, at most two, until the context ends."""
    assert NGINX, "nginx is not installed: apt-get install nginx"
    folder.mkdir()
    certificate = authority.issue_cert(NAME)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "chain.pem", append=True)
    http, https = closed_port(), closed_port()
    site = page("deploy/nginx.conf")
    for there, here in {
        "listen [::]:80;": "",
        "listen [::]:443 ssl;": "",
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "/etc/ssl/leadintake/fullchain.pem": f"{folder}/chain.pem",
        "/etc/ssl/leadintake/privkey.pem": f"{folder}/key.pem",
        "/var/log/nginx/leadintake.log": f"{folder}/access.log",
        "server 127.0.0.1:8000 ": f"server 127.0.0.1:{servers[0]} ",
        "# server 127.0.0.1:8001 ": f"server 127.0.0.1:{servers[1]} " if servers[1:] else "# ",
    }.items():
        assert there in site
        site = site.replace(there, here)
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    user = "user root;" if os.geteuid() == 0 else ""  # The folder is for one user only.
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; {user} events {{}} http {{ {paths} include site.conf; }}"
    )
    process = subprocess.Popen([NGINX, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    proxy = Proxy(folder, http, https, trust)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _listens(proxy.https):
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx did not start"
            time.sleep(0.01)
        yield proxy
    finally:
        for client in proxy.clients:
            client.close()
        process.terminate()
        process.wait(PATIENCE)


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
