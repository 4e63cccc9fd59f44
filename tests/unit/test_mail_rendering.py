from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.letters import LETTER, letter

from leadintake.adapters.mail.message import HEADERS, compose, header_text, named_mailbox, wire_address
from leadintake.adapters.mail.render import Renderer
from leadintake.domain.delivery import Purpose
from leadintake.domain.errors import DeliveryFailed
from leadintake.domain.greeting import greeting_name

RENDERER = Renderer(firm_name="Lovelace & Partners", mail_from="office@firm.example", base_url="https://firm.example/")

PAYLOADS = [
    "=?utf-8?q?a=0ABcc=3A_evil=40x.com?=",
    "=?utf-8?q?a=0A=0AHello_from_evil?=",
    "=?utf-8?q?a=0D=0ABcc=3A_evil=40x.com?=",
    "=?utf-8?b?YQpCY2M6IGV2aWxAeC5jb20=?=",
    "=?utf-8?q?a=0ABcc=3A_evil=40x.com?= " * 3,
    "Ada\r\nBcc: evil@x.com",
    "Ada\nBcc: evil@x.com\n\nbody",
    "Ada\r\n\r\n--=_leadintake--",
    "--=_leadintake",
    "Ada\x00\x1b[31m\x85\u2028\u2029",
    "King, Jr., " * 9,
    '"Ada" <evil@x.com>',
    "{{7*7}}",
    "{% for x in y %}",
    "${7*7} %s%n {0.__class__}",
    "Ada\u202egpj.exe",
    "\u2066\u2067\u2068Ada\u2069",
    "a" + "\u0301" * 1000,
    "\ufeff\u200e\u200fAda",
    "😀\U000e0041",
    ".",
    "\ud800",
    "A" * 2000,
]

MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</p></body></html><h1>evil</h1>",
    "<a href=https://evil.example>Ada</a>",
    "&lt;script&gt;",
    "<!-- ",
    "]]>",
    "<style>*{display:none}</style>",
]


def parts(message: bytes) -> tuple[Message, str, str]:
    """The message as a parser that decodes nothing sees it, and its two bodies."""
    parsed = message_from_bytes(message)
    _, plain, html = parsed.walk()
    bodies = [part.get_payload(decode=True) for part in (plain, html)]
    texts = [body.decode().replace("\r\n", "\n") for body in bodies if isinstance(body, bytes)]
    return parsed, texts[0], texts[1]


def headers(message: bytes) -> bytes:
    """Everything before the first empty line."""
    return message.partition(b"\r\n\r\n")[0]


@pytest.mark.asvs("V1.2.1", "V1.3.11", "V5.4.2")
@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_reaches_no_header(payload: str, purpose: Purpose) -> None:
    """Whatever a prospect calls themselves or their file, the headers are the same bytes, and exactly those meant."""
    plain = RENDERER.render(letter(purpose=purpose))
    message = RENDERER.render(letter(purpose=purpose, first_name=payload, last_name=payload, resume_name=payload))

    assert headers(message) == headers(plain)
    for reading in (policy.compat32, policy.default):
        parsed = message_from_bytes(message, policy=reading)
        assert tuple(parsed.keys()) == HEADERS
        assert [part.get_content_type() for part in parsed.walk()][1:] == ["text/plain", "text/html"]
        assert not any(part.defects for part in parsed.walk())
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 998
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert b"\n" not in message.replace(b"\r\n", b"")


@pytest.mark.parametrize("purpose", Purpose)
def test_plain_text_is_legible_in_the_file(purpose: Purpose) -> None:
    """A mail of ASCII has its text and its links as they are, so that they can be read and copied from the file."""
    message = RENDERER.render(letter(purpose=purpose))
    _, plain, html = parts(message)

    assert message.replace(b"\r\n", b"\n").count(plain.encode()) == 1
    assert message.replace(b"\r\n", b"\n").count(html.encode()) == 1


@pytest.mark.parametrize("text", ["zoë", "a\x7f", "a\x00", "a" * 999, "a\rb", "a\nb", "--=_leadintake", "=_leadintake"])
def test_text_that_mail_does_not_carry_is_encoded(text: str) -> None:
    """It comes out of the message as it went in, which is all that a parser makes of its two parts."""
    message = compose(dict.fromkeys(HEADERS[:-2], "x"), text, f"line\r\n{text}")
    parsed, plain, html = parts(message)

    assert (plain, html) == (text, f"line\n{text}")
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 78
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert {part["Content-Transfer-Encoding"] for part in parsed.walk()} == {None, "quoted-printable"}


