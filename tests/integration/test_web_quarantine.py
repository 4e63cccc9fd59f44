"""Robots at the form, and what attorneys make of it, on the pages and by the API."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.browser.attorneys import Clock
from tests.fakes import RecordingMailer
from tests.service import Service, form, logged, running
from tests.web import hidden, signed_in, text_of, visitor

from leadintake.application.app import App
from leadintake.entrypoints.web.form import TRAP

SOON, LATER = timedelta(0), timedelta(seconds=61)
CLOCK = Clock()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows how fast people are, with a clock to move."""

    def clocked(app: App) -> App:
        return replace(app, intake=replace(app.intake, now=CLOCK))

    with running(tmp_path_factory.mktemp("strict") / "data", clocked, FORM_SECONDS="60") as service:
        service.add_user("attorney@example.org")
        yield service


@pytest.fixture(scope="module")
def attorney(strict: Service) -> httpx.Client:
    """An attorney of that service, over HTTP."""
    return strict.sign_in("attorney@example.org")


@pytest.fixture(scope="module")
def desk(strict: Service) -> httpx.Client:
    """The same at the desk."""
    return signed_in(strict, "attorney@example.org")


def opened(client: httpx.Client) -> dict[str, str]:
    """What a form brings with it."""
    page = client.get("/").text
    return {name: hidden(page, name) for name in ("submission", "notice")}


def filled_in(service: Service, after: timedelta = LATER, **fields: Any) -> httpx.Response:
    """The answer to a form that comes back so long after it was shown."""
    client = visitor(service)
    along = opened(client)
    CLOCK.ahead += after
    return client.post("/", **form(**along, **fields))


