import asyncio
import gc
import ssl
import traceback
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import smtp
from tests.letters import LETTER, letter
from tests.smtp import HOST, Fault, Mail, MailServer

from leadintake.adapters.mail.conversation import Conversation, Limits, Server
from leadintake.adapters.mail.render import Renderer
from leadintake.adapters.mail.smtp import LIMITS, SmtpMailer
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import SEND_TIMEOUT
from leadintake.domain.errors import ChannelDown, DeliveryFailed

SENDER = "office@firm.example"
RENDERER = Renderer(firm_name="Our firm", mail_from=SENDER, base_url="https://firm.example")
USER, PASSWORD = "office", "correct horse battery"

PATIENT = Limits(beginning=20, envelope=20, whole=50)
"""So that nothing a busy machine does takes too long."""

HASTY = Limits(beginning=2, envelope=2, whole=3, goodbye=0.1)

ENVELOPE = ("MAIL", "RCPT", "DATA")
OPENING = ("CONNECT", "EHLO")
CODES = (421, 450, 451, 452, 500, 501, 530, 535, 550, 552, 553, 554)

Tls = Literal["require", "implicit", "off"]


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that knows no encryption."""
    with smtp.running() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of our mail server."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    """The certificate of our mail server."""
    return authority.issue_cert(HOST)


@pytest.fixture(scope="session")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """Verifies certificates as always, and knows who signs ours."""
    return smtp.trusting(authority)


@asynccontextmanager
async def mailing(
    server: MailServer,
    tls: Tls = "off",
    context: ssl.SSLContext | None = None,
    limits: Limits = PATIENT,
    password: str | None = None,
) -> AsyncIterator[SmtpMailer]:
    """A mailer for that server, which signs in where it has a password."""
    username = None if password is None else USER
    made = SmtpMailer(RENDERER, Server(HOST, server.port, SENDER, tls, username, password or "", context), limits)
    try:
        yield made
    finally:
        await made.aclose()


async def failure(mailer: SmtpMailer, unsent: Letter = LETTER) -> DeliveryFailed | ChannelDown:
    """How sending a letter fails."""
    try:
        await mailer.send(unsent)
    except (DeliveryFailed, ChannelDown) as failure:
        return failure
    pytest.fail("it was sent")


async def until(condition: Callable[[], object]) -> None:
    """Wait for something in the server's thread."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


async def test_a_mail_arrives_as_it_was_rendered(server: MailServer) -> None:
    """The server hears our domain, sender and recipient, and gets the message byte for byte."""
    async with mailing(server) as mailer:
        answer = await mailer.send(LETTER)

    assert answer == "250 2.0.0 queued"
    assert server.mails == [Mail(SENDER, (LETTER.recipient,), RENDERER.render(LETTER), connection=1)]
    assert [(command.verb, command.argument) for command in server.commands] == [
        ("EHLO", "firm.example"),
        ("MAIL", f"FROM:<{SENDER}>"),
        ("RCPT", f"TO:<{LETTER.recipient}>"),
        ("DATA", ""),
        ("CONTENT", ""),
        ("QUIT", ""),
    ]


async def test_letters_beyond_ascii_before_the_at(server: MailServer) -> None:
    """Such an address goes out as it is, and is announced (RFC 6531 section 3.4); the next letter is as ever."""
    to_zoe = letter(recipient="zoë@client.example")
    async with mailing(server) as mailer:
        await mailer.send(to_zoe)
        await mailer.send(LETTER)

    assert server.mails[0] == Mail(SENDER, ("zoë@client.example",), RENDERER.render(to_zoe), connection=1)
    assert "\r\nTo: zoë@client.example\r\n".encode() in server.mails[0].content
    assert [command.argument for command in server.commands if command.verb == "MAIL"] == [
        f"FROM:<{SENDER}> BODY=8BITMIME SMTPUTF8",
        f"FROM:<{SENDER}>",
    ]


