import csv
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from tests import smtp
from tests.deployment import soon
from tests.machine import Machine, refusal
from tests.redis_server import RedisServer

from leadintake import __version__
from leadintake.application.app import App
from leadintake.application.desk import Change
from leadintake.application.views import LeadView
from leadintake.domain.delivery import Purpose
from leadintake.domain.lead import State
from leadintake.entrypoints.cli import COMMANDS
from leadintake.entrypoints.lock import SENDING, held

PASSWORD = "correct horse battery staple"


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine on which nothing has been started yet."""
    return Machine(tmp_path / "data")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """What `machine` is a copy of, because making one takes a while."""
    made = Machine(tmp_path_factory.mktemp("model") / "data")
    assert made.run("migrate").exit_code == 0
    assert made.run("users", "add", "boss@example.org", "--name", "The Boss", "--role", "admin").exit_code == 0
    return made


@pytest.fixture
def machine(bare: Machine, model: Machine) -> Machine:
    """A machine with a database and an admin."""
    shutil.copytree(model.data_dir, bare.data_dir)
    return bare


def test_help_names_every_command(bare: Machine) -> None:
    """Each command is listed, and each can be imported and explains itself."""
    listed = bare.run("--help")

    assert all(f"\n  {name} " in listed.stdout for name in COMMANDS)
    assert all(bare.run(name, "--help").exit_code == 0 for name in COMMANDS)


def test_version(bare: Machine) -> None:
    """The version is that of the package."""
    assert bare.run("version").stdout == bare.run("--version").stdout == f"leadintake {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["launch"],
        ["users", "add"],
        ["users", "add", "a@example.org", "--name", "A", "--role", "boss"],
        ["deliveries", "list", "--status", "sent"],
        ["deliveries", "retry", "1"],
    ],
)
def test_misuse_is_exit_code_2(bare: Machine, arguments: list[str]) -> None:
    """A command that cannot be meant so says how to use it, and makes nothing."""
    result = bare.run(*arguments)

    assert result.exit_code == 2
    assert not bare.data_dir.exists()


def test_a_worker_beside_a_server_that_sends_is_refused(bare: Machine) -> None:
    """With SQLite either the serving process sends mail, or the one worker beside it; never both."""
    beside = {"LEADINTAKE_WORKER": "separate"}

    assert "LEADINTAKE_WORKER" in refusal(bare.run("worker"))
    assert "leadintake migrate" in refusal(bare.run("worker", **beside))
    assert bare.run("migrate").exit_code == 0
    with held(bare.settings, SENDING):
        assert refusal(bare.run("worker", **beside)).startswith("Another leadintake sends the mail of ")


@pytest.mark.parametrize(
    "arguments",
    [["users", "list"], ["deliveries", "list"], ["leads", "erase", "LD-7F3K9QX2"], ["leads", "export"]],
    ids=" ".join,
)
def test_without_a_database_there_is_nothing_to_do(bare: Machine, arguments: list[str]) -> None:
    """A command in the wrong folder says so, and leaves no database behind."""
    assert "leadintake migrate" in refusal(bare.run(*arguments))
    assert not bare.data_dir.exists()


def test_a_bad_setting_is_one_line(bare: Machine) -> None:
    """What is wrong with the settings is said by every command alike."""
    assert refusal(bare.run("users", "list", LEADINTAKE_PORT="http")).startswith("LEADINTAKE_PORT is 'http'")


def test_settings_come_from_a_file_beside_the_command(bare: Machine) -> None:
    """A .env file is read literally, and a line that cannot be read is not skipped."""
    (bare.data_dir.parent / ".env").write_text("# ours\nLEADINTAKE_FIRM_NAME='${HOME} & Sons'\nLEADINTAKE_PROT=1\n")
    assert "LEADINTAKE_PORT" in refusal(bare.run("migrate"))

    (bare.data_dir.parent / ".env").write_text("LEADINTAKE_FIRM_NAME='unended\n")
    assert refusal(bare.run("migrate")) == "Line 1 of .env is not NAME=value."

    (bare.data_dir.parent / ".env").write_bytes("LEADINTAKE_FIRM_NAME=Müller\n".encode("latin-1"))
    assert refusal(bare.run("migrate")) == ".env is not UTF-8. Save it as UTF-8."


@pytest.mark.parametrize(
    ("command", "exit_code", "why"),
    [
        ("users list 2>&-", 0, ""),
        ("users list <&- >&- 2>&-", 0, ""),
        ("users add a@example.org --name A --password-stdin <&-", 1, "Error: password: "),
        ("copy <&-", 2, "Usage: "),
    ],
)
def test_a_closed_standard_stream_is_one_without_content(
    machine: Machine, command: str, exit_code: int, why: str
) -> None:
    """What is not said is not heard, and what is not given is missing; neither is an error of its own."""
    environ = {**os.environ, "LEADINTAKE_DATA_DIR": str(machine.data_dir)}
    shell = ["sh", "-c", f"exec {sys.executable} -m leadintake {command}"]
    result = subprocess.run(
        shell, cwd=machine.data_dir.parent, env=environ, capture_output=True, text=True, check=False
    )

    assert result.returncode == exit_code
    assert result.stderr.startswith(why)


def test_migrate_makes_a_database_that_nobody_else_can_open(bare: Machine) -> None:
    """The folder is 0700 and every file in it 0600, whatever the umask; a second time there is nothing to do."""
    first, second = bare.run("migrate"), bare.run("migrate")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert bare.data_dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in bare.data_dir.iterdir()} == {0o600}


@pytest.mark.parametrize(("revision", "what_to_do"), [("0000", "leadintake migrate"), ("9999", "newer version")])
def test_another_schema_is_refused(machine: Machine, revision: str, what_to_do: str) -> None:
    """An older database is not touched before it is migrated, a newer one never."""
    machine.sql(f"UPDATE alembic_version SET version_num = '{revision}'")

    assert what_to_do in refusal(machine.run("users", "list"))
    assert what_to_do in machine.run("doctor").stdout


def test_a_file_that_is_no_database_is_refused(bare: Machine) -> None:
    """A broken database is one line, not a trace."""
    bare.data_dir.mkdir()
    bare.settings.database_path.write_bytes(b"not a database" * 100)

    assert "file is not a database" in refusal(bare.run("users", "list"))


def test_a_new_user_signs_in_with_the_password_that_is_shown_once(machine: Machine) -> None:
    """The generated password is printed by `users add` and opens a session."""
    added = machine.run("users", "add", "Ada@example.org", "--name", "Ada Lovelace")
    password = added.stdout.split()[-1]

    assert machine.do(lambda app: app.accounts.sign_in("ada@example.org", password)).access_token
    assert "Ada@example.org\tAda Lovelace\tattorney\tyes\t" in machine.run("users", "list").stdout
    assert "runs out in 72 hours, unless its owner changes it" in added.stdout
    assert password not in machine.run("users", "list").output


@pytest.mark.asvs("V6.4.1")
def test_the_list_says_which_passwords_run_out(machine: Machine) -> None:
    """A column has the time of a password that was set for a user; after a change by the user it is empty."""
    machine.run("users", "add", "a@example.org", "--name", "A", "--password-stdin", given=PASSWORD)
    head, *before = (line.split("\t") for line in machine.run("users", "list").stdout.splitlines())

    async def change(app: App) -> None:
        identity = await app.accounts.authenticate((await app.accounts.sign_in("a@example.org", PASSWORD)).access_token)
        await app.accounts.change_password(identity, PASSWORD, f"{PASSWORD} {PASSWORD}")

    machine.do(change)
    after = [line.split("\t") for line in machine.run("users", "list").stdout.splitlines()[1:]]

    assert head[-3:] == ["created", "password until", "id"]
    for *_, created, until, _ in before:
        assert datetime.fromisoformat(until) - datetime.fromisoformat(created) == timedelta(days=3)
    assert [row[-2] for row in after] == [before[0][-2], ""]


@pytest.mark.asvs("V6.2.5-9")
def test_a_password_may_be_given(machine: Machine) -> None:
    """A given password is taken byte for byte, but for the end of its line, and not printed."""
    given = "  pass word with spaces "
    added = machine.run("users", "add", "a@example.org", "--name", "A", "--password-stdin", given=f"{given}\nmore\n")

    assert given.strip() not in added.output
    assert machine.do(lambda app: app.accounts.sign_in("a@example.org", given)).access_token


@pytest.mark.parametrize(
    ("arguments", "given", "why"),
    [
        (["add", "boss@example.org", "--name", "B"], "", "A user with this email address exists already."),
        (["add", "boss", "--name", "B"], "", "email: "),
        (["add", "b@example.org", "--name", "\u200b"], "", "full_name: "),
        (["add", "b@example.org", "--name", "B", "--password-stdin"], "short\n", "password: "),
        (["add", "b@example.org", "--name", "B", "--password-stdin"], "", "password: "),
        (
            ["add", "b@example.org", "--name", "B", "--password-stdin"],
            "password1234\n",
            "password: This password is easy",
        ),
        (["add", "b@example.org", "--name", "B", "--password-stdin"], b"caf\xe9\n", "Standard input is not UTF-8."),
        (["deactivate", "b@example.org"], "", "There is no user b@example.org."),
        (["reset-password", "b@example.org"], "", "There is no user b@example.org."),
        (["end-sessions", "b@example.org"], "", "There is no user b@example.org."),
        (["deactivate", "boss@example.org"], "", "This is the last active admin."),
    ],
)
def test_what_cannot_be_done_to_users_says_why(
    machine: Machine, arguments: list[str], given: str | bytes, why: str
) -> None:
    """One line names the field or the person, and nobody is changed."""
    before = machine.run("users", "list").stdout

    assert refusal(machine.run("users", *arguments, given=given)).startswith(why)
    assert machine.run("users", "list").stdout == before


@pytest.mark.asvs("V6.4.3")
def test_a_reset_password_ends_all_sessions(machine: Machine) -> None:
    """The old password and every session stop counting; the new one is printed."""
    machine.run("users", "add", "a@example.org", "--name", "A", "--password-stdin", given=PASSWORD)
    grant = machine.do(lambda app: app.accounts.sign_in("a@example.org", PASSWORD))
    password = machine.run("users", "reset-password", "A@EXAMPLE.org").stdout.split()[-1]

    assert machine.run("users", "end-sessions", "a@example.org").stdout == "Ended 0 sessions of a@example.org.\n"
    assert machine.do(lambda app: app.accounts.sign_in("a@example.org", password)).access_token != grant.access_token


def test_a_new_password_of_an_inactive_user_says_that_it_opens_nothing(machine: Machine) -> None:
    """It is set, and whoever passes it on knows that somebody has to activate the user first."""
    machine.run("users", "add", "a@example.org", "--name", "A")
    active = machine.run("users", "reset-password", "a@example.org").stdout
    machine.run("users", "deactivate", "a@example.org")
    inactive = machine.run("users", "reset-password", "a@example.org").stdout

    assert "inactive" not in active
    assert "a@example.org is inactive and cannot sign in before an admin activates the user.\n" in inactive


@pytest.mark.asvs("V7.4.5")
def test_sessions_can_be_ended(machine: Machine) -> None:
    """Signing somebody out leaves the password as it is."""
    machine.run("users", "add", "a@example.org", "--name", "A", "--password-stdin", given=PASSWORD)
    machine.do(lambda app: app.accounts.sign_in("a@example.org", PASSWORD))

    assert machine.run("users", "end-sessions", "a@example.org").stdout == "Ended 1 session of a@example.org.\n"
    assert machine.do(lambda app: app.accounts.sign_in("a@example.org", PASSWORD)).access_token


def test_a_deactivated_user_stays_on_the_list(machine: Machine) -> None:
    """Nobody is deleted, because the record names them."""
    machine.run("users", "add", "a@example.org", "--name", "A")

    assert machine.run("users", "deactivate", "a@example.org").stdout == "Deactivated a@example.org.\n"
    assert "a@example.org\tA\tattorney\tno\t" in machine.run("users", "list").stdout


@pytest.mark.attack(160)
def test_failed_mail_is_listed_and_sent_again(machine: Machine) -> None:
    """What failed is shown with its reason, harmlessly, and is pending once it was asked for."""
    lead = machine.submit()
    failed = machine.fail(Purpose.CONFIRMATION)
    listed = machine.run("deliveries", "list", "--status", "failed").stdout
    again = machine.run("deliveries", "retry", failed)

    assert listed.count("\n") == 2
    assert f"{failed}\tfailed\tconfirmation\tada@example.org\t1\t\t550\\x1b[2J no\\tsuch\t{lead.reference}\n" in listed
    assert again.exit_code == 0
    assert f"{failed}\tpending" in machine.run("deliveries", "list").stdout


def test_what_cannot_be_sent_again_is_named_and_holds_up_nothing(machine: Machine) -> None:
    """Of many, each that is unknown or waits anyway is told with its reason, and all others are sent again."""
    unknown = "00000000-0000-4000-8000-000000000000"
    failed = []
    for _ in range(2):
        machine.submit()
        failed.append(machine.fail(Purpose.CONFIRMATION))
    again = machine.run("deliveries", "retry", failed[0], unknown, failed[0], failed[1])

    assert again.exit_code == 1
    assert again.stdout == "".join(f"{one} will be sent again.\n" for one in failed)
    assert again.stderr.splitlines() == [
        f"{unknown}: There is nothing with this id.",
        f"{failed[0]}: Only a delivery that failed or is held can be sent again.",
        "Error: 2 of 4 cannot be sent again.",
    ]


def test_leads_are_exported(machine: Machine) -> None:
    """Those of some days or in one state, the oldest first, whatever is in them; those in quarantine are left out."""
    first, second = machine.submit(), machine.submit()

    async def change(app: App) -> None:
        tokens = await app.accounts.sign_in("grace@example.org", PASSWORD)
        user = (await app.accounts.authenticate(tokens.access_token)).user
        notes = 'He said: "no, thanks",\nand left.'
        await app.desk.change(user, second.id, Change(state=State.REACHED_OUT, notes=notes))

    machine.run("users", "add", "grace@example.org", "--name", "=Grace", "--password-stdin", given=PASSWORD)
    machine.do(change)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    printed = machine.run("leads", "export").stdout_bytes.decode()
    head, *rows = csv.reader(StringIO(printed, newline=""))
    of_today = machine.run("leads", "export", "--from", today, "--to", today, "--state", "REACHED_OUT").stdout

    assert printed.startswith("reference,first name,last name,email,received,state,reached out,by,resume,notes,id\r\n")
    assert [row[0] for row in rows] == [first.reference, second.reference]
    assert dict(zip(head, rows[1], strict=True))["notes"] == 'He said: "no, thanks",\nand left.'
    assert (rows[0][6:8], rows[1][7]) == (["", ""], "'=Grace")
    assert datetime.fromisoformat(rows[1][6]) >= datetime.fromisoformat(rows[1][4])
    assert of_today.count(second.reference) == 1
    assert first.reference not in of_today
    assert machine.run("leads", "export", "--to", "2020-01-01").stdout.count("\n") == 1
    assert machine.run("leads", "export", "--from", "yesterday").exit_code == 2


@pytest.mark.parametrize("name", ["id", "reference"])
def test_a_lead_is_erased_by_id_or_reference(machine: Machine, name: str) -> None:
    """Row and file are gone; others stay."""
    kept, lead = machine.submit(), machine.submit()
    erased = machine.run("leads", "erase", str(getattr(lead, name)).lower(), "--yes")

    assert erased.stdout == f"Erased {lead.reference}, {lead.id}.\n"
    assert [path.name for path in machine.settings.uploads_dir.iterdir()] == [kept.resume_path]
    assert refusal(machine.run("leads", "erase", str(getattr(lead, name)), "--yes")).startswith("There is no lead ")


@pytest.mark.parametrize("unknown", ["LD-00000000", "00000000-0000-4000-8000-000000000000", "ada", "%", ""])
def test_only_the_lead_that_is_named_is_erased(machine: Machine, unknown: str) -> None:
    """Neither a part of a reference nor a name nor a pattern is enough."""
    lead = machine.submit()

    for text in (unknown, lead.reference[:6]):
        assert refusal(machine.run("leads", "erase", text, "--yes")) == f"There is no lead {text}."


@pytest.mark.parametrize("name", ["id", "reference"])
def test_what_happened_to_a_lead(machine: Machine, name: str) -> None:
    """Who did what, in the order of it; of a lead that was erased, too."""
    lead, other = machine.submit(), machine.submit()
    given = str(getattr(lead, name)).lower()
    before = machine.run("leads", "events", given).stdout.splitlines()
    for one in (other, lead):
        machine.run("leads", "erase", one.reference, "--yes")
    after = [line.split("\t") for line in machine.run("leads", "events", given).stdout.splitlines()]

    assert [line.split("\t")[1:3] for line in before] == [["event", "by"], ["lead.submitted", "prospect"]]
    assert [row[1:3] for row in after[2:]] == [["lead.erased", "system"]]
    assert json.loads(after[2][3]) == {"reference": lead.reference}
    assert refusal(machine.run("leads", "events", "LD-00000000")) == "There is no lead LD-00000000."
    assert refusal(machine.run("leads", "events", "ada")) == "There is no lead ada."


def test_erasing_asks_first(machine: Machine) -> None:
    """Without a yes nothing happens."""
    lead = machine.submit()
    asked = machine.run("leads", "erase", lead.reference[3:], given="n\n")

    assert f"Erase {lead.reference} (Ada Lovelace, ada@example.org, of " in asked.output
    assert asked.exit_code == 1
    assert (machine.settings.uploads_dir / lead.resume_path).exists()
    assert machine.run("leads", "erase", lead.reference, given="y\n").exit_code == 0


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C counts: a shell has it ignored for what it runs in the background, and so for all that this starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.long
@pytest.mark.usefixtures("interruptible")
def test_erasing_can_be_interrupted_where_it_asks(machine: Machine) -> None:
    """The first Ctrl-C ends it, and nothing is erased."""
    lead = machine.submit()
    env = {**os.environ, "LEADINTAKE_DATA_DIR": str(machine.data_dir)}
    command = [sys.executable, "-m", "leadintake", "leads", "erase", lead.reference]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=machine.data_dir, env=env, stdin=pipe, stdout=pipe, stderr=pipe) as asking:
        assert asking.stdout
        assert asking.stdout.read(5) == b"Erase"
        # A signal just before it reads would be seen after it has read, whoever reads.
        assert soon(lambda: "pipe_read" in Path(f"/proc/{asking.pid}/wchan").read_text())
        asking.send_signal(signal.SIGINT)
        try:
            code = asking.wait(10)
        finally:
            asking.kill()

    assert code == 1
    assert (machine.settings.uploads_dir / lead.resume_path).exists()


def test_doctor_finds_nothing_wrong_on_a_sound_machine(machine: Machine) -> None:
    """Each part is looked at, and all is well; nothing is left of that in the folder of mails."""
    machine.submit()
    machine.settings.mail_dir.mkdir(mode=0o700)
    report = machine.run("doctor", "--hashes")

    assert report.exit_code == 0
    assert not list(machine.settings.mail_dir.iterdir())
    assert "wrong" not in report.stdout
    assert "files\tok\t1 leads, each with the bytes that were uploaded\n" in report.stdout


def lose(machine: Machine, lead: LeadView) -> None:
    """Delete a lead's file."""
    (machine.settings.uploads_dir / lead.resume_path).unlink()