@pytest.mark.attack(56)
@settings(max_examples=50)
@given(first=st.text(max_size=40), last=st.text(max_size=40))
def test_confirmation_says_nothing_of_the_prospect_but_a_plain_name(first: str, last: str) -> None:
    """The confirmation to somebody who typed anything is the one to a person of that greeting, byte for byte."""
    name = greeting_name(first, last)
    same = letter(purpose=Purpose.CONFIRMATION, first_name=name or "", last_name="Lovelace", resume_name="x", email="y")
    message = RENDERER.render(letter(purpose=Purpose.CONFIRMATION, first_name=first, last_name=last))

    assert message == RENDERER.render(same)


@pytest.mark.attack(71)
def test_header_values() -> None:
    """Each header says what was promised."""
    parsed, _, _ = parts(RENDERER.render(LETTER))

    assert dict(parsed.items()) == {
        "From": "Lovelace & Partners <office@firm.example>",
        "To": "attorney@firm.example",
        "Reply-To": "office@firm.example",
        "Subject": "New lead LD-7F3K9QX2",
        "Date": "Mon, 24 Nov 2025 03:46:12 +0000",
        "Message-ID": "<0b5e2f8c-5a0f-4c1e-9a53-0a6d6f6f3d11@firm.example>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Lead-Event-ID": "42",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative;\r\n boundary="=_leadintake"',
    }


@pytest.mark.parametrize("purpose", Purpose)
def test_every_attempt_is_the_same_message(purpose: Purpose) -> None:
    """Three attempts of one delivery, made by two renderers, are equal to the byte."""
    again = Renderer(firm_name="Lovelace & Partners", mail_from="office@firm.example", base_url="https://firm.example")
    messages = {made.render(letter(purpose=purpose, attempt=n)) for n in (1, 2, 3) for made in (RENDERER, again)}

    assert len(messages) == 1


def test_notification_tells_the_attorney_what_came() -> None:
    """Both parts name prospect, address, file, time and reference, and link to the lead."""
    _, plain, html = parts(RENDERER.render(letter(first_name="José", last_name="O'Brien")))

    for line in (
        "Reference: LD-7F3K9QX2",
        "Received:  2025-11-24 03:46 UTC",
        "Name:      José O'Brien",
        "Email:     ada@client.example",
        "Resume:    cv.pdf",
        "https://firm.example/inbox/leads/7d8a3c52-0f3a-4b52-8a3f-3f0f8a1b2c3d",
    ):
        assert line in plain.split("\n")
    assert 'href="https://firm.example/inbox/leads/7d8a3c52-0f3a-4b52-8a3f-3f0f8a1b2c3d"' in html
    assert "José O&#39;Brien" in html
    assert 'href="mailto:ada@client.example"' in html


def test_confirmation_tells_the_prospect_what_happens() -> None:
    """Both parts greet, give the reference, say what comes next, and that no client relationship exists."""
    _, plain, html = parts(RENDERER.render(letter(purpose=Purpose.CONFIRMATION)))

    assert plain.startswith("Hello Ada,\n")
    assert "Hello <bdi>Ada</bdi>," in html
    for body in (plain, html):
        assert "LD-7F3K9QX2" in body
        assert "does not create an attorney-client relationship" in body
        assert "Lovelace" in body
        assert "ada@client.example" not in body
    assert max(map(len, plain.split("\n"))) <= 72


def test_confirmation_to_nobody_in_particular() -> None:
    """A name that is none gives a plain hello in both parts."""
    _, plain, html = parts(RENDERER.render(letter(purpose=Purpose.CONFIRMATION, first_name="visit evil.example")))

    assert plain.startswith("Hello,\n")
    assert "<p>Hello,</p>" in html


@pytest.mark.asvs("V1.1.2")
@pytest.mark.attack(53)
@pytest.mark.parametrize("payload", MARKUP)
def test_markup_is_text(payload: str) -> None:
    """What looks like HTML is literal in the plain part and escaped in the other."""
    _, plain, html = parts(RENDERER.render(letter(first_name=payload, resume_name=payload)))
    _, _, plain_html = parts(RENDERER.render(LETTER))

    assert f"Name:      {payload} Lovelace\n" in plain
    assert html.count("<") == plain_html.count("<")
    assert html.count('"') == plain_html.count('"')