def found(attorney: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The lead that a form became, wherever it is."""
    assert answer.status_code == 303, answer.text
    reference = answer.headers["location"].split("/")[2]
    lists = [attorney.get("/leads", params={"q": reference, "quarantined": asked}) for asked in ("false", "true")]
    [lead] = [lead for answer in lists for lead in answer.raise_for_status().json()["items"]]
    return dict(lead)


def mails(attorney: httpx.Client, lead: dict[str, Any]) -> list[str]:
    """To whom something is owed because of a lead."""
    return [each["recipient"] for each in attorney.get(f"/leads/{lead['id']}/deliveries").json()["items"]]


def robot(service: Service, attorney: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A lead in quarantine."""
    return found(attorney, filled_in(service, LATER, **{TRAP: "Buy now", **fields}))


@pytest.mark.asvs("V2.4.1")
@pytest.mark.parametrize(
    ("after", "fields", "reasons"),
    [
        (LATER, {}, []),
        (LATER, {TRAP: " "}, []),
        (SOON, {}, ["too-fast"]),
        (LATER, {TRAP: "https://evil.example"}, ["trap"]),
        (SOON, {TRAP: "x", "first_name": "www.evil.example"}, ["trap", "too-fast", "link"]),
        (SOON, {"submission": "made by hand"}, []),
        (LATER, {"submission": "made by hand too", "last_name": "www.evil.example"}, ["link", "no-ticket"]),
    ],
)
def test_people_and_robots(
    strict: Service, attorney: httpx.Client, after: timedelta, fields: dict[str, str], reasons: list[str]
) -> None:
    """People get their confirmation; of robots nobody is told. Both see the same page."""
    client = visitor(strict)
    along = opened(client)
    CLOCK.ahead += after
    answer = client.post("/", **form(**{**along, **fields}))
    lead = found(attorney, answer)

    assert lead["quarantine"] == reasons
    assert mails(attorney, lead) == ([] if reasons else ["ada@example.org", "attorney@example.org"])
    assert "We also send a confirmation" in text_of(client.get(answer.headers["location"]).text)


def test_a_second_enquiry_is_not_too_fast(strict: Service, attorney: httpx.Client) -> None:
    """Who is asked whether to send another one has filled in the form long since, and may say yes at once."""
    client = visitor(strict)
    along = opened(client)
    CLOCK.ahead += LATER
    client.post("/", **form(**along))
    asked = client.post("/", **form(**along, first_name="Eva"))
    again = {name: hidden(asked.text, name) for name in ("submission", "notice")}
    lead = found(attorney, client.post("/", **form(**again, first_name="Eva")))

    assert asked.status_code == 422
    assert again["submission"] != along["submission"]
    assert (lead["first_name"], lead["quarantine"]) == ("Eva", [])


def test_the_trap_is_empty_again(strict: Service) -> None:
    """A form that comes back for a mistake forgets what a browser may have put there."""
    answer = filled_in(strict, LATER, **{TRAP: "put there by a browser", "email": "nobody"})

    assert answer.status_code == 422
    assert "put there by a browser" not in answer.text


def test_the_api_has_no_clock(strict: Service, attorney: httpx.Client) -> None:
    """What no page has shown is judged by its names alone, and a field called like the trap means nothing there."""
    answers = [
        strict.client().post("/public/leads", **form(**fields)).raise_for_status().json()
        for fields in ({TRAP: "x"}, {"first_name": "http://a.example http://b.example"})
    ]
    leads = [attorney.get(f"/leads/{answer['id']}").json() for answer in answers]

    assert [lead["quarantine"] for lead in leads] == [[], ["links"]]
    assert all(answer.keys() == {"id", "reference", "created_at"} for answer in answers)


def test_the_operator_hears_of_it(strict: Service, attorney: httpx.Client) -> None:
    """One line and one count, with nothing that was typed."""
    answer = filled_in(strict, LATER, **{TRAP: "Buy now"})
    [line] = [line for line in logged(answer.headers["x-request-id"]) if line["event"] == "submission_quarantined"]
    metrics = strict.client().get("/metrics").text

    assert (line["lead_id"], line["reasons"]) == (found(attorney, answer)["id"], ["trap"])
    assert line.keys() == {"event", "level", "timestamp", "request_id", "lead_id", "reasons"}
    assert re.search(r"^leadintake_quarantined_submissions_total [1-9]", metrics, re.MULTILINE)


def test_release_by_the_api(strict: Service, attorney: httpx.Client) -> None:
    """Once, for attorneys; the lead that comes back is one like any other."""
    lead = robot(strict, attorney)
    path = f"/leads/{lead['id']}/release"
    nobody = strict.client().post(path)
    first, second = attorney.post(path), attorney.post(path)
    kinds = [event["kind"] for event in attorney.get(f"/leads/{lead['id']}/events").json()["items"]]

    assert (nobody.status_code, first.status_code, second.status_code) == (401, 200, 409)
    assert (first.json()["quarantine"], first.headers["etag"]) == ([], '"2"')
    assert second.json()["type"].endswith("/problems/not-quarantined")
    assert mails(attorney, lead) == ["ada@example.org", "attorney@example.org"]
    assert kinds == ["lead.submitted", "lead.released"]


def test_discard_by_the_api(strict: Service, attorney: httpx.Client) -> None:
    """For good, file and all; what stays is who did it."""
    lead = robot(strict, attorney)
    before = strict.files()
    answer = attorney.post(f"/leads/{lead['id']}/discard")
    last = attorney.get(f"/leads/{lead['id']}/events").json()["items"][-1]

    assert (answer.status_code, answer.content) == (204, b"")
    assert set(before) - set(strict.files()) == {lead["resume_path"]}
    assert attorney.get(f"/leads/{lead['id']}").status_code == 404
    assert (last["kind"], last["data"]) == (
        "lead.discarded",
        {"reference": lead["reference"], "quarantine": "trap"},
    )


def test_a_cursor_is_of_its_list(strict: Service, attorney: httpx.Client) -> None:
    """Pages of the quarantine follow one another, and lead to no other list."""
    leads = [robot(strict, attorney)["id"] for _ in range(3)]
    first = attorney.get("/leads?quarantined=true&limit=2").json()
    cursor = first["next_cursor"]
    second = attorney.get(f"/leads?quarantined=true&limit=1&cursor={cursor}").json()

    assert [lead["id"] for lead in first["items"] + second["items"]] == leads[::-1]
    assert attorney.get(f"/leads?cursor={cursor}").status_code == 400
    assert attorney.get("/leads?quarantined=perhaps").status_code == 422


def test_the_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tab comes with the first one and says how many there are; other lists do not have it."""
    with running(tmp_path_factory.mktemp("new") / "data") as service:
        service.add_user("attorney@example.org")
        attorney, desk = service.sign_in("attorney@example.org"), signed_in(service, "attorney@example.org")
        before = desk.get("/inbox").text
        lead = robot(service, attorney, last_name="Byron")
        waiting, apart = text_of(desk.get("/inbox").text), text_of(desk.get("/inbox?state=quarantine").text)
        found, none = (text_of(desk.get(f"/inbox?state=quarantine&q={word}").text) for word in ("byron", "nobody"))
        attorney.post(f"/leads/{lead['id']}/discard")
        after = text_of(desk.get("/inbox?state=quarantine").text)

    assert "No enquiry has come yet" in before
    assert "Quarantine" not in before
    assert "All answered" in waiting
    assert "Waiting 0 Reached out 0 All Quarantine 1" in waiting
    assert "Ada Byron" not in waiting
    assert "Ada Byron" in apart
    assert lead["reference"] in found
    assert "No lead in quarantine has “ nobody ”" in none
    assert "Nothing is in quarantine" in after


def test_release_on_the_page(strict: Service, attorney: httpx.Client, desk: httpx.Client) -> None:
    """The lead says why it is there and offers nothing but to decide; afterwards it is like any other."""
    lead = robot(strict, attorney)
    path = f"/inbox/leads/{lead['id']}"
    before = text_of(desk.get(f"{path}?state=quarantine").text)
    answers = [desk.post(f"{path}/release?state=quarantine") for _ in range(2)]
    after = text_of(desk.get(path).text)

    assert "In quarantine A robot may have sent this: A field was filled in that people do not see." in before
    assert "The enquiry arrived, and went to quarantine." in before
    assert "then mark the lead" not in before
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [
        (303, f"{path}?state=quarantine&released")
    ] * 2
    assert "The lead is out of quarantine, and its mails go out." in text_of(desk.get(f"{path}?released").text)
    assert "In quarantine" not in after
    assert "Grace Hopper released the lead from quarantine." in after
    assert "Confirmation to the prospect, ada@example.org" in after
    assert len(mails(attorney, lead)) == 2


def test_discard_on_the_page(strict: Service, attorney: httpx.Client, desk: httpx.Client) -> None:
    """It asks first, then the lead is gone, and one is back in the list."""
    lead = robot(strict, attorney)
    path = f"/inbox/leads/{lead['id']}"
    asked = text_of(desk.get(f"{path}/discard?state=quarantine").text)
    still_there = desk.get(path).status_code
    answer = desk.post(f"{path}/discard?state=quarantine")

    assert "Discard Ada Lovelace ?" in asked
    assert still_there == 200
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox?state=quarantine&discarded")
    assert "The enquiry is discarded." in text_of(desk.get(answer.headers["location"]).text)
    assert desk.get(path).status_code == desk.post(f"{path}/discard").status_code == 404


def test_what_somebody_has_released_is_not_discarded(
    strict: Service, attorney: httpx.Client, desk: httpx.Client
) -> None:
    """Who comes second sees the lead, and that it is still there."""
    lead = robot(strict, attorney)
    attorney.post(f"/leads/{lead['id']}/release")
    answer = desk.post(f"/inbox/leads/{lead['id']}/discard")

    assert answer.status_code == 409
    assert "Not discarded. The lead is not in quarantine any more." in text_of(answer.text)
    assert attorney.get(f"/leads/{lead['id']}").status_code == 200


def test_nobody_reaches_out_to_a_robot(strict: Service, attorney: httpx.Client, desk: httpx.Client) -> None:
    """Neither by the API, nor by a page that is not there."""
    lead = robot(strict, attorney)
    answer = attorney.patch(f"/leads/{lead['id']}", json={"state": "REACHED_OUT"})
    by_page = desk.post(f"/inbox/leads/{lead['id']}/reach-out")

    assert (answer.status_code, answer.json()["detail"]) == (409, "The lead is in quarantine. Release it first.")
    assert by_page.status_code == 409
    assert attorney.get(f"/leads/{lead['id']}").json()["state"] == "PENDING"


def test_the_mails_go_out_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """None before a release, and each once after it, by the worker that sends all mail."""
    mailer = RecordingMailer()

    def recording(app: App) -> App:
        return replace(app, dispatch=replace(app.dispatch, mailer=mailer))

    with running(tmp_path_factory.mktemp("mails") / "data", recording) as service:
        service.add_user("attorney@example.org")
        attorney = service.sign_in("attorney@example.org")
        apart, other = robot(service, attorney), found(attorney, filled_in(service))

        def sent(lead: dict[str, Any]) -> int:
            return [letter.reference for letter in mailer.sent].count(lead["reference"])

        while sent(other) < 2:
            """The worker is at it."""
        before = sent(apart)
        for _ in range(3):
            attorney.post(f"/leads/{apart['id']}/release")
        while sent(apart) < 2:
            """The worker is at it."""

    assert before == 0
    assert [sent(lead) for lead in (apart, other)] == [2, 2]