def cut(machine: Machine, lead: LeadView) -> None:
    """Cut a lead's file short."""
    os.truncate(machine.settings.uploads_dir / lead.resume_path, 10)


def keep_a_turn(machine: Machine, _: LeadView) -> None:
    """Let nobody write to the database."""
    turn = Path(f"{machine.settings.database_path}-turn")
    turn.unlink()
    turn.mkdir(mode=0o700)


def swap(machine: Machine, lead: LeadView) -> None:
    """Change a lead's file and not its size."""
    (machine.settings.uploads_dir / lead.resume_path).write_bytes(bytes(lead.resume_size))


def expose(machine: Machine, _: LeadView) -> None:
    """Let everybody read the database."""
    machine.settings.database_path.chmod(0o644)


def neglect(machine: Machine, _: LeadView) -> None:
    """Leave mail unsent for an hour, of which it was put off again and again: when it is due next says nothing."""
    hour = int(timedelta(hours=1) / timedelta(microseconds=1))
    machine.sql(f"UPDATE deliveries SET give_up_at = give_up_at - {hour}, due_at = due_at + {hour}, attempts = 7")


def give_up(machine: Machine, _: LeadView) -> None:
    """Fail to tell the attorneys."""
    machine.fail(Purpose.NOTIFICATION)


