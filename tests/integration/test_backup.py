"""A practice is backed up to a folder from whatever engines it uses, and restored to whatever engines are there."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine, refusal
from tests.past import OPERATOR, PASSWORD, SECRET, Past, after, at, before, moved, readable
from tests.postgres import Postgres
from tests.records import FIRST_FIRM
from tests.s3 import S3

from leadintake.adapters.sql.tables import deliveries
from leadintake.application.app import App
from leadintake.domain.delivery import Status
from leadintake.domain.errors import SessionOver
from leadintake.entrypoints.bootstrap import schema
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.commands.stored_files import compare
from leadintake.entrypoints.lock import held

pytestmark = pytest.mark.long

NUMBERS = count()


@pytest.fixture
def machine(past: Past, tmp_path: Path) -> Machine:
    """A practice with something of everything, to back up and to break."""
    return Machine(shutil.copytree(past.machine.data_dir, tmp_path / "data"))


@pytest.fixture
def fresh(tmp_path: Path) -> Machine:
    """A machine on which there is nothing."""
    (tmp_path / "fresh").mkdir()
    return Machine(tmp_path / "fresh" / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a backup goes."""
    return tmp_path / "backups" / "monday"


@pytest.fixture
def backup(machine: Machine, folder: Path) -> Path:
    """A backup of that practice."""
    folder.parent.mkdir()
    assert machine.run("backup", str(folder)).exit_code == 0
    return folder


@pytest.fixture
def elsewhere(server: Postgres, s3: S3) -> Callable[[], dict[str, str]]:
    """Makes settings for an empty database of PostgreSQL, and an empty place in a bucket."""

    def make() -> dict[str, str]:
        name = f"backed_up{next(NUMBERS)}"
        server.execute(f"CREATE DATABASE {name}")
        engines = {"DATABASE_URL": server.url(name), "LEADINTAKE_FILES": s3.url()}
        return {**engines, "LEADINTAKE_SECRET_KEY": SECRET, **s3.environ}

    return make


def move(machine: Machine, there: dict[str, str]) -> None:
    """Move a practice from one machine to these engines."""
    to = ("--to", there["DATABASE_URL"], "--files-to", there["LEADINTAKE_FILES"])
    access = {name: text for name, text in there.items() if name.startswith("AWS_")}
    assert machine.run("copy", *to, **access).exit_code == 0


def make_uploads(machine: Machine) -> None:
    """Make the folder for files, with nothing in it."""
    machine.data_dir.mkdir(mode=0o700)
    machine.settings.uploads_dir.mkdir(mode=0o700)


