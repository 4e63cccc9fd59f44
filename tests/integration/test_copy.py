"""A practice that began on SQLite moves to a real PostgreSQL, and its files to a real S3."""

import asyncio
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.documents import pdf
from tests.machine import Machine, refusal
from tests.past import ADA, ADA_KEY, PASSWORD, SECRET, Past, after, at, before, moved, readable, submit
from tests.postgres import Postgres
from tests.records import FIRST_FIRM
from tests.s3 import S3

from leadintake.adapters.sql.postgres import opened as opened_database
from leadintake.adapters.sql.tables import firms
from leadintake.application.app import App
from leadintake.domain.delivery import Status
from leadintake.entrypoints.bootstrap import copying
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.bootstrap.schema import NotReady
from leadintake.entrypoints.commands.stored_files import compare
from leadintake.entrypoints.lock import held

pytestmark = pytest.mark.long


@pytest.fixture
def machine(past: Past, tmp_path: Path) -> Machine:
    """A practice with something of everything, to copy from and to break."""
    return Machine(shutil.copytree(past.machine.data_dir, tmp_path / "data"))


NUMBERS = count()


@pytest.fixture
def url(server: Postgres) -> str:
    """A database in which there is nothing."""
    name = f"copied{next(NUMBERS)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


def execute(url: str, *statements: str) -> None:
    """Change a PostgreSQL database behind everybody's back."""

    async def run() -> None:
        async with opened_database(url) as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
            await connection.commit()

    asyncio.run(run())


def is_empty(url: str) -> bool:
    """Whether a database has nothing but what the migrations made."""
    found = after(url)
    return len(found.pop(firms.name)) == 1 and not any(found.values())


def test_every_row_is_there(machine: Machine, url: str) -> None:
    """Whatever can be read is the same on both sides, to the letter and the microsecond, and the source stays."""
    was = before(machine)
    result = machine.run("copy", "--to", url)
    leads = len(was["leads"])
    total = sum(map(len, was.values()))

    new_key = (
        "LEADINTAKE_SECRET_KEY: what `openssl rand -base64 48` prints; the same for every process. "
        f"For a day, so that nobody is signed out, give each {machine.data_dir}/secret.key as secret.key.accepted"
    )

    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"Copied {total:,} rows, among them {leads:,} leads.",
        f"Compared {leads:,} leads with their files: each has a file of the right size.",
        f"The files stay in {machine.settings.uploads_dir}.",
        "Change these settings before you start the service again:",
        "  DATABASE_URL: the database of --to, for the service's own role and with its password",
        f"  {new_key}",
    ]
    assert all(was.values())
    assert after(url) == was == before(machine)
    assert at(moved(url, machine), readable) == machine.do(readable)


def test_every_file_is_there(machine: Machine, url: str, s3: S3) -> None:
    """Each resume is in the object store with the bytes that were uploaded, and nothing that belongs to no lead."""
    (machine.settings.uploads_dir / "stray.pdf").write_bytes(pdf())
    files_to = s3.url()
    result = machine.run(
        "copy", "--to", url, "--files-to", files_to, "--hashes", LEADINTAKE_SECRET_KEY=SECRET, **s3.environ
    )
    shutil.rmtree(machine.settings.uploads_dir)
    paths = {row[9] for row in before(machine)["leads"]}
    target = moved(url, machine, LEADINTAKE_FILES=files_to, **s3.environ)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == f"Copied {len(paths):,} files to {files_to}; 0 were there."
    assert result.stdout.splitlines()[-3:] == [
        "Change these settings before you start the service again:",
        "  DATABASE_URL: the database of --to, for the service's own role and with its password",
        f"  LEADINTAKE_FILES={files_to}",
    ]
    assert at(target, lambda app: compare(Storage(app.database, app.files), hashes=True)) == (len(paths), [])
    assert {one["path"] for page in s3.store(files_to).list() for one in page} == paths


