"""A mail server that takes no password, and one that may be somebody else."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from tests import smtp
from tests.deployment import Deployment, parsed, running, soon
from tests.smtp import MailServer
from tests.soak.clock import Clock
from tests.soak.ledger import Row, Scale
from tests.soak.setups import HASTY, OnPostgres, sent_to, submit
from tests.soak.store import Store

DAYS = 4
"""How long a password is wrong: less than mails are kept for, and far more often than they would be tried."""

LEADS_A_DAY = 5
USER, PASSWORD = "intake", "not a secret"
HOST = "localhost"
PAUSED = "leadintake_channel_paused 1.0"


@dataclass(frozen=True)
class Secure:
    """A mail server that asks for TLS and a password, and who signs its certificates."""

    mail: MailServer
    authority: trustme.CA
    environ: dict[str, str]

    def heal(self) -> None:
        """Have it do all that it should."""
        self.mail.without.clear()
        self.mail.always.clear()
        self.mail.show(self.authority.issue_cert(HOST))


@contextmanager
def secure(folder: Path, tls: smtp.Tls) -> Iterator[Secure]:
    """Run such a server; `environ` is what a deployment needs to hand mails in there."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    with smtp.running(tls, authority.issue_cert(HOST)) as mail:
        mail.users[USER] = PASSWORD
        environ = {
            **sent_to(mail),
            "LEADINTAKE_SMTP_HOST": HOST,
            "LEADINTAKE_SMTP_TLS": tls,
            "LEADINTAKE_SMTP_USERNAME": USER,
            "LEADINTAKE_SMTP_PASSWORD": PASSWORD,
            "SSL_CERT_FILE": str(folder / "authority.pem"),
        }
        yield Secure(mail, authority, environ)


@pytest.mark.promises("P17")
@pytest.mark.parametrize("mended", ["by a restart", "at the server"])
def test_a_wrong_password(on_sqlite: Deployment, row: Row, scale: Scale, mended: str) -> None:
    """A wrong password for four days, by libfaketime; then it is put right: no mail is lost, none failed."""
    clock, store = Clock(on_sqlite.folder / "clock"), Store(on_sqlite.environ)
    deployment = replace(on_sqlite, program=HASTY)
    with secure(on_sqlite.folder, "require") as there:
        mail = there.mail
        deployment.environ.update(clock.environ, **there.environ)
        if mended == "by a restart":
            deployment.environ["LEADINTAKE_SMTP_PASSWORD"] = "another one"
        else:
            mail.users[USER] = "another one"
        with running(deployment) as service:
            for day in range(DAYS + 1):
                clock.jump(timedelta(days=day))
                for _ in range(LEADS_A_DAY):
                    submit(service, "ada@client.example")
                enough = mail.verbs.count("AUTH") + scale.refused_sign_ins
                assert soon(lambda enough=enough: mail.verbs.count("AUTH") >= enough), "it is not tried any more"  # type: ignore[misc] # mypy cannot infer a lambda with a default
                assert soon(lambda: PAUSED in service.client.get("/metrics").text)
            refused, owed = mail.verbs.count("AUTH"), store.owed()
            assert not mail.mails
            if mended == "by a restart":
                deployment.environ["LEADINTAKE_SMTP_PASSWORD"] = PASSWORD
                assert service.end(signal.SIGTERM) == {0}
                service.start()
            else:
                mail.users[USER] = PASSWORD
            assert soon(lambda: {one.status for one in store.owed()} == {"sent"}), "mails do not go out"
            paused = PAUSED in service.client.get("/metrics").text
        copies = Counter(one["Message-ID"] for one in parsed([one.content for one in mail.mails]))
    row.trials = row.acknowledged = len(owed)
    row.lost = len({one.message_id for one in owed} - copies.keys())
    row.faults, row.duplicates = refused, copies.total() - len(copies)
    row.note(f"{refused} refused sign-ins in {DAYS} days")

    assert not paused
    assert len(owed) == 2 * LEADS_A_DAY * (DAYS + 1)
    assert (row.lost, row.duplicates) == (0, 0)
    assert {one.status for one in owed} <= {"pending", "sending"}, "a password that was wrong has failed mails"
    assert {one.attempts for one in store.owed()} == {1}, "a password that was wrong has used up tries"


