"""The page of a lead: read, answered, noted, erased; alone and by two at once."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from tests.documents import pdf
from tests.fakes import RecordingMailer
from tests.service import PASSWORD, Service, form, running
from tests.web import hidden, signed_in, text_of, visitor

from leadintake.application.app import App
from leadintake.application.inbox import EVENTS_SHOWN
from leadintake.application.ports.database import Database, Transaction
from leadintake.domain.errors import DeliveryFailed, Unavailable
from leadintake.domain.events import SYSTEM, Event, EventKind
from leadintake.domain.lead import NOTES_MAX_CHARACTERS, notes_seen


class Away:
    """A database that can be read, and while it is away not written to."""

    def __init__(self, database: Database) -> None:
        self.read = database.read
        self.glance = database.glance
        self._write = database.write
        self.is_away = False

    async def write(self, firm_id: UUID, work: Callable[[Transaction], Any]) -> Any:
        """Do it, or raise Unavailable."""
        if self.is_away:
            raise Unavailable
        return await self._write(firm_id, work)


@pytest.fixture(scope="module")
def attorney(service: Service) -> httpx.Client:
    """An attorney at the desk."""
    return signed_in(service, "attorney@example.org")


@pytest.fixture(scope="module")
def admin(service: Service) -> httpx.Client:
    """An admin at the desk."""
    return signed_in(service, "admin@example.org")


@pytest.fixture
def path(service: Service) -> str:
    """The address of a new lead."""
    return path_of(service)


def path_of(service: Service, **fields: object) -> str:
    """Where a new lead is."""
    lead_id = service.client().post("/public/leads", **form(**fields)).raise_for_status().json()["id"]
    return f"/inbox/leads/{lead_id}"


def lead(client: httpx.Client, path: str) -> str:
    """What the page of a lead says."""
    return text_of(client.get(path).raise_for_status().text)


def save(client: httpx.Client, path: str, notes: str, seen: str = "", **more: str) -> httpx.Response:
    """Send the notes as the page does that shows those there are now, or as an earlier one."""
    return client.post(f"{path}/notes", data={"notes": notes, "seen": seen or seen_on(client, path), **more})


def seen_on(client: httpx.Client, path: str) -> str:
    """What the page remembers of the notes that it shows."""
    return hidden(client.get(path).text, "seen")


def notes_of(page: str) -> str:
    """The notes in the field."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert found
    return found[1]


def test_all_that_is_known(attorney: httpx.Client, service: Service) -> None:
    """The page shows every field, the file with what is odd about it, the mails and what happened."""
    path = path_of(service, resume=("my cv.pdf", pdf() + b"more behind the end", "application/pdf"))
    page = lead(attorney, path)

    for said in ("Ada Lovelace", "ada@example.org", "my cv.pdf", "PDF, ", "Waiting", "LD-", "The enquiry arrived."):
        assert said in page
    assert "Before you open the file: Something else follows the end of the document." in page
    assert "Confirmation to the prospect, ada@example.org" in page
    assert "Notice to an attorney, attorney@example.org" in page


def test_a_long_timeline(attorney: httpx.Client, service: Service, path: str) -> None:
    """Its last hundred events are shown, with a link to those before them, and from there back."""
    lead_id = UUID(path.rpartition("/")[2])

    def opened(times: int) -> None:
        events = [Event(lead_id, EventKind.RESUME_OPENED, datetime.now(UTC), SYSTEM)] * times
        service.run(service.app.database.write(service.app.firm_id, lambda tx: tx.events.add(*events)))

    opened(EVENTS_SHOWN - 1)
    whole = attorney.get(path).raise_for_status().text
    opened(1)
    latest = attorney.get(f"{path}?state=all").raise_for_status().text
    [earlier] = re.findall(r'href="([^"]*before=[^"]*)#timeline"', latest)
    first = attorney.get(html.unescape(earlier)).raise_for_status().text
    [back] = re.findall(r'href="([^"]*)#timeline">Latest<', first)

    assert ("The enquiry arrived." in text_of(whole), "before=" in whole) == (True, False)
    assert "state=all" in earlier
    assert latest.count("opened the resume.") == EVENTS_SHOWN
    assert "The enquiry arrived." not in text_of(latest)
    assert "The enquiry arrived." in text_of(first)
    assert ("opened the resume." in first, "before=" in first) == (False, False)
    assert back == f"{path}?state=all"
    assert attorney.get(f"{path}?state=all&before=x").status_code == 200