def block_mail(machine: Machine, _: LeadView) -> None:
    """Put something where mails are written to."""
    machine.settings.mail_dir.touch(mode=0o600)


def tear(machine: Machine, _: LeadView) -> None:
    """Break a reference inside the database."""
    machine.sql("UPDATE leads SET firm_id = x'00'")


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        (lose, "files\twrong\t{lead.reference}: {lead.resume_path} is not there"),
        (cut, "files\twrong\t{lead.reference}: {lead.resume_path} has 10 bytes instead of {lead.resume_size:,}"),
        (swap, "files\twrong\t{lead.reference}: {lead.resume_path} has changed"),
        (expose, "data folder\twrong\tOther users can open"),
        (neglect, "outbox\twrong\tMail is due since"),
        (give_up, "outbox\twrong\t1 notifications of attorneys failed"),
        (keep_a_turn, "database\twrong\tNothing can be written to it: [Errno 21] Is a directory"),
        (block_mail, "mail\twrong\tNo mail can be written to {settings.mail_dir}: Not a directory"),
        (tear, "database\twrong\tleads refers to firms that are not there"),
    ],
)
def test_doctor_finds_what_is_wrong(machine: Machine, harm: Callable[[Machine, LeadView], None], finding: str) -> None:
    """Each kind of harm is one finding, and the exit code says that there is one."""
    lead = machine.submit()
    harm(machine, lead)
    report = machine.run("doctor", "--hashes")

    assert report.exit_code == 1
    assert finding.format(lead=lead, settings=machine.settings) in report.stdout
    assert report.stdout.count("\twrong\t") == 1


