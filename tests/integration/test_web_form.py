"""The form for prospects, as it comes over HTTP; a browser fills it in in tests/browser/test_form.py."""

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.documents import pdf, xlsx
from tests.service import Service, form, logged, running

from leadintake.application.app import App
from leadintake.domain.errors import Unavailable

FIELDS = ("first_name", "last_name", "email", "resume")
HOSTILE = "\"'><script>alert(1)</script>{{7*7}}<img src=x onerror=alert(1)>"


@dataclass
class Page(HTMLParser):
    """A page as a browser would see it: its elements with their attributes, and the text of those that have an id."""

    answer: httpx.Response
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self._open.append(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - pages are well-formed
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        for each in self._open:
            self.texts[each] = self.texts.get(each, "") + data

    def named(self, name: str) -> dict[str, str | None]:
        """The attributes of a field."""
        [found] = [attributes for _, attributes in self.elements if attributes.get("name") == name]
        return found

    @property
    def sent_along(self) -> dict[str, str]:
        """The hidden fields."""
        return {name: self.named(name)["value"] or "" for name in ("submission", "notice")}

    @property
    def wrong(self) -> dict[str, str]:
        """The fields that are marked, with what is said there."""
        return {name: self.texts[f"{name}-wrong"] for name in FIELDS if f"{name}-wrong" in self.texts}

    @property
    def summary(self) -> list[str | None]:
        """Where the links above the form lead to."""
        return [attributes["href"] for tag, attributes in self.elements if tag == "a" and "#" in attributes["href"]][1:]  # type: ignore[operator] # each has one


def opened(client: httpx.Client) -> Page:
    """The form, as it opens."""
    return Page(client.get("/").raise_for_status())


def sent(client: httpx.Client, page: Page, **fields: Any) -> httpx.Response:
    """The answer to a form that was filled in."""
    return client.post("/", **form(**page.sent_along, **fields))


def submitted(attorney: httpx.Client, answer: httpx.Response) -> tuple[dict[str, Any], dict[str, Any]]:
    """The lead that an answer leads to, and the data of its first event."""
    assert answer.status_code == 303, answer.text
    reference = answer.headers["location"].split("/")[-2]
    [lead] = attorney.get("/leads", params={"q": reference}).json()["items"]
    return lead, attorney.get(f"/leads/{lead['id']}/events").json()["items"][0]["data"]


def test_the_form_says_what_it_takes(anyone: httpx.Client) -> None:
    """Each field has a label and is filled in by the browser, and kinds and size of the file stand before it."""
    page = opened(anyone)
    labels = {attributes["for"] for tag, attributes in page.elements if tag == "label"}

    assert set(FIELDS) <= labels
    assert [page.named(name)["autocomplete"] for name in FIELDS[:3]] == ["given-name", "family-name", "email"]
    assert page.named("resume")["accept"] == ".pdf,.doc,.docx"
    assert page.texts["resume-hint"].startswith("PDF, DOC or DOCX, at most 10\u00a0MB.")
    assert "Our firm" in page.texts["title"]
    assert "does not create an attorney-client relationship" in page.texts["notice"]
    assert not page.wrong
    assert "autofocus" not in page.answer.text


@pytest.mark.asvs("V3.4.3", "V3.4.6")
@pytest.mark.attack(154)
def test_pages_have_strict_headers(anyone: httpx.Client) -> None:
    """Nothing but our own files, nothing kept but for the Back button, no framing."""
    headers = opened(anyone).answer.headers

    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["cache-control"], headers["x-frame-options"]) == ("private, no-cache", "DENY")


@pytest.mark.asvs("V3.4.6")
def test_who_may_frame_the_form(tmp_path: Path) -> None:
    """The origins of a setting, and only what prospects see: the form, refused or not, and what was received."""
    origins = "https://www.example.com, https://example.com"
    with running(tmp_path / "data", FRAME_ORIGINS=origins) as service:
        client = service.client()
        page = opened(client)
        refused = sent(client, page, email="nobody")
        stored = sent(client, page)
        received = client.get(stored.headers["location"])

        others = [client.get(path) for path in ("/inbox", "/inbox/sign-in", "/received/LD-00000000/x", "/nowhere")]

    def framed_by(answer: httpx.Response) -> str:
        policy: str = answer.headers["content-security-policy"]
        return policy.partition("frame-ancestors ")[2].partition(";")[0]

    assert {framed_by(each) for each in (page.answer, refused, stored, received)} == {origins.replace(",", "")}
    assert {framed_by(each) for each in others} == {"'none'"}