@pytest.mark.asvs("V1.3.7")
@pytest.mark.attack(52)
@pytest.mark.parametrize("payload", ["{{7*7}}", "${7*7}", "{% for %}", "%s%n", "{0.__class__}", "{# x #}"])
def test_template_syntax_is_text(payload: str) -> None:
    """What looks like a template is not run."""
    _, plain, html = parts(RENDERER.render(letter(first_name=payload)))

    assert f"{payload} Lovelace" in plain
    assert f"{payload} Lovelace" in html


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("a\r\nb\u2028c\td\u00a0e", "a  b c d e"),
        ("a\x00\x1b[31m", "a[31m"),
        ("گل\u200cرخ \u202e", "گل\u200cرخ "),
        ("𠮷野家 عبد الله", "𠮷野家 عبد الله"),
    ],
)
def test_invisible_characters_do_not_reach_the_attorney(typed: str, shown: str) -> None:
    """Control and direction characters are gone, joiners that spell names stay, and each fact keeps to its line."""
    _, plain, html = parts(RENDERER.render(letter(first_name=typed, last_name=".")))

    assert f"Name:      {shown} .\n" in plain
    assert f"<bdi>{shown} .</bdi>" in html


@pytest.mark.asvs("V1.2.2")
@pytest.mark.attack(59)
def test_mailto_link_carries_nothing_but_the_address() -> None:
    """An address with a question mark adds no header to the mail that the attorney starts."""
    _, _, html = parts(RENDERER.render(letter(email="a?bcc=x&y@client.example")))

    assert 'href="mailto:a%3Fbcc%3Dx%26y@client.example"' in html


def test_html_loads_nothing() -> None:
    """No part of a mail makes the reader's program fetch something."""
    for purpose in Purpose:
        _, _, html = parts(RENDERER.render(letter(purpose=purpose)))

        assert not any(sign in html for sign in ("src=", "url(", "<link", "@import", "<script", "<style"))
        assert '<html lang="en"' in html


@pytest.mark.attack(63)
@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ada+cv@client.example", "ada+cv@client.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("zoë@bücher.example", "zoë@xn--bcher-kva.example"),
        ("o'b_{}|~^`!#$%&*/?=@x.example", "o'b_{}|~^`!#$%&*/?=@x.example"),
    ],
)
def test_address_on_the_wire(address: str, wire: str) -> None:
    """An internationalised domain goes out as punycode, everything else as it is."""
    assert wire_address(address) == wire


@pytest.mark.attack(65)
@pytest.mark.parametrize(
    "address",
    [
        "zo\u202eë@client.example",
        "ada@\u202cbücher.example",
        "ada@" + "ü" * 300 + ".example",
        "a@x.example,b@y.example",
        "Ada <ada@x.example>",
        "a@x.example\r\nBcc: b@y.example",
        "a@x.example\n",
        "=?utf-8?q?a=0ABcc=3A?=@x.example",
        "ada",
        "@x.example",
        "",
    ],
)
def test_address_that_cannot_go_out_fails_for_good(address: str) -> None:
    """What SMTP cannot carry, or what is more than one address, is refused at once with a reason."""
    with pytest.raises(DeliveryFailed) as failure:
        RENDERER.render(letter(recipient=address))

    assert failure.value.permanent
    assert failure.value.reason


@pytest.mark.parametrize(
    "firm",
    [
        "Our firm",
        "Smith, Jones & Co.",
        'The "Best" \\ Firm',
        "Müller & Söhne",
        "=?utf-8?q?a=0ABcc=3A_evil=40x.com?=",
        "Firm\r\nBcc: evil@x.com",
        "弁護士法人" * 30,
        "Long & Longer, " * 100,
    ],
)
def test_name_of_the_firm_in_from(firm: str) -> None:
    """Any name of a firm is read back as it is from From, in lines short enough for SMTP."""
    message = Renderer(firm_name=firm, mail_from="office@firm.example", base_url="https://x").render(LETTER)
    name, address = parseaddr(message_from_bytes(message)["From"])

    assert str(make_header(decode_header(name))) == " ".join(firm.split())
    assert address == "office@firm.example"
    assert max(map(len, headers(message).split(b"\r\n"))) <= 78