def test_doctor_says_how_many_leads_go_next(machine: Machine) -> None:
    """Where a time is set, it names those that the next sweep erases, which is nothing wrong; and it erases none."""
    for _ in range(2):
        machine.submit()
    machine.sql("UPDATE leads SET quarantine = 'trap', created_at = 0, updated_at = 0 WHERE rowid = 1")
    unset = machine.run("doctor")
    reports = [machine.run("doctor", LEADINTAKE_RETENTION_DAYS="30") for _ in range(2)]

    assert "retention" not in unset.stdout
    for report in reports:
        assert (
            "retention\tnote\t1 leads are erased when the service next looks: 30 days without a change."
            in report.stdout
        )
        assert report.exit_code == 0


def test_doctor_reads_no_file_unless_asked_to(machine: Machine) -> None:
    """Without --hashes only sizes are compared, so that a large folder takes seconds."""
    swap(machine, machine.submit())

    assert machine.run("doctor").exit_code == 0


def test_doctor_goes_on_where_the_application_does_not_open(machine: Machine) -> None:
    """A secret that everybody can read keeps the application from opening, and the report still comes."""
    (machine.data_dir / "secret.key").chmod(0o644)
    report = machine.run("doctor")

    assert report.exit_code == 1
    assert "data folder\twrong\tOther users can open" in report.stdout
    assert "application\twrong\t" in report.stdout