@pytest.mark.asvs("V1.2.2")
@pytest.mark.attack(59)
def test_write_to_the_prospect(attorney: httpx.Client, service: Service) -> None:
    """The address is a mailto that names the reference, and nothing in an address can add a header to it."""
    page = attorney.get(path_of(service, email="o'neil+x&bcc=y@example.org")).text

    assert re.search(
        r'href="mailto:o%27neil%2Bx%26bcc%3Dy@example\.org\?subject=Your%20enquiry%20LD-[0-9A-Z]{8}"', page
    )


def test_reach_out(attorney: httpx.Client, path: str) -> None:
    """One click moves the lead, and says who did it."""
    answer = attorney.post(f"{path}/reach-out?state=all")
    page = lead(attorney, path)

    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?state=all&marked")
    assert "The lead is marked as reached out." in text_of(attorney.get(answer.headers["location"]).text)
    assert "The lead is marked as reached out." not in page
    assert "Atticus Finch reached out on" in page
    assert "Atticus Finch reached out." in page
    assert "then mark the lead" not in page


def test_somebody_was_first(attorney: httpx.Client, admin: httpx.Client, path: str) -> None:
    """Who comes second sees who was first, and when."""
    attorney.post(f"{path}/reach-out")
    answer = admin.post(f"{path}/reach-out")

    assert answer.status_code == 409
    assert "Somebody was first. Atticus Finch reached out under a minute ago, on " in text_of(answer.text)
    again = attorney.post(f"{path}/reach-out")
    assert again.status_code == 409
    assert "You reached out already, under a minute ago, on " in text_of(again.text)


def test_resume(attorney: httpx.Client, path: str) -> None:
    """The file comes byte for byte, as an attachment that runs nothing, and the page says who opened it."""
    answer = attorney.get(f"{path}/resume")

    assert answer.content == pdf()
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "Atticus Finch opened the resume." in lead(attorney, path)


@pytest.mark.asvs("V1.2.1")
@pytest.mark.parametrize(
    "notes", ["Called on Monday.", "\nfirst line empty\n\n", "<script>alert(1)</script></textarea>", ""]
)
def test_notes(attorney: httpx.Client, path: str, notes: str) -> None:
    """Notes are kept as they were written; the page shows them as text."""
    save(attorney, path, "before")
    answer = save(attorney, path, notes.replace("\n", "\r\n"))
    page = attorney.get(path).text

    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?saved#notes")
    assert notes_of(page) == notes.replace("<", "&lt;").replace(">", "&gt;")
    assert "<script>alert" not in page


def test_notes_in_conflict(attorney: httpx.Client, admin: httpx.Client, path: str) -> None:
    """Who writes on what is no longer there sees both, loses neither, and may save in place of the other's."""
    save(admin, path, "Mine so far.")
    seen = seen_on(admin, path)
    save(attorney, path, "Theirs.")
    answer = save(admin, path, "Mine.", seen)
    again = save(admin, path, "Mine.", hidden(answer.text, "seen"))

    assert answer.status_code == 409
    assert "Not saved: Atticus Finch changed the notes meanwhile, on" in text_of(answer.text)
    assert '<blockquote class="notes" dir="auto">Theirs.</blockquote>' in answer.text
    assert notes_of(answer.text) == "Mine."
    assert again.status_code == 303
    assert notes_of(admin.get(path).text) == "Mine."


def test_both_notes_are_kept(attorney: httpx.Client, admin: httpx.Client, path: str) -> None:
    """Theirs first, unless a third has written meanwhile: then all is shown again, and nothing is lost."""
    shown = save(admin, path, "Mine.", seen_on(admin, path))
    save(attorney, path, "Theirs.")
    stale = save(admin, path, "Mine, and more.", hidden(admin.get(path).text, "seen") + "x", both="yes")
    both = save(admin, path, "Mine, and more.", hidden(stale.text, "seen"), both="yes")

    assert shown.status_code == 303
    assert (stale.status_code, notes_of(stale.text)) == (409, "Mine, and more.")
    assert "Save both" in stale.text
    assert both.status_code == 303
    assert notes_of(admin.get(path).text) == "Theirs.\n\nMine, and more."


