"""deploy/ keeps step with the service: its settings, limits, commands and times, and what its database role may do."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import click
import pytest
import uvicorn
from dotenv import dotenv_values
from tests import postgres
from tests.documents import pdf
from tests.machine import Machine
from tests.pages import ROOT, page
from tests.postgres import Postgres

from leadintake.application.intake import Form
from leadintake.entrypoints import worker
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.cli import main
from leadintake.entrypoints.commands.serve import DRAIN_SECONDS
from leadintake.entrypoints.commands.worker import GRACE
from leadintake.entrypoints.http.public import ROOM_FOR_FIELDS
from leadintake.entrypoints.settings import SETTINGS, Settings, name_of
from leadintake.entrypoints.settings.environment import STORE_SECRETS, load
from leadintake.entrypoints.web.form import BODY_MAX_RESUMES

FOLDER = "/etc/leadintake"
NGINX = page("deploy/nginx.conf")
SECRETS = {
    "database_url": "postgresql://leadintake@db.example.com/leadintake",
    "secret_key": "dQw4w9WgXcQ-dQw4w9WgXcQ-dQw4w9WgXcQ",
    "redis_url": "rediss://:pw@redis.example.com:6379/0",
}
"""What the files hold that the settings name; any text will do for the others."""


def settings_of(file: str, folder: Path, *, all_of_it: bool) -> Settings:
    """What an environment file comes to, its secrets in a folder; perhaps with what is commented out in it."""
    text = page(f"deploy/{file}")
    if all_of_it:
        text = re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE)
    (folder / "env").write_text(text)
    given = {name: value or "" for name, value in dotenv_values(folder / "env", interpolate=False).items()}
    for name, value in given.items():
        if name.endswith("_FILE"):
            secret = folder / Path(value).name
            secret.write_text(SECRETS.get(secret.name, "a-secret-of-many-letters"))
            given[name] = str(secret)
    return load({}, given)


def unit(name: str) -> ConfigParser:
    """A unit file."""
    parsed = ConfigParser(interpolation=None, strict=False, delimiters=["="])
    parsed.optionxform = str  # type: ignore[assignment, method-assign] # as the documentation of configparser has it
    parsed.read(ROOT / "deploy" / "systemd" / name)
    return parsed


def of_nginx(directive: str) -> set[str]:
    """Every value of a directive."""
    return set(re.findall(rf"^\s*{directive} (.+?);", NGINX, re.MULTILINE))


@pytest.mark.parametrize("all_of_it", [False, True])
@pytest.mark.parametrize("file", ["one-machine.env", "many-machines.env"])
def test_an_environment_file_is_taken_as_it_is(tmp_path: Path, file: str, *, all_of_it: bool) -> None:
    """The service starts with it, also with what is commented out in it, and nothing in it was misread."""
    settings = settings_of(file, tmp_path, all_of_it=all_of_it)

    assert settings.firm_name == "Lovelace & Partners"
    assert settings.base_url == "https://intake.example.com"
    assert bool(settings.postgres_url) == (all_of_it or file == "many-machines.env")


@pytest.mark.asvs("V13.3.1")
@pytest.mark.parametrize("file", ["one-machine.env", "many-machines.env"])
def test_no_secret_stands_in_an_environment_file(file: str) -> None:
    """Every secret is in a file of its own, in the one folder for them."""
    names = re.findall(r"^#?([A-Z_]+)=(.*)$", page(f"deploy/{file}"), re.MULTILINE)
    secret = {*STORE_SECRETS, *(name_of(attribute) for attribute, setting in SETTINGS.items() if setting.is_secret)}

    assert secret.isdisjoint(name for name, _ in names)
    assert {Path(value).parent for name, value in names if name.endswith("_FILE")} == {Path(FOLDER, "secrets")}


def test_many_machines_keep_nothing_on_any_of_them(tmp_path: Path) -> None:
    """Where there are several, each can be thrown away."""
    settings = settings_of("many-machines.env", tmp_path, all_of_it=False)

    assert not settings.needs_data_dir
    assert settings.worker == "separate"
    assert settings.redis_url


def test_nginx_takes_the_largest_form(tmp_path: Path) -> None:
    """Its limit for a body is that of the service, to the byte, for the size that the environment files name.

    The page may be sent as much as the service reads before it says that a file is too large.
    """
    limits = {
        int(limit[:-1]) * {"k": 2**10, "m": 2**20}[limit[-1]] for limit in of_nginx("client_max_body_size") - {"0"}
    }
    files = ("one-machine.env", "many-machines.env")
    [size] = {settings_of(file, tmp_path, all_of_it=False).max_resume_bytes for file in files}

    assert limits == {size + ROOM_FOR_FIELDS, BODY_MAX_RESUMES * size}


def test_nginx_lets_go_of_a_connection_before_the_service_does() -> None:
    """Else a submission now and then meets a connection that is being closed, and nobody knows what became of it."""
    [kept] = of_nginx("keepalive_timeout")

    assert int(kept.removesuffix("s")) < uvicorn.Config("").timeout_keep_alive


def test_nginx_never_repeats_a_submission() -> None:
    """What was sent to one server may be stored: nothing lets nginx send it to another one too."""
    assert of_nginx("proxy_next_upstream") == {"error timeout"}


@pytest.mark.asvs("V13.2.2")
@pytest.mark.parametrize(("kind", "command"), [("server", "serve"), ("worker", "worker")])
def test_a_unit_starts_a_command_and_waits_for_its_end(kind: str, command: str) -> None:
    """It runs a command that there is, and kills it only when it is later than it may be."""
    longest = max(DRAIN_SECONDS + worker.GRACE, GRACE) + worker.SETTLING
    common = unit("leadintake-.service.d/common.conf")["Service"]

    assert unit(f"leadintake-{kind}@.service")["Service"]["ExecStart"].split()[1:] == [command]
    assert main.get_command(click.Context(main), command)
    assert int(common["TimeoutStopSec"]) > longest


def test_a_process_that_ends_is_started_again() -> None:
    """Whatever ended it: systemd takes an end by SIGHUP, SIGINT or SIGTERM that it did not ask for as no failure."""
    assert unit("leadintake-.service.d/common.conf")["Service"]["Restart"] == "always"


def test_the_settings_are_where_service_and_command_look() -> None:
    """Units and the command that is run by hand have one folder, program and user."""
    common = unit("leadintake-.service.d/common.conf")["Service"]
    programs = {unit(f"leadintake-{kind}@.service")["Service"]["ExecStart"].split()[0] for kind in ("server", "worker")}
    script = page("deploy/leadintake")

    assert common["WorkingDirectory"] == FOLDER
    assert script.splitlines()[-1] == f'cd {FOLDER} && exec runuser -u {common["User"]} -- {programs.pop()} "$@"'
    assert not programs


def test_every_server_of_nginx_can_be_a_unit() -> None:
    """Requests go to the address that servers listen on unless told otherwise, and come from one that they trust."""
    servers = re.findall(r"^\s*(?:# )?server ([\d.]+):\d+", NGINX, re.MULTILINE)
    host, proxies = SETTINGS["host"].default, re.findall(r"TRUSTED_PROXIES=(.+)", page("deploy/one-machine.env"))

    assert len(servers) == 2
    assert {*servers, *proxies} == {host}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server that was set up with deploy/postgresql.sql."""
    with postgres.running() as server:
        as_admin(server, f"--file={ROOT / 'deploy' / 'postgresql.sql'}", "postgres")
        yield server