def test_monitors_ask_for_the_head(anyone: httpx.Client) -> None:
    """HEAD is answered as GET, without a body."""
    answer = anyone.head("/")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_whole_way(service: Service, anyone: httpx.Client, attorney: httpx.Client) -> None:
    """What was typed is stored as it is by the API, and the notice that was shown is kept with its time."""
    page = opened(anyone)
    answer = sent(anyone, page, first_name=" Zoe\u0308 ", resume=("Zoë.pdf", pdf(300_000)))
    lead, data = submitted(attorney, answer)

    assert (lead["first_name"], lead["last_name"], lead["email"]) == ("Zoë", "Lovelace", "ada@example.org")
    assert (lead["resume_name"], lead["resume_size"]) == ("Zoë.pdf", 300_000)
    assert data["notice"] == service.settings.form_notice == page.sent_along["notice"]
    assert data["notice_shown_at"].endswith("Z")
    assert datetime.fromisoformat(data["notice_shown_at"]) <= datetime.fromisoformat(lead["created_at"])


def test_the_receipt(anyone: httpx.Client) -> None:
    """It has the reference and what comes next, nothing that was typed, and is the same whenever it is opened."""
    answer = sent(anyone, opened(anyone), first_name="Xanthippe", email="xanthippe@example.org")
    address = answer.headers["location"]
    page = Page(anyone.get(address))

    assert re.fullmatch(r"/received/LD-[0-9A-Z]{8}/[\w-]{22}", address)
    assert page.answer.status_code == 200
    assert address.split("/")[2] in page.text
    assert "An attorney will read your enquiry" in page.text
    assert "anthippe" not in page.answer.text.lower()
    assert anyone.get(address).text == page.answer.text