def test_work_goes_on_where_it_stopped(past: Past, machine: Machine, url: str) -> None:
    """A form sent again is a repeat, a session and a claim still hold, mail that waits goes out, new events follow."""
    assert machine.run("copy", "--to", url).exit_code == 0
    was = before(machine)

    async def go_on(app: App) -> None:
        assert await submit(app, ADA, pdf(400_000), ADA_KEY) == past.receipt
        await app.accounts.refresh(past.refresh_token)
        await app.accounts.sign_in("boss@example.org", PASSWORD)
        at = app.dispatch.now()
        assert await app.database.write(FIRST_FIRM, lambda tx: tx.outbox.mark_sent([past.claimed], past.claim, at))
        claimed = {letter.delivery_id for letter in await app.dispatch.claim(100)}
        new = await submit(app, ADA, pdf())
        assert min(event.id for event in await timeline(app, new.id)) > max(row[0] for row in was["events"])
        assert claimed == {row[0] for row in was["deliveries"] if row[8] == Status.PENDING}

    at(moved(url, machine), go_on)


async def timeline(app: App, lead_id: UUID) -> list[Any]:
    """The events of a lead."""
    return await app.database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead_id))


def test_a_practice_without_leads(tmp_path: Path, url: str) -> None:
    """Who has only set it up moves too, and the first event is the first."""
    machine = Machine(tmp_path / "data")
    machine.run("migrate")
    result = machine.run("copy", "--to", url)

    assert result.stdout.startswith("Copied 1 rows, among them 0 leads.\n")
    assert after(url) == before(machine)


def test_a_large_table_travels_in_parts(machine: Machine, url: str) -> None:
    """More rows than are in memory at once arrive whole."""
    machine.sql(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 25000) INSERT INTO submissions "
        "SELECT firm_id, i, fingerprint, lead_id, reference, created_at FROM n, (SELECT * FROM submissions LIMIT 1)"
    )
    heard: list[tuple[int, int]] = []

    async def move() -> int:
        await copying.prepare(machine.settings, moved(url, machine))
        return await copying.copy_rows(machine.settings, moved(url, machine), lambda *done: heard.append(done))

    total = asyncio.run(move())

    assert after(url)["submissions"] == before(machine)["submissions"]
    assert heard[-1] == (total, total)
    assert len(heard) == 10


def test_the_url_may_be_piped_in(machine: Machine, url: str) -> None:
    """A password need not stand where every user of the machine can read it."""
    assert machine.run("copy", given=f"{url}\n").exit_code == 0
    assert after(url) == before(machine)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "sqlite:///other.db"],
        ["--to", "db.example.org/practice"],
        ["--to", "postgresql://db.example.org"],
        ["--to", "postgresql://db.example.org/practice", "--files-to", "folder"],
        [],
    ],
)
def test_misuse_copies_nothing(machine: Machine, arguments: list[str]) -> None:
    """What can be neither database nor bucket is exit code 2."""
    assert machine.run("copy", *arguments, given="\n").exit_code == 2


@pytest.mark.attack(161)
def test_a_database_that_cannot_be_used_is_refused(machine: Machine, server: Postgres, url: str) -> None:
    """One line says which it is and why, and has no password in it."""
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    secret = server.url("nowhere").replace("postgres@", "postgres:hidden@")
    execute(url, "CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('9999')")

    assert refusal(machine.run("copy", "--to", server.url("latin"))).startswith(
        "The database 127.0.0.1/latin cannot be used: it is in LATIN1"
    )
    assert refusal(machine.run("copy", "--to", secret)) == (
        'The database 127.0.0.1/nowhere cannot be used: database "nowhere" does not exist.'
    )
    assert "cannot be used" in refusal(machine.run("copy", "--to", "postgresql://u:hidden@127.0.0.1:1/x"))
    assert "newer version" in refusal(machine.run("copy", "--to", url))


def test_a_second_copy_is_refused(machine: Machine, url: str) -> None:
    """What is there already is never mixed with what comes, be it a single user."""
    machine.run("copy", "--to", url)
    was = after(url)

    assert refusal(machine.run("copy", "--to", url)).startswith("The database to copy to is in use: something is in ")
    assert after(url) == was


def test_a_running_service_is_refused(machine: Machine, url: str) -> None:
    """What came in meanwhile would be left behind."""
    with held(machine.settings):
        assert refusal(machine.run("copy", "--to", url)).startswith("Another leadintake serves ")