@pytest.mark.attack(65)
async def test_a_server_of_ascii_addresses(server: MailServer) -> None:
    """Where the server offers no SMTPUTF8, a letter that needs it fails for good, and others go out."""
    server.without.add("SMTPUTF8")
    async with mailing(server) as mailer:
        failed = await failure(mailer, letter(recipient="zoë@client.example"))
        await mailer.send(LETTER)

    assert isinstance(failed, DeliveryFailed)
    assert failed.permanent
    assert failed.reason == "The mail server takes no letters but ASCII before the @ (SMTPUTF8)."
    assert [mail.recipients for mail in server.mails] == [(LETTER.recipient,)]


@pytest.mark.asvs("V1.3.11")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(alphabet=". =-a", max_size=12).map(str.encode), max_size=8))
async def test_no_line_changes_on_the_way(server: MailServer, lines: list[bytes]) -> None:
    """Lines of dots, the first and the last too, arrive as they are and end no message."""
    message = b"".join(line + b"\r\n" for line in [b"Subject: dots", b"", *lines])
    conversation = Conversation(Server(HOST, server.port, SENDER, "off"), PATIENT)
    await conversation.begin()
    await conversation.hand_in("ada@client.example", message, asyncio.get_running_loop().time() + 20)
    await conversation.end()

    assert server.mails[-1].content == message


async def test_templates_with_dots_and_long_lines(server: MailServer, tmp_path: Path) -> None:
    """What an operator writes into a template arrives as rendered, lines longer than mail may have included."""
    (tmp_path / "notification.txt").write_text(f"..\n.{'long ' * 1000}\n", encoding="utf-8")
    renderer = Renderer(firm_name="F", mail_from=SENDER, base_url="https://firm.example", templates_dir=tmp_path)
    mailer = SmtpMailer(renderer, Server(HOST, server.port, SENDER, "off"), PATIENT)
    await mailer.send(LETTER)
    await mailer.aclose()

    [mail] = server.mails
    assert mail.content == renderer.render(LETTER)
    assert b"\r\n..\r\n.long" in mail.content


def expected(stage: str, code: int) -> tuple[type[Exception], bool]:
    """What an answer means: the channel is down, or the letter is refused, for good or not."""
    if code in {530, 535}:
        return ChannelDown, False
    if code < 500:
        return DeliveryFailed, False
    return (DeliveryFailed, True) if stage in {"RCPT", "DATA", "CONTENT"} else (ChannelDown, False)


@pytest.mark.attack(171)
@pytest.mark.parametrize("stage", [*OPENING, *ENVELOPE, "CONTENT"])
@pytest.mark.parametrize("code", CODES)
async def test_refusals(server: MailServer, stage: str, code: int) -> None:
    """4yz is tried again; 5yz is for good where it is about the letter; else somebody has to mend a setting (P17)."""
    server.always[stage] = f"{code} 5.7.1 because"
    async with mailing(server) as mailer:
        failed = await failure(mailer)

    kind, permanent = expected(stage, code)
    assert isinstance(failed, kind)
    assert getattr(failed, "permanent", False) == permanent
    assert failed.reason.startswith("The mail server refused ")
    assert failed.reason.endswith(f": {code} 5.7.1 because")
    assert server.mails == []
    assert server.connections == 1


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("CONNECT", "refused the connection for now"),
        ("EHLO", "refused the greeting for now"),
        ("MAIL", "refused the sender for now"),
        ("RCPT", "refused the recipient for now"),
        ("DATA", "refused the message for now"),
        ("CONTENT", "refused the message for now"),
    ],
)
async def test_reasons_say_what_was_refused(server: MailServer, stage: str, words: str) -> None:
    """People read how far a letter came."""
    server.always[stage] = "451 4.3.0 later"
    async with mailing(server) as mailer:
        failed = await failure(mailer)

    assert failed.reason == f"The mail server {words}: 451 4.3.0 later"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("550-5.1.1 no such\r\n550 5.1.1   user", "550 5.1.1 no such 5.1.1 user"),
        (f"550 5.1.1 {'x' * 1000}", f"550 5.1.1 {'x' * 294}"),
        ("550 \x1b[2Jgone", "550 ?[2Jgone"),
        (f"550 5.1.1 <{LETTER.recipient}> and ATTORNEY@FIRM.example unknown", "550 5.1.1 <...> and ... unknown"),
    ],
    ids=["lines", "long", "control", "recipient"],
)
async def test_what_is_kept_of_an_answer(server: MailServer, answer: str, shown: str) -> None:
    """One line of printable characters, not too long, that does not name the recipient."""
    server.always["RCPT"] = answer
    async with mailing(server) as mailer:
        failed = await failure(mailer)

    assert failed.reason == f"The mail server refused the recipient: {shown}"


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("EHLO", "250 " + "x" * 100_000),
        ("MAIL", "hello"),
        ("RCPT", "25"),
        ("DATA", "250 OK"),
        ("CONTENT", "x" * 100_000),
    ],
)
async def test_nonsense(server: MailServer, stage: str, answer: str) -> None:
    """What no mail server says never fails a letter for good, and takes no memory."""
    server.always[stage] = answer
    async with mailing(server) as mailer:
        failed = await failure(mailer)

    assert not getattr(failed, "permanent", False)
    assert len(failed.reason) < 400