@pytest.mark.parametrize("proof", ["x", "x" * 22, "%C3%A9", "%00"])
def test_nobody_else_can_make_a_receipt(anyone: httpx.Client, proof: str) -> None:
    """A proof that is not ours leads to the page of what is not there."""
    answer = anyone.get(f"/received/LD-7F3K9QX2/{proof}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "LD-7F3K9QX2" not in answer.text


def test_a_proof_is_of_one_reference(anyone: httpx.Client) -> None:
    """It does not prove another."""
    proof = sent(anyone, opened(anyone)).headers["location"].rpartition("/")[2]

    assert anyone.get(f"/received/LD-7F3K9QX2/{proof}").status_code == 404


def test_sending_twice_is_sending_once(service: Service, anyone: httpx.Client) -> None:
    """The same form again leads to the same receipt, and nothing is stored again."""
    page = opened(anyone)
    first = sent(anyone, page)
    before = service.stored()
    second = sent(anyone, page)

    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    assert service.stored() == before


def test_other_content_is_asked_about(service: Service, anyone: httpx.Client) -> None:
    """Who goes back and corrects something is told that the first is stored, and can send the second all the same."""
    page = opened(anyone)
    first = sent(anyone, page)
    before, _ = service.stored()
    asked = Page(sent(anyone, page, email="ada@example.com"))

    assert asked.answer.status_code == 422
    assert "already sent an enquiry" in asked.texts["problem"]
    assert asked.named("email")["value"] == "ada@example.com"
    assert asked.sent_along["submission"] != page.sent_along["submission"]
    assert service.stored()[0] == before

    second = sent(anyone, asked, email="ada@example.com")

    assert second.headers["location"] != first.headers["location"]
    assert service.stored()[0] == before + 1


@pytest.mark.parametrize("submission", ["", "of an old page", "é", "x" * 256])
def test_a_ticket_that_is_none_loses_no_lead(anyone: httpx.Client, attorney: httpx.Client, submission: str) -> None:
    """The enquiry is taken, without the notice, and cannot be told from another one."""
    changed = {"submission": submission, "notice": "You owe us nothing."}
    answers = [anyone.post("/", **form(**changed)) for _ in range(2)]

    assert "notice" not in submitted(attorney, answers[0])[1]
    assert answers[0].headers["location"] != answers[1].headers["location"]


def test_a_key_of_ones_own_is_a_key(anyone: httpx.Client, attorney: httpx.Client) -> None:
    """A form made by hand is stored once, too."""
    answers = [anyone.post("/", **form(submission="my-own-key-0123")) for _ in range(2)]

    assert "notice" not in submitted(attorney, answers[0])[1]
    assert answers[0].headers["location"] == answers[1].headers["location"]


def test_nobody_can_put_a_notice_into_the_record(anyone: httpx.Client, attorney: httpx.Client) -> None:
    """A text that was not shown is not recorded."""
    changed = {**opened(anyone).sent_along, "notice": "We act for you from now on."}

    assert "notice" not in submitted(attorney, anyone.post("/", **form(**changed)))[1]


EMPTY = {
    "first_name": "Enter your first name.",
    "last_name": "Enter your last name.",
    "email": "Enter your email address.",
    "resume": "Choose your resume.",
}
WRONG: dict[str, tuple[dict[str, Any], int, dict[str, str]]] = {
    "everything missing": (
        form(first_name=None, last_name=None, email=None, resume=None) | {"files": {"x": (None, "")}}, 422, EMPTY
    ),
    "everything empty": (form(first_name="", last_name=" ", email=" ", resume=("", b"")), 422, EMPTY),
    "an invisible name": (form(first_name="\u200b\u2800"), 422, {"first_name": "Enter your first name."}),
    "a long name": (form(last_name="x" * 101), 422, {"last_name": "Last name: use at most 100 characters."}),
    "no address": (form(email="nobody"), 422, {"email": "name@example.com"}),
    "an empty file": (form(resume=("cv.pdf", b"")), 422, {"resume": "The file is empty. Choose another one."}),
    "another kind": (form(resume=("cv.pdf", xlsx())), 415, {"resume": "The file cv.pdf is a spreadsheet."}),
    "a name and another kind": (
        form(first_name="", resume=("cv.pdf", xlsx())),
        422,
        {"first_name": "Enter your first name.", "resume": "The file cv.pdf is a spreadsheet."},
    ),
    "too large": (form(resume=("cv.pdf", pdf(10_485_761))), 413, {"resume": "larger than 10\u00a0MB"}),
    "a name and too large": (
        form(first_name="", resume=("cv.pdf", pdf(11_000_000))),
        413,
        {"first_name": "Enter your first name.", "resume": "larger than 10\u00a0MB"},
    ),
    "a field twice": (form(email=["a@example.org", "b@example.org"]), 422, {"email": "Send this once."}),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "wrong"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_at_its_field(
    service: Service, anyone: httpx.Client, fields: dict[str, Any], status: int, wrong: dict[str, str]
) -> None:
    """The form comes back with all that is wrong, in a list that links to the fields and at each of them."""
    sent_along = opened(anyone).sent_along
    before = service.stored()
    page = Page(anyone.post("/", **{**fields, "data": {**fields["data"], **sent_along}}))

    assert (page.answer.status_code, page.texts["title"].partition(": ")[0]) == (status, "Error")
    assert page.wrong.keys() == wrong.keys()
    assert all(text in page.wrong[name] for name, text in wrong.items())
    assert page.summary == [f"#{name}" for name in wrong]
    for name in FIELDS:
        about = (page.named(name).get("aria-describedby") or "").split()
        assert (page.named(name).get("aria-invalid"), f"{name}-wrong" in about) == (
            ("true", True) if name in wrong else (None, False)
        )
    assert ("again" in page.texts) == ("resume" not in wrong)
    assert page.sent_along == sent_along
    assert service.stored() == before


def test_what_was_typed_is_kept(anyone: httpx.Client) -> None:
    """As it was typed, and inert."""
    page = Page(sent(anyone, opened(anyone), first_name=HOSTILE, last_name=f" {HOSTILE} ", email="Zoë <x@y>"))

    assert page.answer.status_code == 422
    assert page.named("first_name")["value"] == HOSTILE
    assert page.named("last_name")["value"] == f" {HOSTILE} "
    assert page.named("email")["value"] == "Zoë <x@y>"
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "img" not in [tag for tag, _ in page.elements]


@pytest.mark.attack(81)
def test_the_name_of_a_file_is_inert(anyone: httpx.Client) -> None:
    """It is repeated in the message, as text."""
    page = Page(sent(anyone, opened(anyone), resume=("<script>alert(1)<script>.pdf", b"MZ" + bytes(99))))

    assert "<script>alert(1)<script>.pdf" in page.wrong["resume"]
    assert [tag for tag, _ in page.elements].count("script") == 1


@pytest.mark.asvs("V2.2.2")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({**form(), "headers": {"Content-Encoding": "gzip"}}, 415),
        ({**form(), "files": {"resume": ("cv.pdf", pdf()), "photo": ("me.png", b"x")}}, 422),
        (form(submission="x" * 20_000), 422),
    ],
)
def test_what_no_browser_sends_is_answered_with_the_form(
    service: Service, anyone: httpx.Client, request_: dict[str, Any], status: int
) -> None:
    """With a sentence about all of it."""
    before = service.stored()
    page = Page(anyone.post("/", **request_))

    assert page.answer.status_code == status
    assert page.texts["problem"]
    assert not page.wrong
    assert service.stored() == before


