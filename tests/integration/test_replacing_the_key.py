"""The secret key is replaced while people are signed in, as docs/operations.md says: by settings, or in the folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.machine import Machine, refusal
from tests.service import PASSWORD, Service, form, running
from tests.web import hidden, signed_in, visitor

from leadintake.domain.people import Role
from leadintake.entrypoints.bootstrap.keys import KEPT, STILL_ACCEPTED

pytestmark = pytest.mark.long

ADMIN = "admin@example.org"
OLD = "dQw4w9WgXcQ-oHg5SJYRHA0-jNQXAC9IVRw"
NEW = "9bZkp7q19f0-kJQP7kiw5Fk-fJ9rUzIMcZQ"


def replace_in_folder(data_dir: Path) -> dict[str, Any]:
    """Move the key aside; the start makes a new one."""
    (data_dir / KEPT).rename(data_dir / STILL_ACCEPTED)
    return {}


def end_in_folder(data_dir: Path) -> dict[str, Any]:
    """Delete the old key."""
    (data_dir / STILL_ACCEPTED).unlink()
    return {}


Step = Callable[[Path], dict[str, Any]]

WAYS: dict[str, tuple[Step, Step, Step]] = {
    "by settings": (
        lambda _: {"SECRET_KEY": OLD},
        lambda _: {"SECRET_KEY": NEW, "SECRET_KEY_ACCEPTED": OLD},
        lambda _: {"SECRET_KEY": NEW},
    ),
    "in the data folder": (lambda _: {}, replace_in_folder, end_in_folder),
}
"""What to do before, meanwhile and after; each returns the settings to start with."""


def token(service: Service) -> str:
    """Sign in over HTTP."""
    answer = service.client().post("/auth/token", data={"username": ADMIN, "password": PASSWORD})
    return str(answer.raise_for_status().json()["access_token"])


def statuses(service: Service, access_token: str, cursor: str, receipt: str) -> list[int]:
    """What becomes of an access token, a cursor of the same user, and the address of a receipt."""
    signed_in_now = service.client(token(service))
    return [
        service.client(access_token).get("/me").status_code,
        signed_in_now.get("/leads", params={"limit": 1, "cursor": cursor}).status_code,
        service.client().get(receipt).status_code,
    ]


def opened(service: Service) -> dict[str, str]:
    """What the page of the form has in hidden fields."""
    page = visitor(service).get("/").text
    return {name: hidden(page, name) for name in ("submission", "notice")}


def reasons(service: Service, hidden_fields: dict[str, str]) -> list[str]:
    """Why an enquiry with something odd about it, sent from that page, is in quarantine."""
    robot = form(first_name="Ada www.evil.example", remark="", **hidden_fields)
    assert visitor(service).post("/", **robot).status_code == 303
    [found] = service.client(token(service)).get("/leads", params={"quarantined": True}).json()["items"] or [{}]
    return list(found.get("quarantine", []))


@pytest.mark.asvs("V11.2.2")
@pytest.mark.attack(117)
@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_signed_out(tmp_path: Path, way: str) -> None:
    """What the old key signed counts while it is accepted and not after; the new one signs, and sessions go on."""
    before, meanwhile, after = WAYS[way]
    data = tmp_path / "data"
    with running(data, **before(data)) as service:
        service.add_user(ADMIN, Role.ADMIN)
        for _ in range(2):
            service.client().post("/public/leads", **form()).raise_for_status()
        old_token = token(service)
        cursor = service.client(old_token).get("/leads", params={"limit": 1}).json()["next_cursor"]
        sent = visitor(service).post("/", **form(remark=""))
        receipt = sent.headers["location"]
        cookies = signed_in(service, ADMIN).cookies
        pages = [opened(service), opened(service)]
    with running(data, **meanwhile(data)) as service:
        assert statuses(service, old_token, cursor, receipt) == [200, 200, 200]
        assert reasons(service, pages[0]) == []
        new_token = token(service)
    with running(data, **after(data)) as service:
        assert statuses(service, old_token, cursor, receipt) == [401, 400, 404]
        assert reasons(service, pages[1]) == ["link", "no-ticket"]
        assert service.client(new_token).get("/me").status_code == 200
        assert _at_desk(service, cookies).status_code == 200


def _at_desk(service: Service, cookies: httpx.Cookies) -> httpx.Response:
    client = visitor(service)
    client.cookies = cookies
    return client.get("/inbox")


@pytest.mark.parametrize(("harm", "why"), [("chmod", "chmod 600"), ("cut", "has 10 bytes")])
def test_an_old_key_that_will_not_do(tmp_path: Path, harm: str, why: str) -> None:
    """A file that others can read, or that is no key, stops the start like the key itself."""
    machine = Machine(tmp_path / "data")
    machine.run("migrate")
    old = machine.data_dir / STILL_ACCEPTED
    old.write_bytes(b"x" * (32 if harm == "chmod" else 10))
    old.chmod(0o644 if harm == "chmod" else 0o600)

    assert why in refusal(machine.run("users", "list"))


@pytest.mark.parametrize("way", ["setting", "file"])
def test_doctor_reminds_of_it(tmp_path: Path, way: str) -> None:
    """As long as an old key is accepted, there is a note, which is nothing wrong."""
    machine = Machine(tmp_path / "data")
    machine.run("migrate")
    note = "settings\tnote\tA secret key is accepted beside the one that signs."
    before = machine.run("doctor")
    if way == "file":
        (machine.data_dir / STILL_ACCEPTED).write_bytes(b"x" * 32)
        (machine.data_dir / STILL_ACCEPTED).chmod(0o600)
    during = machine.run("doctor", **({"LEADINTAKE_SECRET_KEY_ACCEPTED": OLD} if way == "setting" else {}))

    assert (before.exit_code, during.exit_code) == (0, 0)
    assert note not in before.stdout
    assert note in during.stdout