def as_admin(server: Postgres, what: str, database: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run psql; raises CalledProcessError."""
    psql = [str(server.programs / "psql"), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    command = [*psql, f"--dbname={server.url(database)}", *options, what]
    return subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.mark.long
@pytest.mark.asvs("V13.2.2")
def test_the_role_of_the_service_needs_no_say_over_tables(server: Postgres, tmp_path: Path) -> None:
    """The owner makes the tables; all else is done by a role that can make, change and drop none."""

    def as_role(role: str) -> dict[str, str]:
        url = f"postgresql://{role}@127.0.0.1:{server.port}/leadintake"
        return {"DATABASE_URL": url, "LEADINTAKE_SECRET_KEY": SECRETS["secret_key"]}

    async def submit() -> str:
        given = {**as_role("leadintake"), "LEADINTAKE_DATA_DIR": str(tmp_path / "data")}
        async with opened(load(given, {}), lambda: None) as app, app.files.receive() as upload:
            await upload.write(pdf())
            receipt, _ = await app.intake.submit(Form("Ada", "Lovelace", "ada@example.org", "cv.pdf"), upload)
            await app.retention.sweep()
            await app.retention.prune()
            return receipt.reference

    machine = Machine(tmp_path / "data")
    too_early = machine.run("migrate", **as_role("leadintake"))
    migrated = machine.run("migrate", **as_role("leadintake_owner"))
    added = machine.run("users", "add", "a@example.org", "--name", "A", "--role", "admin", **as_role("leadintake"))
    reference = asyncio.run(submit())
    doctor = machine.run("doctor", **as_role("leadintake"))
    erased = machine.run("leads", "erase", reference, "--yes", **as_role("leadintake"))

    assert too_early.exit_code == 1
    assert (migrated.exit_code, added.exit_code, erased.exit_code) == (0, 0, 0)
    assert "1 leads, each with a file" in doctor.stdout
    for statement in ("CREATE TABLE mine ()", "ALTER TABLE leads ADD mine text", "DROP TABLE leads", "TRUNCATE leads"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            as_admin(server, f"--command=SET ROLE leadintake; {statement}", "leadintake")

        assert "permission denied" in refused.value.stderr or "must be owner" in refused.value.stderr