async def test_success_does_not_name_the_recipient(server: MailServer) -> None:
    """The answer is logged, and no address of a prospect may be."""
    server.always["CONTENT"] = f"250 2.0.0 queued for <{LETTER.recipient}>"
    async with mailing(server) as mailer:
        answer = await mailer.send(LETTER)

    assert answer == "250 2.0.0 queued for <...>"


@pytest.mark.asvs("V12.3.1-2")
@pytest.mark.parametrize("tls", ["require", "implicit", "off"])
async def test_encryption(certificate: trustme.LeafCert, trust: ssl.SSLContext, tls: Tls) -> None:
    """STARTTLS, TLS from the start, or neither, as it was asked for; encrypted, the server is greeted anew."""
    with smtp.running(tls, certificate) as server:
        async with mailing(server, tls, trust) as mailer:
            await mailer.send(LETTER)

    assert [mail.content for mail in server.mails] == [RENDERER.render(LETTER)]
    hello = ["EHLO", "STARTTLS", "EHLO"] if tls == "require" else ["EHLO"]
    assert server.verbs == [*hello, *ENVELOPE, "CONTENT", "QUIT"]


async def test_no_encryption_unless_asked_for(certificate: trustme.LeafCert, trust: ssl.SSLContext) -> None:
    """With `off`, STARTTLS is not used even where it is offered."""
    with smtp.running("require", certificate) as server:
        async with mailing(server, "off", trust) as mailer:
            await mailer.send(LETTER)

    assert "STARTTLS" not in server.verbs


