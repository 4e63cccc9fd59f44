"""What has not gone out, with a browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.fakes import ChoosyMailer
from tests.service import Service, form, running
from tests.web import hidden, signed_in, text_of, visitor

from leadintake.application.app import App

REASON = "550 5.1.1 <script>alert(1)</script> no\nsuch user " + "x" * 300
HOSTILE = "<b>\"'</b>"
ATTORNEY = "grace@example.org"


def choosy(app: App) -> App:
    """The application with a mailer that fails for some addresses."""
    return replace(app, dispatch=replace(app.dispatch, mailer=ChoosyMailer(REASON)))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, with one attorney and one confirmation a day to each address."""
    with running(tmp_path / "data", choosy, CONFIRMATIONS_PER_ADDRESS="1/day") as service:
        service.add_user(ATTORNEY)
        yield service


def submitted(service: Service, email: str, **fields: str) -> tuple[str, str]:
    """The id and the reference of a new lead, once all of its mails have been tried."""
    receipt = service.client().post("/public/leads", **form(email=email, **fields)).raise_for_status().json()
    client = service.sign_in(ATTORNEY)
    while any(
        delivery["status"] == "sending" or (delivery["status"] == "pending" and not delivery["attempts"])
        for delivery in client.get(f"/leads/{receipt['id']}/deliveries").json()["items"]
    ):
        pass
    return receipt["id"], receipt["reference"]


def group(page: str, title: str) -> str:
    """The part of a page under a heading; empty when there is none."""
    found = re.search(rf"<h2[^>]*>{title}</h2>.*?</section>", page, re.DOTALL)
    return found[0] if found else ""


def resend(client: httpx.Client, part: str, **more: str) -> httpx.Response:
    """Press the first button to send again, as a browser does."""
    address = re.search(r'action="(/inbox/deliveries/[\w-]+/resend)"', part)
    assert address
    return client.post(address[1], data={"next": hidden(part, "next"), **more})


def test_everything_has_gone_out(office: Service) -> None:
    """The page says so, and nothing else."""
    submitted(office, "ada@example.org")
    page = signed_in(office, ATTORNEY).get("/inbox/mails").text

    assert "Everything has gone out" in text_of(page)
    assert "Send again" not in page
    assert page.count("<h1") == 1


def test_failed(office: Service) -> None:
    """Whose mail it is, about which lead, how often it was tried, and the whole reason, which is inert."""
    lead_id, reference = submitted(office, "no@example.org", first_name=HOSTILE)
    page = signed_in(office, ATTORNEY).get("/inbox/mails").text
    failed = group(page, "Failed")

    for part in (
        "Nobody gets these: the mail server refused them for good, or did not take them for 5 days.",
        "Failed Confirmation to the prospect, no@example.org",
        f"{HOSTILE} Lovelace , {reference}",
        "1 attempt so far",
        " ".join(REASON.split()),
        f"Send again to no@example.org about {reference}",
    ):
        assert part in text_of(failed)
    assert f'href="/inbox/leads/{lead_id}"' in failed
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert not group(page, "Held back")
    assert not group(page, "Waiting")
    assert "1 mail could not be delivered." in text_of(page)


def test_held(office: Service) -> None:
    """What is over the limit of the settings waits for somebody, who can let it go out."""
    submitted(office, "ada@example.org")
    _, reference = submitted(office, "ada@example.org")
    client = signed_in(office, ATTORNEY)
    held = group(client.get("/inbox/mails").text, "Held back")
    answer = resend(client, held)
    shown = client.get(answer.headers["location"]).text

    assert "More confirmations were due than the settings allow, to one address or altogether." in text_of(held)
    assert "Held back Confirmation to the prospect, ada@example.org" in text_of(held)
    assert "No attempts so far" in text_of(held)
    assert reference in held
    assert answer.status_code == 303
    assert "The mail is on its way again." in text_of(shown)
    assert not group(shown, "Held back")


def test_waiting(office: Service) -> None:
    """What is tried again by itself says when, and has no button."""
    submitted(office, "later@example.org")
    waiting = group(signed_in(office, ATTORNEY).get("/inbox/mails").text, "Waiting")

    assert re.search(
        r"1 attempt so far, the next is due \d+ \w+ \d{4}, \d\d:\d\d UTC 451 4.3.0 greylisted", text_of(waiting)
    )
    assert "These go out by themselves." in text_of(waiting)
    assert "Send again" not in waiting


def test_order(office: Service) -> None:
    """First what failed, then what is held back, then what waits."""
    for email in ("later@example.org", "ada@example.org", "ada@example.org", "no@example.org"):
        submitted(office, email)
    page = signed_in(office, ATTORNEY).get("/inbox/mails").text

    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Failed", "Held back", "Waiting"]


def test_sent_again(office: Service) -> None:
    """A failed mail is tried once more, and fails again; two people who press the button at once see no error."""
    lead_id, _ = submitted(office, "no@example.org")
    client = signed_in(office, ATTORNEY)
    failed = group(client.get("/inbox/mails").text, "Failed")
    answers = [resend(client, failed), resend(client, failed), resend(client, failed, next="//evil.example")]
    while not (again := group(client.get("/inbox/mails").text, "Failed")):
        pass

    assert [answer.headers["location"] for answer in answers] == ["/inbox/mails?again"] * 2 + ["/inbox"]
    assert re.search("[23] attempts so far", text_of(again))
    assert re.search(r"no@example\.org attempt [23] ", text_of(client.get(f"/inbox/leads/{lead_id}").text))


@pytest.mark.long
def test_more_than_one_page(office: Service) -> None:
    """Beyond fifty the page says that there are more."""
    for number in range(51):
        office.client().post("/public/leads", **form(email=f"later@{number}.example.org"))
    client = signed_in(office, ATTORNEY)
    page = client.get("/inbox/mails").text

    assert page.count('<li class="entry">') == 50
    assert "There are more than the 50 shown here" in text_of(page)
    assert len(page) < 45_000


def test_other_sites(office: Service) -> None:
    """No other site can have a mail sent again."""
    submitted(office, "no@example.org")
    client = signed_in(office, ATTORNEY)
    client.headers["Sec-Fetch-Site"] = "cross-site"
    page = client.get("/inbox/mails").text

    assert resend(client, group(page, "Failed")).status_code == 403


def test_signed_out(service: Service) -> None:
    """Who is not signed in is asked to."""
    assert visitor(service).get("/inbox/mails").headers["location"] == "/inbox/sign-in?next=%2Finbox%2Fmails"