@dataclass(frozen=True)
class Unsafe:
    """What is wrong with a mail server, or with who says that he is it."""

    name: str
    certificate: Callable[[trustme.CA], trustme.LeafCert]
    without: frozenset[str] = frozenset()
    refusal: str | None = None

    def befalls(self, there: Secure) -> None:
        """Have the server be so."""
        there.mail.show(self.certificate(there.authority))
        there.mail.without |= self.without
        if self.refusal:
            there.mail.always["STARTTLS"] = self.refusal
        there.mail.hang_up()


def _good(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(HOST)


def _signed_by_itself(_: trustme.CA) -> trustme.LeafCert:
    stranger = trustme.CA()
    return trustme.LeafCert(stranger.private_key_pem.bytes(), stranger.cert_pem.bytes(), [])


def _signed_by_a_stranger(_: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert(HOST)


def _of_another_host(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("mail.firm.example")


def _expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(HOST, not_after=datetime.now(UTC) - timedelta(hours=1))


CERTIFICATES = (
    Unsafe("self-signed", _signed_by_itself),
    Unsafe("signed by a stranger", _signed_by_a_stranger),
    Unsafe("of another host", _of_another_host),
    Unsafe("expired", _expired),
)
STRIPPED = (
    Unsafe("no STARTTLS", _good, without=frozenset({"STARTTLS"})),
    Unsafe("STARTTLS refused", _good, refusal="502 5.5.1 Not implemented"),
)


@pytest.mark.promises("P18")
@pytest.mark.parametrize("tls", ["require", "implicit"])
def test_nobody_else_is_told(on_postgres: OnPostgres, row: Row, scale: Scale, tls: smtp.Tls) -> None:
    """No encryption or a wrong certificate: the server hears no password and no mail; put right, all go out."""
    deployment = replace(on_postgres(1, 1), program=HASTY)
    store, said = Store(deployment.environ), list[str]()
    with secure(deployment.folder, tls) as there:
        mail = there.mail
        deployment.environ.update(there.environ)
        with running(deployment) as service:
            for unsafe in (*CERTIFICATES, *(STRIPPED if tls == "require" else ())):
                unsafe.befalls(there)
                heard, connections, mails = len(mail.commands), mail.connections, len(mail.mails)
                for _ in range(scale.unsafe_leads):
                    submit(service, "ada@client.example")
                soon(lambda connections=connections: mail.connections >= connections + 3)  # type: ignore[misc] # mypy cannot infer a lambda with a default
                verbs = {*mail.verbs[heard:]} - {"EHLO", "STARTTLS", "QUIT"}
                said += [f"{unsafe.name}: {verb} was said" for verb in verbs]
                said += [f"{unsafe.name}: it was not tried"] * (mail.connections == connections)
                said += [f"{unsafe.name}: a mail arrived"] * (len(mail.mails) > mails)
                row.faults += 1
                there.heal()
                assert soon(lambda: {one.status for one in store.owed()} == {"sent"}), f"{unsafe.name}: mails stay"
            owed = store.owed()
        copies = Counter(one["Message-ID"] for one in parsed([one.content for one in mail.mails]))
    row.trials = row.acknowledged = len(owed)
    row.lost, row.duplicates = len(owed) - len(copies), copies.total() - len(copies)
    row.note(f"{mail.connections} connections")

    assert not said, said
    assert (row.lost, row.duplicates) == (0, 0)
    assert {one.attempts for one in owed} == {1}, "a server that is not safe has used up tries"