async def test_certificates_of_a_file(
    authority: trustme.CA, certificate: trustme.LeafCert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names who may sign the certificate of a mail server with an authority of its own."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with smtp.running("require", certificate) as server:
        async with mailing(server, "require") as mailer:
            await mailer.send(LETTER)

    assert len(server.mails) == 1


@pytest.fixture(params=["unknown authority", "other name"])
def wrong(request: pytest.FixtureRequest, authority: trustme.CA) -> trustme.LeafCert:
    """A certificate that proves nothing."""
    return (
        trustme.CA().issue_cert(HOST) if request.param == "unknown authority" else authority.issue_cert("firm.example")
    )


@pytest.mark.asvs("V12.3.1-2")
@pytest.mark.parametrize("tls", ["require", "implicit"])
async def test_certificates_are_verified_by_default(
    wrong: trustme.LeafCert, authority: trustme.CA, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service says nothing of how to verify certificates, so this is how all its letters go out (P18)."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with smtp.running(tls, wrong) as server:
        async with mailing(server, tls) as mailer:
            failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert "certificate" in failed.reason
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


@pytest.mark.asvs("V12.3.1-2")
@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("tls", ["require", "implicit"])
async def test_wrong_certificates(
    wrong: trustme.LeafCert, trust: ssl.SSLContext, tls: Tls, password: str | None
) -> None:
    """Nobody learns of a letter or a password whose certificate is not right, and the letter is not to blame (P18)."""
    with smtp.running(tls, wrong) as server:
        server.users = {USER: PASSWORD}
        async with mailing(server, tls, trust, password=password) as mailer:
            failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert failed.reason.startswith("No safe connection to the mail server: ")
    assert "certificate" in failed.reason
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


@pytest.mark.asvs("V12.3.1-2")
@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_no_starttls(server: MailServer, password: str | None) -> None:
    """A server, or somebody in between, that offers no encryption hears neither sender nor password (P18)."""
    server.users = {USER: PASSWORD}
    async with mailing(server, "require", password=password) as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert failed.reason == "The mail server offers no encryption (STARTTLS)."
    assert server.verbs == ["EHLO", "QUIT"]


@pytest.mark.parametrize(("answer", "kind"), [("454 4.7.0 not now", DeliveryFailed), ("502 5.5.1 no", ChannelDown)])
async def test_starttls_is_refused(
    certificate: trustme.LeafCert, trust: ssl.SSLContext, answer: str, kind: type[Exception]
) -> None:
    """Without encryption nothing is said, for now or until somebody mends it."""
    with smtp.running("require", certificate) as server:
        server.always["STARTTLS"] = answer
        async with mailing(server, "require", trust) as mailer:
            failed = await failure(mailer)

    assert isinstance(failed, kind)
    assert "refused encryption" in failed.reason
    assert server.verbs == ["EHLO", "STARTTLS", "QUIT"]


async def test_no_tls_at_all(server: MailServer) -> None:
    """A server that begins without TLS where it was expected is a wrong setting."""
    async with mailing(server, "implicit") as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert server.verbs == []


@pytest.fixture(params=["require", "implicit"])
def guarded(request: pytest.FixtureRequest, certificate: trustme.LeafCert) -> Iterator[tuple[MailServer, Tls]]:
    """A mail server that wants to know who sends."""
    with smtp.running(request.param, certificate) as server:
        server.users = {USER: PASSWORD}
        yield server, request.param


async def test_signing_in(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext) -> None:
    """Who signs in may send, any number of letters."""
    server, tls = guarded
    async with mailing(server, tls, trust, password=PASSWORD) as mailer:
        for _ in range(3):
            await mailer.send(LETTER)

    assert len(server.mails) == 3
    assert server.verbs.count("AUTH") == 1


async def test_wrong_password(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext) -> None:
    """The channel is down; the server hears of no letter."""
    server, tls = guarded
    async with mailing(server, tls, trust, password="wrong") as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert failed.reason == "The mail server refused the sign-in: 535 5.7.8 Authentication credentials invalid"
    assert "MAIL" not in server.verbs


async def test_nobody_signs_in(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext) -> None:
    """A server that wants to know who sends, and is not told, is a setting to mend, and no refused letter."""
    server, tls = guarded
    async with mailing(server, tls, trust) as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert failed.reason == "The mail server refused the sender: 530 5.7.0 Authentication required"


async def test_signing_in_is_not_offered(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext) -> None:
    """A password that nobody asks for is told to nobody."""
    server, tls = guarded
    server.without = {"AUTH"}
    async with mailing(server, tls, trust, password=PASSWORD) as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, ChannelDown)
    assert failed.reason == "The mail server offers no way to sign in."
    assert not {"AUTH", "MAIL"} & {*server.verbs}


@pytest.mark.parametrize(
    ("code", "kind"), [(454, DeliveryFailed), (421, DeliveryFailed), (504, ChannelDown), (534, ChannelDown)]
)
async def test_signing_in_fails(
    guarded: tuple[MailServer, Tls], trust: ssl.SSLContext, code: int, kind: type[Exception]
) -> None:
    """A server that cannot look us up just now is tried again; one that will not have us waits to be mended."""
    server, tls = guarded
    server.always["AUTH"] = f"{code} no"
    async with mailing(server, tls, trust, password=PASSWORD) as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, kind)