@pytest.mark.asvs("V1.3.11")
@given(st.text())
def test_text_in_a_header_stays_in_it(text: str) -> None:
    """No text, as a subject or as a display name, begins a header or ends them."""
    for value in (
        header_text(text.encode(errors="replace").decode()),
        named_mailbox(text.encode(errors="replace").decode(), "a@b.example"),
    ):
        parsed = message_from_bytes(f"Subject: {value}\r\n\r\n".encode("ascii"))

        assert parsed.keys() == ["Subject"]
        assert parsed.get_payload() == ""


@pytest.mark.asvs("V1.3.11")
def test_message_that_reads_back_differently_does_not_go_out() -> None:
    """A header that slipped in is caught before the message leaves."""
    meant = dict.fromkeys(HEADERS[:-2], "x")
    for changes in (
        {"Subject": "x\r\nBcc: evil@x.example"},
        {"Subject": "x\r\n\r\nbody"},
        {"Subject": "x\rBcc: evil@x.example"},
        {"Subject": "x\nBcc: evil@x.example"},
        {"Bcc": "a@b.example"},
        {"Subject": "é"},
    ):
        with pytest.raises(DeliveryFailed) as failure:
            compose({**meant, **changes}, "plain", "html")

        assert failure.value.permanent


def test_firm_replaces_templates_one_by_one(tmp_path: Path) -> None:
    """A file in the folder of templates stands in for the built-in one, subject included; the rest stays."""
    (tmp_path / "confirmation.subject.txt").write_text("Anfrage {{ reference }} erhalten: Grüße\n", encoding="utf-8")
    (tmp_path / "confirmation.txt").write_text("Guten Tag{% if name %} {{ name }}{% endif %}\n", encoding="utf-8")
    own = Renderer(firm_name="F", mail_from="a@b.example", base_url="https://x", templates_dir=tmp_path)
    message = own.render(letter(purpose=Purpose.CONFIRMATION))
    _, plain, html = parts(message)

    assert message_from_bytes(message, policy=policy.default)["Subject"] == "Anfrage LD-7F3K9QX2 erhalten: Grüße"
    assert plain == "Guten Tag Ada\n"
    assert "attorney-client relationship" in html


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("confirmation.txt", "{{ first_name }}", "asks for first_name, which it does not get"),
        ("confirmation.subject.txt", "{{ name }}", "asks for name, which it does not get"),
        ("notification.html", "{% if %}", "mail template notification.html"),
        ("notification.html", "{{ name | shout }}", "mail template notification.html"),
        ("notification.txt", "{% if name %}{{ emial }}{% endif %}", "asks for emial"),
    ],
)
def test_broken_template_stops_the_start(tmp_path: Path, name: str, source: str, complaint: str) -> None:
    """A template that is broken or asks for what it may not see is found when the renderer is made."""
    (tmp_path / name).write_text(source, encoding="utf-8")

    with pytest.raises(ValueError, match=complaint):
        Renderer(firm_name="F", mail_from="a@b.example", base_url="https://x", templates_dir=tmp_path)


def test_missing_folder_of_templates_stops_the_start(tmp_path: Path) -> None:
    """A mistyped folder does not quietly mean the built-in templates."""
    with pytest.raises(ValueError, match="no folder"):
        Renderer(firm_name="F", mail_from="a@b.example", base_url="https://x", templates_dir=tmp_path / "typo")


def test_template_that_fails_is_tried_again(tmp_path: Path) -> None:
    """A template that fails on one letter does not lose it: the operator can repair the file."""
    (tmp_path / "notification.txt").write_text("{{ name.nothing }}", encoding="utf-8")
    own = Renderer(firm_name="F", mail_from="a@b.example", base_url="https://x", templates_dir=tmp_path)

    with pytest.raises(DeliveryFailed, match=r"notification\.txt") as failure:
        own.render(LETTER)

    assert not failure.value.permanent


def test_sender_that_cannot_send_stops_the_start() -> None:
    """An address in the settings that mail cannot carry is found when the renderer is made."""
    with pytest.raises(ValueError, match="büro@firm"):
        Renderer(firm_name="F", mail_from="büro@firm.example", base_url="https://x")