def test_no_conflict(attorney: httpx.Client, admin: httpx.Client, path: str) -> None:
    """What else happens to a lead is none, nor are the same notes once more."""
    seen = seen_on(admin, path)
    attorney.post(f"{path}/reach-out")
    answers = [save(admin, path, "Mine.", seen) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]


def test_notes_that_cannot_be_saved(attorney: httpx.Client, path: str) -> None:
    """What is too long stays in its field, with a word on what to do."""
    answer = save(attorney, path, "x" * (NOTES_MAX_CHARACTERS + 1))

    assert answer.status_code == 422
    assert "Not saved: Use at most 10,000 characters." in text_of(answer.text)
    assert len(notes_of(answer.text)) == NOTES_MAX_CHARACTERS + 1


def test_notes_while_nothing_can_be_stored(tmp_path: Path) -> None:
    """They stay in their field, also behind a sign-in, and are saved once they can be."""
    away: list[Away] = []

    def breakable(app: App) -> App:
        away.append(Away(app.database))
        return replace(app, desk=replace(app.desk, database=cast("Any", away[0])))

    with running(tmp_path / "data", breakable) as service:
        service.add_user("a@example.org")
        client, other = signed_in(service, "a@example.org"), visitor(service)
        path = path_of(service)
        seen = seen_on(client, path)
        away[0].is_away = True
        refused = save(client, path, "Mine.", seen)
        sent = {"lead": path.rpartition("/")[2], "notes": "Mine.", "seen": seen, "next": path}
        behind = other.post("/inbox/sign-in", data={**sent, "email": "a@example.org", "password": PASSWORD})
        away[0].is_away = False
        saved = save(client, path, notes_of(refused.text), hidden(refused.text, "seen"))

        assert [answer.status_code for answer in (refused, behind, saved)] == [503, 503, 303]
        assert "Not saved: The service cannot do this right now. Try again in a moment." in text_of(refused.text)
        assert [notes_of(answer.text) for answer in (refused, behind)] == ["Mine."] * 2
        assert other.get("/inbox").status_code == 200
        assert notes_of(client.get(path).text) == "Mine."


def test_no_session_can_be_opened_for_notes(tmp_path: Path) -> None:
    """Whose sign-in has to wait for the database finds the notes there as well, and saves them with the next."""
    away: list[Away] = []

    def breakable(app: App) -> App:
        away.append(Away(app.database))
        return replace(app, accounts=replace(app.accounts, database=cast("Any", away[0])))

    with running(tmp_path / "data", breakable) as service:
        service.add_user("a@example.org")
        client, path = visitor(service), path_of(service)
        sent = {"lead": path.rpartition("/")[2], "notes": "Mine.", "seen": notes_seen(""), "next": path}
        away[0].is_away = True
        refused = client.post("/inbox/sign-in", data={**sent, "email": "a@example.org", "password": PASSWORD})
        away[0].is_away = False
        sent = {name: hidden(refused.text, name) for name in sent}
        saved = client.post("/inbox/sign-in", data={**sent, "email": "a@example.org", "password": PASSWORD})

        assert (refused.status_code, saved.status_code) == (503, 303)
        assert notes_of(client.get(path).text) == "Mine."


def test_session_over_while_writing(service: Service, path: str) -> None:
    """A note that comes when the session is over is saved by signing in, also after a wrong password."""
    client = signed_in(service, "attorney@example.org")
    seen, notes = seen_on(client, path), 'Long "note" <&>\nwith lines'
    client.cookies.clear()
    asked = save(client, path, notes, seen)
    sent = {name: hidden(asked.text, name) for name in ("lead", "notes", "seen", "next")}
    wrong = client.post("/inbox/sign-in", data={**sent, "email": "attorney@example.org", "password": "wrong"})
    sent = {name: hidden(wrong.text, name) for name in ("lead", "notes", "seen", "next")}
    answer = client.post("/inbox/sign-in", data={**sent, "email": "attorney@example.org", "password": PASSWORD})

    assert asked.status_code == 401
    assert "Your text is not lost" in text_of(asked.text)
    assert wrong.status_code == 400
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?saved#notes")
    assert notes_of(client.get(path).text) == "Long &#34;note&#34; &lt;&amp;&gt;\nwith lines"