@pytest.mark.long
@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "535 5.7.8 no"])
def test_nothing_stays_open(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext, answer: str) -> None:
    """Once the mailer is closed its connections are, without an exchange to end TLS that the server may leave out."""
    server, tls = guarded
    server.always["AUTH"] = answer

    async def send() -> None:
        async with mailing(server, tls, trust, password=PASSWORD) as mailer:
            await failure(mailer)

    for _ in range(20):
        asyncio.run(send())
    gc.collect()  # A transport that was left open warns of itself now.

    assert server.connections == 20


def test_no_password_in_clear() -> None:
    """Without TLS there is no signing in."""
    with pytest.raises(ValueError, match="in clear"):
        SmtpMailer(RENDERER, Server(HOST, 25, SENDER, "off", USER, PASSWORD))


PLAIN = b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    "echo",
    [f"AUTH PLAIN {PLAIN}", f"AUTH PLAIN {PLAIN[:-9]}", b64encode(PASSWORD.encode()).decode(), f"'{PASSWORD}'"],
    ids=["all", "cut", "LOGIN", "clear"],
)
async def test_nothing_repeats_the_password(guarded: tuple[MailServer, Tls], trust: ssl.SSLContext, echo: str) -> None:
    """A server that repeats what it did not understand does not bring the password into reasons, logs or traces."""
    server, tls = guarded
    server.always["AUTH"] = f"500 5.5.1 what is {echo}?"
    async with mailing(server, tls, trust, password=PASSWORD) as mailer:
        failed = await failure(mailer)

    told = "".join(traceback.format_exception(failed)) + repr(mailer)
    told += repr(Server(HOST, 25, SENDER, "require", USER, PASSWORD))
    assert failed.reason.startswith("The mail server refused the sign-in: 500 5.5.1 what is ")
    assert failed.reason in told
    assert not any(part in told for part in (PASSWORD, PLAIN[:-9], b64encode(PASSWORD.encode()).decode()))


async def test_a_server_that_is_not_there() -> None:
    """Where nobody listens, the letter is tried again."""
    with smtp.running() as gone:
        pass
    async with mailing(gone) as mailer:
        failed = await failure(mailer)

    assert isinstance(failed, DeliveryFailed)
    assert not failed.permanent
    assert failed.reason.startswith("The mail server cannot be reached: ")


STAGES = {
    "CONNECT": "the connection",
    "EHLO": "the greeting",
    "STARTTLS": "encryption",
    "AUTH": "the sign-in",
    "MAIL": "the sender",
    "RCPT": "the recipient",
    "DATA": "the message",
    "CONTENT": "the message; it may have arrived",
    "KEPT": "the message; it may have arrived",
}


async def broken_off(
    stage: str, fault: Fault, certificate: trustme.LeafCert, trust: ssl.SSLContext, limits: Limits
) -> tuple[DeliveryFailed | ChannelDown, MailServer]:
    """How a first letter fails, and what the server saw of it."""
    with smtp.running("require", certificate) as server:
        server.users = {USER: PASSWORD}
        server.always[stage] = fault
        async with mailing(server, "require", trust, limits, PASSWORD) as mailer:
            return await failure(mailer), server


@pytest.mark.attack(171)
@pytest.mark.parametrize("stage", STAGES)
async def test_a_server_that_hangs_up(certificate: trustme.LeafCert, trust: ssl.SSLContext, stage: str) -> None:
    """Whenever it does, the letter is tried again, and the reason says whether it may have arrived all the same."""
    failed, server = await broken_off(stage, Fault.HANG_UP, certificate, trust, PATIENT)

    assert isinstance(failed, DeliveryFailed)
    assert not failed.permanent
    assert failed.reason == f"The mail server hung up before it confirmed {STAGES[stage]}"
    assert len(server.mails) == (stage == "KEPT")
    assert server.connections == 1