@pytest.mark.parametrize("put", [Path.touch, lambda path: path.symlink_to("nowhere")], ids=["file", "link"])
def test_doctor_goes_on_where_something_else_is_in_the_place_of_a_folder(
    machine: Machine, put: Callable[[Path], None]
) -> None:
    """What the system refuses while the application is opened is one finding, and the report still comes."""
    machine.settings.uploads_dir.rmdir()
    put(machine.settings.uploads_dir)
    report = machine.run("doctor", "--fix")

    assert report.exit_code == 1
    assert "database\tok\t" in report.stdout
    assert f"application\twrong\t{machine.settings.uploads_dir}: File exists." in report.stdout
    assert report.stdout.count("\twrong\t") == 1


def lose_the_rights_of_root() -> None:
    """From the next program on, root may only do what modes allow (prctl(2), capabilities(7)); others never could."""
    drop, override, search = 24, 1, 2
    for right in (override, search):
        ctypes.CDLL(None).prctl(drop, right)


@pytest.mark.long
def test_doctor_goes_on_where_it_may_not_look(machine: Machine) -> None:
    """Of a data folder that belongs to somebody else it says so, part by part, and of the settings what it finds."""
    machine.data_dir.chmod(0)
    env = {**os.environ, "LEADINTAKE_DATA_DIR": str(machine.data_dir)}
    command = [sys.executable, "-m", "leadintake", "doctor"]
    report = subprocess.run(
        command,
        cwd=machine.data_dir.parent,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lose_the_rights_of_root,
    )
    machine.data_dir.chmod(0o700)

    assert report.returncode == 1
    assert "settings\tok\t" in report.stdout
    for about, path in {
        "data folder": machine.data_dir,
        "database": machine.settings.database_path,
        "application": machine.settings.database_path,
    }.items():
        assert f"{about}\twrong\t{path}: Permission denied." in report.stdout