def laid_up(rows: dict[str, list[tuple[Any, ...]]], manifest: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """What a backup should make of the rows of a practice."""
    taken_at = f"{manifest['taken_at'][:10]} {manifest['taken_at'][11:19]}Z"

    def hold(row: tuple[Any, ...]) -> tuple[Any, ...]:
        named = dict(zip(deliveries.c.keys(), row, strict=True))
        if named["status"] in {Status.PENDING, Status.SENDING}:
            why = f"restored from a backup of {taken_at}"
            named |= {"status": "held", "due_at": None, "claim_token": None, "last_error": why}
        return tuple(named.values())

    return {**rows, "sessions": [], "deliveries": sorted(map(hold, rows["deliveries"]), key=repr)}


def manifest_of(backup: Path) -> dict[str, Any]:
    """What a backup says of itself."""
    found: dict[str, Any] = json.loads((backup / "backup.json").read_bytes())
    return found


def test_a_backup_is_a_data_folder(machine: Machine, backup: Path) -> None:
    """The database and the files, for this user alone, nothing else, and what the manifest says is so."""
    was = before(machine)
    manifest = manifest_of(backup)
    database = (backup / "leadintake.db").read_bytes()
    files = {path.name: path.read_bytes() for path in (backup / "uploads").iterdir()}
    modes = {path.name: path.stat().st_mode & 0o777 for path in [backup, *backup.iterdir()]}

    assert modes == {"monday": 0o700, "uploads": 0o700, "leadintake.db": 0o600, "backup.json": 0o600}
    assert {path.stat().st_mode & 0o777 for path in (backup / "uploads").iterdir()} == {0o600}
    assert files == {row[9]: (machine.settings.uploads_dir / row[9]).read_bytes() for row in was["leads"]}
    assert manifest["database_sha256"] == hashlib.sha256(database).hexdigest()
    assert (manifest["leads"], manifest["files"]) == (len(was["leads"]), len(files))
    assert (manifest["schema"], manifest["missing"]) == (schema.HEAD, [])
    assert manifest["file_bytes"] == sum(map(len, files.values()))
    assert manifest["database_bytes"] == len(database)
    assert before(Machine(backup)) == laid_up(was, manifest)


def test_a_backup_is_restored_to_an_empty_folder(machine: Machine, backup: Path, fresh: Machine) -> None:
    """Every row and file is there, the doctor finds nothing wrong, the backup is as it was, the new one logs ahead."""
    database = (backup / "leadintake.db").read_bytes()
    result = fresh.run("restore", str(backup))
    manifest = manifest_of(backup)
    taken_at = f"{manifest['taken_at'][:10]} {manifest['taken_at'][11:19]}Z"

    assert result.exit_code == 0, result.output
    assert result.output == (
        f"Restored {manifest['leads']} leads as of {taken_at}. {manifest['held']} mails are held: "
        "leadintake deliveries list --status held\n"
    )
    assert before(fresh) == laid_up(before(machine), manifest)
    assert fresh.run("doctor", "--hashes").exit_code == 0
    assert (backup / "leadintake.db").read_bytes() == database
    assert fresh.settings.database_path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(fresh.settings.database_path)) as restored:
        assert restored.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_backup_comes_from_many_machines_and_goes_there(
    machine: Machine, folder: Path, fresh: Machine, elsewhere: Callable[[], dict[str, str]]
) -> None:
    """From PostgreSQL and S3 to a folder, and from there to others of them, and to SQLite: it is the same practice."""
    first, second = elsewhere(), elsewhere()
    folder.parent.mkdir()
    move(machine, first)
    was = before(machine)
    result = machine.run("backup", str(folder), **first)
    expected = laid_up(was, manifest_of(folder))
    to_many, to_one = fresh.run("restore", str(folder), **second), fresh.run("restore", str(folder))
    restored = moved(second.pop("DATABASE_URL"), fresh, **second)

    assert result.output.startswith(f"Backed up {len(was['leads'])} leads and {len(was['leads'])} files to {folder}: ")
    assert (to_many.exit_code, to_one.exit_code) == (0, 0), to_many.output + to_one.output
    assert after(str(restored.database_url)) == expected == before(fresh)
    assert at(restored, readable) == fresh.do(readable)
    assert at(restored, lambda app: compare(Storage(app.database, app.files), hashes=True)) == (len(was["leads"]), [])
    assert fresh.run("doctor", "--hashes").exit_code == 0


@pytest.mark.attack(174)
def test_nothing_is_sent_until_somebody_asks(past: Past, backup: Path, fresh: Machine) -> None:
    """A worker finds nothing due, a claim from before is worth nothing, and what is asked for goes out."""
    fresh.run("restore", str(backup))

    async def work(app: App) -> list[int]:
        nothing, due = await app.dispatch.claim(100), await app.dispatch.next_due()
        now = app.dispatch.now()
        late = await app.database.write(FIRST_FIRM, lambda tx: tx.outbox.mark_sent([past.claimed], past.claim, now))
        assert (nothing, due, late) == ([], None, 0)
        await app.desk.retry(OPERATOR, past.claimed)
        [letter] = await app.dispatch.claim(100)
        await app.dispatch.deliver(letter)
        return [letter.delivery_id == past.claimed, len(await app.dispatch.claim(100))]

    assert fresh.do(work) == [True, 0]
    assert len(list(fresh.settings.mail_dir.glob("[!.]*.eml"))) == 1


def test_everybody_signs_in_again(past: Past, backup: Path, fresh: Machine) -> None:
    """A refresh token from before is over; the password is not."""
    fresh.run("restore", str(backup))

    async def work(app: App) -> None:
        with pytest.raises(SessionOver):
            await app.accounts.refresh(past.refresh_token)

    fresh.do(work)
    signed_in = at(fresh.settings, lambda app: app.accounts.sign_in("boss@example.org", PASSWORD))

    assert signed_in.refresh_token