@pytest.mark.long
@pytest.mark.attack(171)
async def test_a_server_that_falls_silent(certificate: trustme.LeafCert, trust: ssl.SSLContext) -> None:
    """Whenever it does, that lasts for so long and no longer, and the letter is tried again."""
    ends = await asyncio.gather(*(broken_off(stage, Fault.SAY_NOTHING, certificate, trust, HASTY) for stage in STAGES))

    for (stage, words), (failed, server) in zip(STAGES.items(), ends, strict=True):
        what, _, doubt = words.partition("; ")
        assert isinstance(failed, DeliveryFailed)
        assert not failed.permanent
        assert failed.reason == f"The mail server did not confirm {what} in time{'; ' * bool(doubt)}{doubt}"
        assert len(server.mails) == (stage == "KEPT")
        assert server.connections == 1


def test_all_fits_into_the_time_of_a_try() -> None:
    """Even when a kept connection falls silent and another has to be begun."""
    before = LIMITS.envelope + LIMITS.goodbye + LIMITS.beginning + LIMITS.envelope

    assert LIMITS.whole - before >= 19
    assert LIMITS.whole + LIMITS.goodbye < SEND_TIMEOUT.total_seconds()


async def test_connections_are_kept(server: MailServer) -> None:
    """One letter after another goes over one connection, which ends in order."""
    async with mailing(server) as mailer:
        for _ in range(5):
            await mailer.send(LETTER)

    assert server.verbs == ["EHLO", *[*ENVELOPE, "CONTENT"] * 5, "QUIT"]
    assert server.connections == 1


async def test_a_connection_takes_so_many_letters(server: MailServer) -> None:
    """Then it is ended in order, and another begun."""
    async with mailing(server, limits=Limits(letters=2)) as mailer:
        for _ in range(5):
            await mailer.send(LETTER)

    assert Counter(mail.connection for mail in server.mails) == {1: 2, 2: 2, 3: 1}
    assert server.verbs.count("QUIT") == 3


async def test_an_idle_connection_is_ended(server: MailServer) -> None:
    """A connection that nobody needs is ended in order, without another letter, and the next begins anew."""
    async with mailing(server, limits=Limits(idle=0.01)) as mailer:
        await mailer.send(LETTER)
        await until(lambda: not server.open)
        verbs = server.verbs
        await mailer.send(LETTER)

    assert verbs[-1] == "QUIT"
    assert [mail.connection for mail in server.mails] == [1, 2]


async def test_a_connection_in_use_is_not_idle(server: MailServer) -> None:
    """Nobody says goodbye while a letter is on its way, though it takes longer than a connection may be idle."""
    server.delay = 0.02
    async with mailing(server, limits=Limits(idle=0.05)) as mailer:
        for _ in range(3):
            await mailer.send(LETTER)

    assert server.verbs == ["EHLO", *[*ENVELOPE, "CONTENT"] * 3, "QUIT"]


async def test_connections_that_are_needed_stay(server: MailServer) -> None:
    """The connection used last is used next, so that after a rush those too many grow old."""
    async with mailing(server) as mailer:
        await asyncio.gather(*(mailer.send(LETTER) for _ in range(3)))
        rush = server.connections
        for _ in range(3):
            await mailer.send(LETTER)

    assert rush == 3
    assert len({mail.connection for mail in server.mails[3:]}) == 1


async def test_after_a_refusal(server: MailServer) -> None:
    """A letter that is refused takes its connection along, so that nothing of it is left for the next."""
    server.next["RCPT"] = ["550 5.1.1 no such user"]
    async with mailing(server) as mailer:
        await failure(mailer)
        await mailer.send(LETTER)

    assert server.verbs == ["EHLO", "MAIL", "RCPT", "QUIT", "EHLO", *ENVELOPE, "CONTENT", "QUIT"]


@pytest.mark.parametrize("answer", [Fault.HANG_UP, "421 4.4.2 idle for too long"], ids=["hangs up", "421"])
@pytest.mark.parametrize("stage", ENVELOPE)
async def test_a_kept_connection_is_dead(server: MailServer, stage: str, answer: smtp.Answer) -> None:
    """When nothing went out yet, the letter goes over a new connection, in the same try and once."""
    server.next[stage] = [None, answer]
    async with mailing(server) as mailer:
        await mailer.send(LETTER)
        await mailer.send(LETTER)

    assert [mail.connection for mail in server.mails] == [1, 2]
    assert server.verbs.count("CONTENT") == 2


