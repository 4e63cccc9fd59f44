"""The service and the peer, started as their users start them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil

from benchmarks.processes import NotMeasured, Server, first_answer, free_port, program, running

HERE = Path(__file__).parent
NO_LIMITS = {
    "LEADINTAKE_RATE_LIMIT_SUBMIT": "off",
    "LEADINTAKE_RATE_LIMIT_LOGIN": "off",
    "LEADINTAKE_CONFIRMATIONS_PER_ADDRESS": "off",
}
"""A benchmark sends more than people do, from one address. All other settings are the defaults."""

ADMIN = "admin@example.com"
PEER_PASSWORD = "correct horse battery"  # noqa: S105 - it guards nothing
PEER_PYTHON = Path(sys.prefix) / "peer" / "bin" / "python"


@contextmanager
def service(folder: Path, name: str = "service", **environ: str) -> Iterator[Server]:
    """`leadintake serve` on a data folder; settings go with their full names.

    The worker is inside it, unless the settings say that it is a process of its own, which is started too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "log.txt"
    url = f"http://127.0.0.1:{port}"
    settings = {"LEADINTAKE_DATA_DIR": str(folder), "LEADINTAKE_PORT": str(port), **NO_LIMITS, **environ}
    with running([program("leadintake"), "serve"], folder, settings, log) as process:
        first_answer(f"{url}/health/ready", process, log)
        server = Server(name, url, psutil.Process(process.pid), folder, "/public/leads")
        if environ.get("LEADINTAKE_WORKER") != "separate":
            yield server
            return
        with running([program("leadintake"), "worker"], folder, settings, folder / "worker.txt") as worker:
            yield replace(server, worker=psutil.Process(worker.pid))


@contextmanager
def peer(folder: Path, name: str = "peer", **environ: str) -> Iterator[Server]:
    """The peer on a folder."""
    if not PEER_PYTHON.exists():
        raise NotMeasured(f"There is no {PEER_PYTHON}: `make bench` installs the peer before it measures.")
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "log.txt"
    url = f"http://127.0.0.1:{port}"
    command = [PEER_PYTHON, "-m", "uvicorn", "app:app", "--port", str(port), "--no-access-log"]
    with running(command, HERE / "peer", {"PEER_HOME": str(folder), **environ}, log) as process:
        first_answer(f"{url}/health", process, log)
        yield Server(name, url, psutil.Process(process.pid), folder, "/leads")


@contextmanager
def bare(app: str, folder: Path, **environ: str) -> Iterator[Server]:
    """An application of `benchmarks.hello` on the server of the service."""
    port, log = free_port(), folder / f"{app}.txt"
    url = f"http://127.0.0.1:{port}"
    command = [program("uvicorn"), f"benchmarks.hello:{app}", "--port", str(port), "--no-access-log", "--lifespan=off"]
    with running(command, HERE.parent, environ, log) as process:
        first_answer(f"{url}/health/live", process, log)
        yield Server(app, url, psutil.Process(process.pid), folder, "/public/leads", sends_mails=False)


def signed_in(server: Server) -> str:
    """A token of somebody who may see the leads."""
    if server.name == "peer":
        path, username, password = "/token", ADMIN, PEER_PASSWORD
    else:
        path, username, password = "/auth/token", ADMIN, new_password(server.folder)
    form = {"username": username, "password": password}
    answer = httpx.post(f"{server.url}{path}", data=form, timeout=60).raise_for_status()
    return str(answer.json()["access_token"])


def new_password(folder: Path) -> str:
    """A new password of the admin on a data folder: that of the first start was made to run out within days."""
    command = [str(program("leadintake")), "users", "reset-password", ADMIN]
    environ = {**os.environ, "LEADINTAKE_DATA_DIR": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMeasured(f"There is no new password for {ADMIN}: {done.stderr}")
    return done.stdout.split()[-1]