def test_a_backup_that_was_looked_at_is_whole(backup: Path, fresh: Machine) -> None:
    """Nothing that only looks changes a byte of the database."""
    database = backup / "leadintake.db"
    was = database.read_bytes()
    assert Machine(backup).run("doctor", "--hashes").exit_code == 0

    assert database.read_bytes() == was
    assert fresh.run("restore", str(backup)).exit_code == 0


def test_a_copy_by_hand_is_as_good(backup: Path, fresh: Machine) -> None:
    """A backup that is served as it is sends nothing either, and signs nobody in."""
    shutil.copytree(backup, fresh.data_dir)

    assert fresh.run("doctor", "--hashes").exit_code == 0
    assert fresh.do(lambda app: app.dispatch.claim(100)) == []


def test_what_was_deleted_is_not_in_a_backup(machine: Machine, backup: Path) -> None:
    """The hashes of sessions are left in no page that nobody uses."""
    hashes = [row[5].encode() for row in before(machine)["sessions"]]
    content = (backup / "leadintake.db").read_bytes()

    assert hashes
    assert not [one for one in hashes if one in content]


def damage_database(backup: Path) -> None:
    """One byte of the database is another one."""
    content = bytearray((backup / "leadintake.db").read_bytes())
    content[-1] ^= 1
    (backup / "leadintake.db").write_bytes(content)


def truncate_database(backup: Path) -> None:
    """The database breaks off."""
    (backup / "leadintake.db").write_bytes((backup / "leadintake.db").read_bytes()[:-4096])


def damage_file(backup: Path) -> None:
    """One byte of a file is another one."""
    path = min((backup / "uploads").iterdir())
    path.write_bytes(path.read_bytes().swapcase())


def truncate_file(backup: Path) -> None:
    """A file breaks off."""
    path = min((backup / "uploads").iterdir())
    path.write_bytes(path.read_bytes()[:-1])


def lose_file(backup: Path) -> None:
    """A file is gone."""
    min((backup / "uploads").iterdir()).unlink()


def lose_uploads(backup: Path) -> None:
    """All files are gone."""
    shutil.rmtree(backup / "uploads")


def lose_manifest(backup: Path) -> None:
    """As after a backup that broke off."""
    (backup / "backup.json").unlink()


def truncate_manifest(backup: Path) -> None:
    """The manifest breaks off."""
    (backup / "backup.json").write_bytes((backup / "backup.json").read_bytes()[:-20])