def test_only_a_sound_practice_of_this_version_is_copied(machine: Machine, tmp_path: Path, url: str) -> None:
    """Nothing to copy, a damaged database, one of an older version, or PostgreSQL: one line says what to do."""
    nothing = Machine(tmp_path / "nothing")
    there = {"DATABASE_URL": url, "LEADINTAKE_SECRET_KEY": SECRET}

    assert "There is no database yet" in refusal(nothing.run("copy", "--to", url))
    assert not nothing.data_dir.exists()
    assert "leadintake backup" in refusal(machine.run("copy", "--to", url, **there))
    machine.sql("DELETE FROM users")
    assert "damaged: events refers to users" in refusal(machine.run("copy", "--to", url))
    machine.sql("UPDATE alembic_version SET version_num = '0000'")
    assert "leadintake migrate" in refusal(machine.run("copy", "--to", url))


def test_a_copy_that_breaks_off_leaves_nothing(machine: Machine, server: Postgres, url: str) -> None:
    """Whether a row is refused or the connection is lost half-way: nothing is there, and the next run copies all."""
    target = moved(url, machine)
    heard: list[int] = []

    def lose_the_connection(done: int, _: int) -> None:
        heard.append(done)
        if len(heard) == 5:
            name = url.rpartition("/")[2]
            server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    asyncio.run(copying.prepare(machine.settings, target))
    with pytest.raises(NotReady, match="cannot be used"):
        asyncio.run(copying.copy_rows(machine.settings, target, lose_the_connection))

    assert is_empty(url)
    execute(url, "ALTER TABLE deliveries ADD CONSTRAINT never CHECK (false)")
    assert "never" in refusal(machine.run("copy", "--to", url))
    assert is_empty(url)
    execute(url, "ALTER TABLE deliveries DROP CONSTRAINT never")
    assert machine.run("copy", "--to", url).exit_code == 0
    assert after(url) == before(machine)


def test_rows_that_get_lost_on_the_way_are_noticed(machine: Machine, url: str) -> None:
    """A database that swallows a row is refused before anything counts."""
    asyncio.run(copying.prepare(machine.settings, moved(url, machine)))
    execute(
        url,
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER swallow BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION swallow()",
    )

    assert refusal(machine.run("copy", "--to", url)) == "Of 2 rows of sessions, 0 arrived. None was kept."
    assert is_empty(url)


def test_files_come_before_rows(machine: Machine, url: str, s3: S3) -> None:
    """While a file is missing or has changed, no lead is copied; the next run takes only the files that are left."""
    arguments = ["copy", "--to", url, "--files-to", s3.url()]
    uploads = sorted(machine.settings.uploads_dir.iterdir())
    missing, changed = uploads[:2]
    kept = missing.rename(machine.data_dir / "kept"), changed.read_bytes()
    changed.write_bytes(kept[1].swapcase())
    first = refusal(machine.run(*arguments, **s3.environ))

    assert first.startswith("2 files cannot be copied. LD-")
    assert first.split(": ")[1].startswith((f"{missing.name} is not there. ", f"{changed.name} has changed. "))
    assert "Restore such files or erase their leads, then copy again." in first
    assert is_empty(url)
    changed.write_bytes(kept[1])
    assert refusal(machine.run(*arguments, **s3.environ)).startswith("1 files cannot be copied. ")
    kept[0].rename(missing)
    again = machine.run(*arguments, **s3.environ)
    assert again.stdout.startswith(f"Copied 1 files to {arguments[-1]}; {len(uploads) - 1} were there.\n")
    assert again.exit_code == 0


def test_a_store_that_takes_no_files_is_refused(machine: Machine, url: str, s3: S3) -> None:
    """Where files cannot go, rows do not."""
    arguments = ["copy", "--to", url, "--files-to", s3.url()]
    largest = max(path.stat().st_size for path in machine.settings.uploads_dir.iterdir())
    small = {"LEADINTAKE_MAX_RESUME_BYTES": str(largest - 1)}
    wrong = {"AWS_SECRET_ACCESS_KEY": "another"}

    assert "LEADINTAKE_MAX_RESUME_BYTES" in refusal(machine.run(*arguments, **s3.environ, **small))
    assert refusal(machine.run(*arguments, **{**s3.environ, **wrong})).startswith(
        f"Files cannot be copied to {arguments[-1]}: "
    )
    assert is_empty(url)


def test_a_file_that_was_lost_before_is_told(machine: Machine, url: str) -> None:
    """Rows are copied as they are, but nobody is told that all is well."""
    lost = min(machine.settings.uploads_dir.iterdir())
    os.remove(lost)  # noqa: PTH107 - as somebody would
    result = machine.run("copy", "--to", url)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: All is copied, but a file is wrong: LD-")
    assert f"{lost.name} is not there" in result.stderr