def raw_post(service: Service, page: Page, file: bytes) -> bytes:
    """The answer that a client sees which sends all of a form before it reads anything, as browsers do."""
    request = httpx.Request("POST", f"{service.url}/", **form(**page.sent_along, resume=("cv.pdf", file)))
    body = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return service.raw(f"POST / HTTP/1.1\r\nConnection: close\r\n{head}\r\n".encode(), body)


def test_a_file_of_30_mb_is_refused_with_a_page(service: Service, anyone: httpx.Client) -> None:
    """It is read and thrown away, so that a browser shows the answer, and nothing of it is kept."""
    before = service.stored()
    answer = raw_post(service, opened(anyone), pdf(30_000_000))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'id="resume-wrong"' in answer
    assert service.stored() == before


def test_who_sends_too_often_sees_a_page(tmp_path: Path) -> None:
    """Also with a large file, with what was typed, and with the time to wait."""
    with running(tmp_path / "data", RATE_LIMIT_SUBMIT="1/hour") as service:
        page = opened(service.client())
        first = raw_post(service, page, pdf(3_000_000))
        second = raw_post(service, page, pdf(3_000_000))

        assert first.startswith(b"HTTP/1.1 303 ")
        assert second.startswith(b"HTTP/1.1 429 ")
        assert b'value="Lovelace"' in second
        assert page.sent_along["submission"].encode() in second
        assert b"\r\nretry-after: " in second
        assert re.search(rb"Too many enquiries came from your network. Try again in (a minute|\d+ minutes)\.", second)


def test_one_upload_too_many_sees_a_page(tmp_path: Path) -> None:
    """It keeps what was typed, and the ticket, so that trying again is safe."""
    with running(tmp_path / "data", MAX_UPLOADS="1") as service:
        page = opened(service.client())
        with socket.create_connection(("127.0.0.1", service.port)) as slow:
            slow.sendall(
                b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                b"Content-Length: 9999\r\n\r\n--x\r\n"
            )
            while raw_post(service, page, pdf()).startswith(b"HTTP/1.1 303 "):
                """The slow one has not come yet."""
            answer = raw_post(service, page, pdf(3_000_000))

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Nothing was stored. Try again in a moment." in answer
        assert b'value="Lovelace"' in answer
        assert page.sent_along["submission"].encode() in answer