@pytest.mark.long
async def test_a_kept_connection_is_silent(server: MailServer) -> None:
    """A connection that some firewall forgot is given up in time for another."""
    server.next["MAIL"] = [None, Fault.SAY_NOTHING]
    async with mailing(server, limits=Limits(envelope=1, goodbye=0.01)) as mailer:
        await mailer.send(LETTER)
        await mailer.send(LETTER)

    assert [mail.connection for mail in server.mails] == [1, 2]


async def test_the_server_was_restarted(server: MailServer) -> None:
    """Connections that ended while nobody used them are no failure."""
    async with mailing(server) as mailer:
        await asyncio.gather(*(mailer.send(LETTER) for _ in range(4)))
        server.hang_up()
        await until(lambda: not server.open)
        await asyncio.gather(*(mailer.send(LETTER) for _ in range(4)))

    assert len(server.mails) == 8
    assert server.verbs.count("CONTENT") == 8


async def test_a_new_connection_is_no_better(server: MailServer) -> None:
    """A letter goes over one new connection, and then waits for its next try."""
    server.next["MAIL"] = [None]
    server.always["MAIL"] = Fault.HANG_UP
    async with mailing(server) as mailer:
        await mailer.send(LETTER)
        failed = await failure(mailer)

    assert isinstance(failed, DeliveryFailed)
    assert server.connections == 2
    assert len(server.mails) == 1


@pytest.mark.long
@pytest.mark.parametrize("stage", ["CONTENT", "KEPT"])
@pytest.mark.parametrize("fault", Fault)
async def test_a_message_never_goes_out_twice_in_a_try(server: MailServer, stage: str, fault: Fault) -> None:
    """What a kept connection does not confirm is not sent again before the delivery has been put down as doubtful."""
    server.next[stage] = [None, fault]
    async with mailing(server, limits=Limits(whole=1, goodbye=0.01)) as mailer:
        await mailer.send(LETTER)
        failed = await failure(mailer)

    assert failed.reason.endswith("; it may have arrived")
    assert server.verbs.count("CONTENT") == 2
    assert server.connections == 1


async def test_a_flood(server: MailServer) -> None:
    """Two hundred letters at once arrive once each, over no more connections than there are to be."""
    owed = [letter(delivery_id=UUID(int=n), message_id=f"<{n}@firm.example>") for n in range(200)]
    async with mailing(server, limits=Limits(letters=len(owed))) as mailer:
        await asyncio.gather(*map(mailer.send, owed))

    assert Counter(mail.content for mail in server.mails) == Counter(map(RENDERER.render, owed))
    assert server.most_open <= LIMITS.connections
    assert server.connections == LIMITS.connections


@pytest.mark.parametrize("stage", ["CONNECT", "RCPT", "CONTENT"])
async def test_breaking_off(server: MailServer, stage: str) -> None:
    """A letter that is broken off closes its connection, which nobody uses again."""
    async with mailing(server, limits=Limits(goodbye=0.01)) as mailer:
        if stage != "CONNECT":
            await mailer.send(LETTER)
        server.next[stage] = [Fault.SAY_NOTHING]
        sending = asyncio.create_task(mailer.send(LETTER))
        await until(lambda: not server.next[stage])
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: not server.open)
        await mailer.send(LETTER)

    assert server.mails[-1].connection == 2


async def test_giving_up_a_place_in_the_queue(server: MailServer) -> None:
    """Letters that are broken off before they have a connection take none from the others."""
    server.always["MAIL"] = Fault.SAY_NOTHING
    async with mailing(server, limits=Limits(connections=1, goodbye=0.01)) as mailer:
        sending = [asyncio.create_task(mailer.send(LETTER)) for _ in range(3)]
        await until(lambda: "MAIL" in server.verbs)
        for task in reversed(sending):
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        server.always.clear()
        await mailer.send(LETTER)

    assert server.connections == 2
    assert len(server.mails) == 1