def come_from_the_future(backup: Path) -> None:
    """The backup was made by a newer version."""
    with closing(sqlite3.connect(backup / "leadintake.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    database = (backup / "leadintake.db").read_bytes()
    manifest = manifest_of(backup) | {"database_sha256": hashlib.sha256(database).hexdigest()}
    (backup / "backup.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (damage_database, "leadintake.db is not what was backed up"),
        (truncate_database, "leadintake.db is not what was backed up"),
        (damage_file, "has changed"),
        (truncate_file, " bytes instead of "),
        (lose_file, "is not there"),
        (lose_uploads, "there is no folder"),
        (lose_manifest, "is no backup, or one that was broken off"),
        (truncate_manifest, "is damaged, or of a newer version"),
        (come_from_the_future, "by a newer version of leadintake"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(
    backup: Path, fresh: Machine, harm: Callable[[Path], None], why: str
) -> None:
    """Before anything is made of it, and in one line that says what is wrong."""
    harm(backup)

    assert why in refusal(fresh.run("restore", str(backup)))
    assert not fresh.data_dir.exists()


def test_a_backup_takes_a_new_folder(machine: Machine, backup: Path) -> None:
    """What is there is not overwritten, be it empty; another folder takes the second backup of the day."""
    (backup.parent / "empty").mkdir()
    first = manifest_of(backup)

    assert refusal(machine.run("backup", str(backup))) == f"{backup} is there already. A backup takes a new folder."
    assert "is there already" in refusal(machine.run("backup", str(backup.parent / "empty")))
    assert refusal(machine.run("backup", str(backup / "a" / "b"))).startswith(f"There is no folder {backup / 'a'}.")
    assert machine.run("backup", str(backup.parent / "evening")).exit_code == 0
    assert manifest_of(backup) == first
    assert sorted(path.name for path in backup.parent.iterdir()) == ["empty", "evening", "monday"]


def test_nothing_to_back_up(fresh: Machine, folder: Path) -> None:
    """Without a database there is one line, and no folder."""
    folder.parent.mkdir()

    assert "There is no database yet" in refusal(fresh.run("backup", str(folder)))
    assert not list(folder.parent.iterdir())


def test_the_command_line_is_misused(fresh: Machine) -> None:
    """Without a folder it is exit code 2."""
    assert [fresh.run(command).exit_code for command in ("backup", "restore")] == [2, 2]


def test_what_is_there_is_never_overwritten(
    machine: Machine, backup: Path, fresh: Machine, elsewhere: Callable[[], dict[str, str]]
) -> None:
    """A database, a user, or a file that is not of the backup: each is refused, and stays as it was."""
    was = before(machine)
    there = elsewhere()
    assert "There is a database already" in refusal(machine.run("restore", str(backup)))
    assert before(machine) == was
    with held(machine.settings):
        assert "Another leadintake serves" in refusal(machine.run("restore", str(backup)))
    make_uploads(fresh)
    (fresh.settings.uploads_dir / "stray.pdf").write_bytes(b"stray")
    assert "is not empty: stray.pdf is not of this backup" in refusal(fresh.run("restore", str(backup)))
    assert [path.name for path in fresh.settings.uploads_dir.iterdir()] == ["stray.pdf"]
    assert fresh.run("migrate", **there).exit_code == 0
    assert fresh.run("users", "add", "somebody@example.org", "--name", "Somebody", **there).exit_code == 0

    assert "something is in users" in refusal(fresh.run("restore", str(backup), **there))
    assert not fresh.settings.database_path.exists()


@pytest.mark.parametrize("command", ["restore", "migrate"])
def test_a_log_without_its_database_is_not_written_into_another(backup: Path, fresh: Machine, command: str) -> None:
    """SQLite would take it for the new database's, and damage that. It may have leads that are nowhere else."""
    fresh.data_dir.mkdir()
    log = fresh.data_dir / "leadintake.db-wal"
    log.write_bytes(b"the last leads")
    arguments = [str(backup)] if command == "restore" else []

    assert "leadintake.db-wal is there" in refusal(fresh.run(command, *arguments))
    assert log.read_bytes() == b"the last leads"
    assert not fresh.settings.database_path.exists()


def test_a_restore_that_broke_off_is_run_again(backup: Path, fresh: Machine) -> None:
    """Files of the backup that are there are kept when they are good; what was under way is left to the sweep."""
    make_uploads(fresh)
    for path in sorted((backup / "uploads").iterdir())[:2]:
        shutil.copy(path, fresh.settings.uploads_dir)
    (fresh.settings.uploads_dir / "0a-1.part").write_bytes(b"%PDF")

    assert fresh.run("restore", str(backup)).exit_code == 0
    assert fresh.run("doctor", "--hashes").exit_code == 0


def test_a_restore_that_was_killed_is_run_again(backup: Path, fresh: Machine) -> None:
    """A file that stands short under its own name is written anew."""
    make_uploads(fresh)
    for path in (backup / "uploads").iterdir():
        content = path.read_bytes()
        (fresh.settings.uploads_dir / path.name).write_bytes(content[: len(content) // 2])
    restored = fresh.run("restore", str(backup))

    assert restored.exit_code == 0, restored.stderr
    assert fresh.run("doctor", "--hashes").exit_code == 0


def test_a_file_under_its_name_that_is_another_is_told(backup: Path, fresh: Machine) -> None:
    """It is not overwritten, and nobody is told that all is well."""
    make_uploads(fresh)
    path = Path(shutil.copy(min((backup / "uploads").iterdir()), fresh.settings.uploads_dir))
    path.write_bytes(path.read_bytes().swapcase())
    was = path.read_bytes()
    result = fresh.run("restore", str(backup))

    assert result.exit_code == 1
    assert f"{path.name} has changed" in result.stderr
    assert path.read_bytes() == was


def test_a_file_that_was_lost_before_is_told(machine: Machine, folder: Path, fresh: Machine) -> None:
    """The backup goes on and names it with its lead, and so does the restore; everything else is there."""
    folder.parent.mkdir()
    lost, changed, *_ = sorted(machine.settings.uploads_dir.iterdir())
    lost.unlink()
    changed.write_bytes(changed.read_bytes().swapcase())
    leads = {row[9]: row[2] for row in before(machine)["leads"]}
    result = machine.run("backup", str(folder))
    restored = fresh.run("restore", str(folder))

    assert (result.exit_code, restored.exit_code) == (1, 1)
    assert result.stderr.startswith("Error: 2 files could not be backed up: ")
    assert f"{leads[lost.name]}: {lost.name} is not there" in result.stderr
    assert f"{leads[changed.name]}: {changed.name} has changed" in result.stderr
    assert set(manifest_of(folder)["missing"]) == {lost.name, changed.name}
    assert manifest_of(folder)["files"] == len(leads) - 2
    assert restored.stderr.startswith("Error: 2 files could not be restored: ")
    assert f"{leads[lost.name]}: {lost.name} is not there" in restored.stderr
    assert len(before(fresh)["leads"]) == len(leads)


def damage_some(backup: Path) -> None:
    """One file is gone, one is longer, and one is another of the same length."""
    gone, longer, other, *_ = sorted((backup / "uploads").iterdir())
    gone.unlink()
    longer.write_bytes(longer.read_bytes() + b"\r\n")
    other.write_bytes(other.read_bytes().swapcase())


@pytest.mark.parametrize("harm", [lose_file, damage_some])
def test_what_is_left_of_a_damaged_backup_is_restored_on_demand(
    backup: Path, fresh: Machine, harm: Callable[[Path], None]
) -> None:
    """The refusal says how; then all leads are there, each file as it was uploaded or not at all, and each is named."""
    files = {path.name: path.read_bytes() for path in (backup / "uploads").iterdir()}
    harm(backup)
    whole = {path.name: path.read_bytes() for path in (backup / "uploads").iterdir()}.items() & files.items()
    damaged = files.keys() - dict(whole)
    leads = before(Machine(backup))["leads"]
    refused = refusal(fresh.run("restore", str(backup)))
    restored = fresh.run("restore", "--without-damaged", str(backup))

    assert refused.endswith(". Restore the rest with --without-damaged.")
    assert restored.exit_code == 1
    assert restored.stdout.startswith(f"Restored {len(leads)} leads as of ")
    assert restored.stderr.startswith(f"Error: {len(damaged)} files could not be restored: ")
    for row in leads:
        assert (f"{row[2]}: {row[9]} is not there" in restored.stderr) == (row[9] in damaged)
    assert {path.name: path.read_bytes() for path in fresh.settings.uploads_dir.iterdir()} == dict(whole)
    assert before(fresh)["leads"] == leads


def test_a_store_that_is_away_is_no_missing_file(
    machine: Machine, folder: Path, elsewhere: Callable[[], dict[str, str]]
) -> None:
    """A bucket that refuses ends the backup with one line, and leaves nothing."""
    there = elsewhere()
    folder.parent.mkdir()
    move(machine, there)
    line = refusal(machine.run("backup", str(folder), **{**there, "AWS_SECRET_ACCESS_KEY": "another"}))

    assert line.startswith(f"Files cannot be copied to {folder}: ")
    assert not list(folder.parent.iterdir())


def test_a_practice_without_leads(fresh: Machine, folder: Path, tmp_path: Path) -> None:
    """Who has only set it up may back that up, and restores it."""
    folder.parent.mkdir()
    fresh.run("migrate")
    other = Machine(tmp_path / "other")

    assert fresh.run("backup", str(folder)).output.startswith("Backed up 0 leads and 0 files ")
    assert other.run("restore", str(folder)).output.startswith("Restored 0 leads as of ")
    assert before(other) == before(fresh)