class Away:
    """A database whose writes fail while it is away, or are stored and seem to fail."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.error: Exception | None = None
        self.is_stored = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> object:
            answer = await getattr(self._database, name)(*arguments) if self.is_stored or not self.error else None
            if self.error:
                raise self.error
            return answer

        return call


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Away]]:
    """A service whose database can be taken away."""
    away: list[Away] = []

    def breakable(app: App) -> App:
        away.append(Away(app.database))
        database: Any = away[0]
        return replace(app, intake=replace(app.intake, database=database))

    with running(tmp_path_factory.mktemp("fragile") / "data", breakable) as service:
        yield service, away[0]


@pytest.mark.parametrize("is_stored", [False, True], ids=["not stored", "stored all the same"])
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Unavailable(), 503, "Send it again in a moment: nothing is stored twice."),
        (RuntimeError("a bug"), 500, "Something went wrong on our side"),
    ],
)
def test_while_nothing_can_be_stored_all_is_kept(
    fragile: tuple[Service, Away],
    error: Exception,
    status: int,
    said: str,
    is_stored: bool,  # noqa: FBT001 - a parameter
) -> None:
    """The form comes back as it was, with its ticket, so that it is stored once, whatever had happened."""
    service, away = fragile
    client = service.client()
    page = opened(client)
    before, _ = service.stored()
    away.error, away.is_stored = error, is_stored
    refused = Page(sent(client, page, first_name="Zoë"))
    away.error = None

    assert refused.answer.status_code == status
    assert said in refused.texts["problem"]
    assert "Nothing was stored" not in refused.answer.text
    assert refused.named("first_name")["value"] == "Zoë"
    assert refused.sent_along == page.sent_along
    assert any(line["level"] == "error" for line in logged(refused.answer.headers["x-request-id"]))
    assert "a bug" not in refused.answer.text

    answers = [sent(client, refused, first_name="Zoë") for _ in range(2)]

    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert service.stored()[0] == before + 1


def test_an_api_client_is_told_that_it_may_be_stored(fragile: tuple[Service, Away]) -> None:
    """Where the answer of the database was lost, the problem does not deny it, and says how to send it again."""
    service, away = fragile
    client, key = service.client(), {"Idempotency-Key": "in-doubt"}
    before, _ = service.stored()
    away.error, away.is_stored = Unavailable(), True
    refused = client.post("/public/leads", headers=key, **form())
    away.error = None
    repeated = client.post("/public/leads", headers=key, **form())

    assert refused.status_code == 503
    assert "may or may not have been stored" in refused.json()["detail"]
    assert "the same Idempotency-Key" in refused.json()["detail"]
    assert (repeated.status_code, repeated.headers["idempotency-replayed"]) == (201, "true")
    assert service.stored()[0] == before + 1


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with texts of its own, under a path."""
    with running(
        tmp_path_factory.mktemp("styled") / "data",
        BASE_URL="http://127.0.0.1/intake",
        FIRM_NAME="Ng & <Null>",
        FORM_INTRODUCTION="Hello.\\n\\nWe are <b>Ng & Null</b>.",
        FORM_NOTICE='No relationship.\\n\\nNothing "confidential".',
        FORM_NEXT="We call you\\nwithin two days.",
        PRIVACY_URL="https://www.example.com/privacy?a=b&c=d",
        MAX_RESUME_BYTES="20000",
        RESUME_TYPES="pdf,odt",
    ) as service:
        service.add_user("attorney@example.org")
        yield service


def test_texts_of_a_firm(styled: Service) -> None:
    """They are shown as they are written, in paragraphs, and whatever is in them is text."""
    client = styled.client()
    page = opened(client)

    assert "We are <b>Ng & Null</b>." in page.text
    assert "b" not in [tag for tag, _ in page.elements]
    assert 'Nothing "confidential".' in page.texts["notice"]
    assert ("a", "https://www.example.com/privacy?a=b&c=d") in [
        (tag, attributes.get("href")) for tag, attributes in page.elements
    ]
    assert page.texts["resume-hint"].startswith("PDF or ODT, at most 19.5\u00a0kB.")
    assert page.texts["title"].endswith("Ng & <Null>")


def test_a_service_under_a_path(styled: Service) -> None:
    """The form goes there, and so does the receipt."""
    client = styled.client()
    page = opened(client)
    answer = sent(client, page)
    receipt = client.get(answer.headers["location"].removeprefix("/intake"))

    assert ("form", "/intake/?sent") in [(tag, attributes.get("action")) for tag, attributes in page.elements]
    assert answer.headers["location"].startswith("/intake/received/")
    assert "We call you\nwithin two days." in receipt.text


def test_a_notice_of_several_lines_is_recorded(styled: Service) -> None:
    """Though browsers send other line ends than they were given."""
    client = styled.client()
    sent_along = opened(client).sent_along
    crlf = {**sent_along, "notice": sent_along["notice"].replace("\n", "\r\n")}
    _, data = submitted(styled.sign_in("attorney@example.org"), client.post("/", **form(**crlf)))

    assert data["notice"] == styled.settings.form_notice == 'No relationship.\n\nNothing "confidential".'