def test_session_over_and_somebody_else_wrote(service: Service, attorney: httpx.Client, path: str) -> None:
    """Then signing in shows both, as it would have before."""
    client = visitor(service)
    seen = seen_on(attorney, path)
    save(attorney, path, "Theirs.")
    sent = {"lead": path.rpartition("/")[2], "notes": "Mine.", "seen": seen, "next": path}
    answer = client.post("/inbox/sign-in", data={**sent, "email": "admin@example.org", "password": PASSWORD})

    assert answer.status_code == 409
    assert notes_of(answer.text) == "Mine."
    assert client.get("/inbox").status_code == 200


def test_session_over_while_keeping_both(service: Service, attorney: httpx.Client, path: str) -> None:
    """Then signing in saves neither over the other: both are shown once more."""
    client = signed_in(service, "admin@example.org")
    save(attorney, path, "Theirs.")
    seen = seen_on(client, path)
    client.cookies.clear()
    asked = save(client, path, "Mine.", seen, both="yes")
    sent = {name: hidden(asked.text, name) for name in ("lead", "notes", "seen", "next")}
    answer = client.post("/inbox/sign-in", data={**sent, "email": "admin@example.org", "password": PASSWORD})

    assert asked.status_code == 401
    assert (answer.status_code, notes_of(answer.text)) == (409, "Mine.")
    assert notes_of(client.get(path).text) == "Theirs."


@pytest.mark.parametrize(
    ("is_signed_in", "more"),
    [(False, {}), (True, {}), (True, {"both": "yes"})],
    ids=["session over", "signed in", "keeping both"],
)
def test_notes_of_a_lead_that_is_gone(
    service: Service,
    admin: httpx.Client,
    path: str,
    is_signed_in: bool,  # noqa: FBT001 - a parameter
    more: dict[str, str],
) -> None:
    """Who wrote while the lead was erased gets the text back, and is signed in if that was asked for."""
    client = signed_in(service, "attorney@example.org") if is_signed_in else visitor(service)
    sent = {"lead": path.rpartition("/")[2], "notes": "Mine, <b>\nall of it.", "seen": "x", "next": path, **more}
    admin.post(f"{path}/erase")
    address = f"{path}/notes" if is_signed_in else "/inbox/sign-in"
    answer = client.post(address, data={**sent, "email": "attorney@example.org", "password": PASSWORD})

    assert answer.status_code == 404
    assert "Mine, &lt;b&gt;\nall of it." in answer.text
    assert "Not saved: There is nothing with this id." in text_of(answer.text)
    assert client.get("/inbox").status_code == 200


def test_erase(attorney: httpx.Client, admin: httpx.Client, path: str) -> None:
    """An admin erases a lead after having read what goes; an attorney cannot, and is not offered to."""
    asked = admin.get(f"{path}/erase")
    refused = [attorney.get(f"{path}/erase"), attorney.post(f"{path}/erase")]
    offered = ["Erase this lead" in lead(client, path) for client in (attorney, admin)]
    answer = admin.post(f"{path}/erase")

    assert "Nobody can bring it back." in text_of(asked.text)
    assert [answer.status_code for answer in refused] == [403, 403]
    assert offered == [False, True]
    assert answer.headers["location"] == "/inbox?erased"
    assert "The lead is erased." in text_of(admin.get("/inbox?erased").text)
    assert "The lead is erased." not in text_of(admin.get("/inbox").text)
    assert admin.get(path).status_code == 404


def test_mail_trouble(tmp_path: Path) -> None:
    """A mail that failed is told on every page, shown with its reason, and sent again from where one stands."""
    mailer = RecordingMailer(failure=DeliveryFailed("550 <b>no such user</b>", permanent=True))

    def refusing(app: App) -> App:
        return replace(app, dispatch=replace(app.dispatch, mailer=mailer))

    with running(tmp_path / "data", refusing) as service:
        service.add_user("a@example.org")
        client = signed_in(service, "a@example.org")
        path = path_of(service)
        while "2 mails could not be delivered." not in lead(client, path):
            pass
        page = client.get(path).text
        resend = re.findall(r'action="(/inbox/deliveries/[^"]+)"', page)[0]
        mailer.failure = None
        again = [client.post(resend, data={"next": f"{path}?state=all"}) for _ in range(2)]
        while "1 mail could not be delivered." not in lead(client, "/inbox"):
            pass

    assert "550 &lt;b&gt;no such user&lt;/b&gt;" in page
    assert [answer.headers["location"] for answer in again] == [f"{path}?state=all"] * 2
    assert len(mailer.sent) == 1