def test_doctor_counts_files_without_a_lead(machine: Machine) -> None:
    """What the sweep will remove is worth a note, and what may still be on its way is not."""
    machine.submit()
    fresh, old = machine.settings.uploads_dir / "fresh.part", machine.settings.uploads_dir / "old.pdf"
    for path in (fresh, old):
        path.touch(mode=0o600)
    os.utime(old, (0, 0))
    machine.sql("UPDATE firms SET created_at = 0")
    report = machine.run("doctor")

    assert report.exit_code == 0
    assert "files\tnote\t1 files belong to no lead" in report.stdout


def test_doctor_knows_a_database_that_is_not_the_one_of_the_files(machine: Machine) -> None:
    """A new one beside the files of a lost one is wrong, and mending removes none of them."""
    lead = machine.submit()
    file = machine.settings.uploads_dir / lead.resume_path
    os.utime(file, (1, 1))
    machine.settings.database_path.unlink()
    migrated, report = machine.run("migrate"), machine.run("doctor", "--fix")

    assert migrated.exit_code == 0
    assert report.exit_code == 1
    assert "files\twrong\t1 files are older than the database, and belong to no lead of it." in report.stdout
    assert file.exists()


def test_doctor_says_why_an_object_store_cannot_be_used(machine: Machine) -> None:
    """A store that nobody answers for is one finding, with what its library says, and the rest is looked at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ALLOW_HTTP": "true"}
    result = machine.run("doctor", LEADINTAKE_FILES="s3://resumes", AWS_ENDPOINT_URL=nobody, **keys)
    [line] = [line for line in result.stdout.splitlines() if line.startswith("files")]

    assert result.exit_code == 1
    assert line.startswith("files\twrong\tNo file can be written to s3://resumes: ")
    assert nobody in line
    assert "outbox\tok\tnothing waits" in result.stdout


def test_doctor_mends_what_loses_nothing(machine: Machine) -> None:
    """It closes what others can open and removes old files of no lead; the next look finds nothing wrong."""
    lead = machine.submit()
    orphan = machine.settings.uploads_dir / "old.pdf"
    orphan.touch(mode=0o600)
    os.utime(orphan, (0, 0))
    machine.sql("UPDATE firms SET created_at = 0")
    expose(machine, lead)
    mended, after = machine.run("doctor", "--fix"), machine.run("doctor", "--hashes")

    assert mended.exit_code == 0
    assert f"data folder\tmended\tOther users could open {machine.settings.database_path}." in mended.stdout
    assert "files\tmended\t1 files belonged to no lead." in mended.stdout
    assert not orphan.exists()
    assert after.exit_code == 0
    assert "mended" not in after.stdout
    assert "1 leads, each with the bytes that were uploaded" in after.stdout


def test_doctor_cannot_mend_what_is_lost(machine: Machine) -> None:
    """A file that is gone stays a finding, and its lead stays."""
    lead = machine.submit()
    lose(machine, lead)
    report = machine.run("doctor", "--fix")

    assert report.exit_code == 1
    assert f"files\twrong\t{lead.reference}: {lead.resume_path} is not there" in report.stdout
    assert machine.run("doctor").exit_code == 1


def test_doctor_asks_the_mail_server(machine: Machine) -> None:
    """It finds out whether mail would be taken, and sends none; a server that is away or refuses is a finding."""
    with smtp.running() as server:
        there = {"LEADINTAKE_MAIL_BACKEND": "smtp", "LEADINTAKE_SMTP_HOST": "127.0.0.1", "LEADINTAKE_SMTP_TLS": "off"}
        port = {"LEADINTAKE_SMTP_PORT": str(server.port)}
        ready = machine.run("doctor", **there, **port)
        verbs = list(server.verbs)
        unsafe = machine.run("doctor", **{**there, **port, "LEADINTAKE_SMTP_TLS": "require"})
    away = machine.run("doctor", **there, **port)

    assert f"mail\tok\t127.0.0.1 port {server.port} is ready to take mail." in ready.stdout
    assert "MAIL" not in verbs
    for report in (unsafe, away):
        assert report.exit_code == 1
        assert f"mail\twrong\t127.0.0.1 port {server.port}: " in report.stdout


def test_doctor_asks_redis(machine: Machine, redis: RedisServer) -> None:
    """Without Redis nobody can sign in, so that is wrong. Of it, nothing but the table is printed."""
    ready = machine.run("doctor", LEADINTAKE_REDIS_URL=redis.url)
    redis.stop()
    away = machine.run("doctor", LEADINTAKE_REDIS_URL=redis.url)

    assert "rate limits\tok\t" in ready.stdout
    assert ready.exit_code == 0
    assert "rate limits\twrong\tRedis counts nothing (" in away.stdout
    assert away.stdout.startswith("about\tverdict\tfinding\n")


def test_doctor_knows_a_proxy_that_nobody_trusts(machine: Machine) -> None:
    """Behind one that is not named, all clients share one address and one rate."""
    https = {"LEADINTAKE_BASE_URL": "https://intake.example.com"}

    assert "settings\twrong\thttps comes from a proxy" in machine.run("doctor", **https).stdout
    trusting = machine.run("doctor", **https, LEADINTAKE_TRUSTED_PROXIES="127.0.0.1")
    assert "settings\twrong" not in trusting.stdout
    assert "mail\twrong\tMail is written to " in trusting.stdout, "whoever writes by https waits for mail in vain"
