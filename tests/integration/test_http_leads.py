import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx
import pytest
from tests.documents import pdf
from tests.service import Service, form, running
from tests.supplies import linking, supplied

from leadintake.application.app import App
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.errors import DeliveryFailed
from leadintake.domain.people import Role

MakeLead = Callable[..., str]
NIL = str(UUID(int=0))


@pytest.fixture
def make(anyone: httpx.Client) -> MakeLead:
    """Makes a lead and returns its id."""

    def made(**fields: object) -> str:
        answer = anyone.post("/public/leads", **form(**fields))
        return str(answer.raise_for_status().json()["id"])

    return made


@pytest.fixture
def word() -> str:
    """A word that no other test's leads have."""
    return "w" + uuid4().hex[:12]


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and the last part of the type of a problem."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


class TestList:
    """GET /leads."""

    @pytest.mark.attack(134)
    def test_pages(self, attorney: httpx.Client, make: MakeLead, word: str) -> None:
        """Following the cursor shows each lead once, in order, although more arrive meanwhile."""
        ids = [make(last_name=word) for _ in range(7)]
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = attorney.get("/leads", params={"q": word, "limit": 3, "sort": "-created_at", **cursor}).json()
            seen += [lead["id"] for lead in page["items"]]
            make(last_name=word)
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert seen == ids[::-1]
        oldest_first = attorney.get("/leads", params={"q": word, "limit": 7, "sort": "created_at"}).json()
        assert [lead["id"] for lead in oldest_first["items"]] == ids

    def test_filters(self, attorney: httpx.Client, make: MakeLead, word: str) -> None:
        """State, words and time each narrow the list."""
        first, second = make(first_name="Zoë", last_name=word), make(last_name=word)
        attorney.patch(f"/leads/{second}", json={"state": "REACHED_OUT"})
        at = datetime.fromisoformat(attorney.get(f"/leads/{second}").json()["created_at"])

        def found(**params: str) -> list[str]:
            answer = attorney.get("/leads", params={"q": word, **params}).raise_for_status()
            return [lead["id"] for lead in answer.json()["items"]]

        assert found(state="PENDING") == [first]
        assert found(state="REACHED_OUT") == [second]
        assert found(q=f"ZOE {word[:5]}") == [first]
        assert found(q=attorney.get(f"/leads/{first}").json()["reference"]) == [first]
        assert found(created_from=at.isoformat()) == [second]
        assert found(created_to=at.isoformat()) == [first]
        assert found(created_from=(at.date() + timedelta(1)).isoformat()) == []
        assert found(created_to=at.date().isoformat()) == []
        assert found(created_from=at.astimezone().isoformat(), created_to=(at + timedelta(seconds=1)).isoformat()) == [
            second
        ]

    @pytest.mark.asvs("V1.4.2", "V15.3.5-7")
    @pytest.mark.attack(130, 132, 133)
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=101", "limit"),
            ("limit=100000000000000000000", "limit"),
            ("limit=1e1", "limit"),
            ("limit=1.0", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=05", "limit"),
            ("limit=%EF%BC%91%EF%BC%90", "limit"),
            ("limit=abc", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limti=5", "limti"),
            ("state=pending", "state"),
            ("state=", "state"),
            ("sort=email", "sort"),
            ("q=", "q"),
            ("q=%25%20_%20%5C", "q"),
            ("q=a%00b", "q"),
            ("q=" + "a" * 10_000, "q"),
            ("q=" + "+".join(f"a{i}" for i in range(11)), "q"),
            ("created_from=yesterday", "created_from"),
            ("created_from=2026-01-31T09:00:00", "created_from"),
            ("created_from=2026-02-30", "created_from"),
            ("created_to=1700000000", "created_to"),
            ("created_to=0001-01-01T00:00:00%2B23:59", "created_to"),
        ],
    )
    def test_bad_queries(self, attorney: httpx.Client, query: str, field: str) -> None:
        """What is not understood is refused, and named."""
        answer = attorney.get(f"/leads?{query}")

        assert kind_of(answer) == (422, "invalid-fields")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert all(error["message"] for error in answer.json()["errors"])

    @pytest.mark.parametrize("query", ["q=%FF", "q=%ED%A0%80", "&".join(f"a{i}=" for i in range(99))])
    def test_unreadable_queries(self, attorney: httpx.Client, query: str) -> None:
        """A query that is no UTF-8, or far too much of one, is a 400."""
        assert attorney.get(f"/leads?{query}").status_code == 400

    @pytest.mark.attack(131)
    def test_cursors_are_bound(self, attorney: httpx.Client, admin: httpx.Client, make: MakeLead, word: str) -> None:
        """A cursor works for its user and its filters only, unchanged."""
        make(last_name=word)
        make(last_name=word)
        cursor = attorney.get("/leads", params={"q": word, "limit": 1}).json()["next_cursor"]

        assert attorney.get("/leads", params={"q": word, "limit": 5, "cursor": cursor}).status_code == 200
        for client, params in [
            (admin, {"q": word, "cursor": cursor}),
            (attorney, {"cursor": cursor}),
            (attorney, {"q": word, "state": "PENDING", "cursor": cursor}),
            (attorney, {"q": word, "sort": "created_at", "cursor": cursor}),
            (attorney, {"q": word, "cursor": cursor[:-1]}),
            (attorney, {"q": word, "cursor": ""}),
            (attorney, {"q": word, "cursor": "x" * 10_000}),
        ]:
            assert kind_of(client.get("/leads", params=params)) == (400, "malformed")


class TestChange:
    """PATCH /leads/{id}."""

    @pytest.mark.asvs("V2.3.1")
    @pytest.mark.attack(137)
    def test_reaching_out_happens_once(self, attorney: httpx.Client, admin: httpx.Client, make: MakeLead) -> None:
        """Whoever comes second is told who was first, and when; nothing of the second change happens."""
        lead_id = make()
        first = attorney.patch(f"/leads/{lead_id}", json={"state": "REACHED_OUT", "notes": "Called her."})
        second = admin.patch(f"/leads/{lead_id}", json={"state": "REACHED_OUT", "notes": "Me too."})
        back = attorney.patch(f"/leads/{lead_id}", json={"state": "PENDING"})

        assert (first.status_code, first.json()["state"], first.json()["notes"]) == (200, "REACHED_OUT", "Called her.")
        assert first.json()["reached_out_by"]["full_name"] == "Atticus Finch"
        for refused in (second, back):
            assert kind_of(refused) == (409, "illegal-transition")
            assert (refused.json()["by"], refused.json()["at"]) == ("Atticus Finch", first.json()["reached_out_at"])
        assert attorney.get(f"/leads/{lead_id}").json() == first.json()
        kinds = [event["kind"] for event in attorney.get(f"/leads/{lead_id}/events").json()["items"]]
        assert kinds == ["lead.submitted", "lead.reached_out", "lead.notes_changed"]

    @pytest.mark.attack(137, 141)
    def test_fifty_at_once(self, attorney: httpx.Client, make: MakeLead) -> None:
        """However many try, one succeeds."""
        lead_id = make()

        def attempt(_: int) -> int:
            return attorney.patch(f"/leads/{lead_id}", json={"state": "REACHED_OUT"}).status_code

        with ThreadPoolExecutor(10) as pool:
            statuses = list(pool.map(attempt, range(50)))

        assert sorted(set(statuses)) == [200, 409]
        assert statuses.count(200) == 1

    @pytest.mark.attack(140)
    def test_etags(self, attorney: httpx.Client, make: MakeLead) -> None:
        """A change for an older version is refused; without If-Match the last one wins."""
        path = f"/leads/{make()}"
        etag = attorney.get(path).headers["etag"]

        def change(notes: str, if_match: str | None) -> httpx.Response:
            return attorney.patch(path, json={"notes": notes}, headers={"If-Match": if_match} if if_match else {})

        changed = change("one", etag)
        assert (changed.status_code, etag, changed.headers["etag"]) == (200, '"1"', '"2"')
        for stale in (etag, f"W/{changed.headers['etag']}", '"other"', '""', '"02"', f'{etag}, "x"'):
            assert kind_of(change("two", stale)) == (412, "stale")
        for bad in ("2", '"2', "*, *", '"2",', "nonsense"):
            assert change("two", bad).status_code == 400
        assert attorney.get(path).json()["notes"] == "one"
        assert change("two", '"7" ,\t"2"').status_code == 200
        assert change("three", "*").status_code == 200
        assert change("four", None).status_code == 200
        twice = [("If-Match", '"7"'), ("If-Match", '"5"')]
        assert attorney.patch(path, json={"notes": "five"}, headers=twice).status_code == 200

    @pytest.mark.asvs("V1.5.2", "V8.2.3", "V15.3.3")
    @pytest.mark.attack(139, 143)
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ("{}", ["body"]),
            ("[]", ["body"]),
            ("null", ["body"]),
            ('"REACHED_OUT"', ["body"]),
            ('{"state": "reached_out"}', ["state"]),
            ('{"state": "DELETED"}', ["state"]),
            ('{"state": null}', ["state"]),
            ('{"state": 1}', ["state"]),
            ('{"state": []}', ["state"]),
            ('{"notes": null}', ["notes"]),
            ('{"notes": 7}', ["notes"]),
            ('{"notes": "a\\u0000"}', ["notes"]),
            ('{"notes": "\\ud800"}', ["notes"]),
            ('{"notes": "' + "x" * 10_001 + '"}', ["notes"]),
            ('{"notes": "x", "id": "1", "\\ud800": 1}', ["id", "\\ud800"]),
            ('{"state": 1, "notes": 1, "other": 1}', ["other", "state", "notes"]),
        ],
    )
    def test_wrong_fields(self, attorney: httpx.Client, make: MakeLead, body: str, fields: list[str]) -> None:
        """Each field that is wrong is named, and nothing is changed."""
        path = f"/leads/{make()}"
        answer = attorney.patch(path, content=body, headers={"Content-Type": "application/json"})

        assert kind_of(answer) == (422, "invalid-fields")
        assert [error["field"] for error in answer.json()["errors"]] == fields
        assert attorney.get(path).json()["version"] == 1

    @pytest.mark.asvs("V1.5.3", "V15.3.5-7")
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff",
            b'\xef\xbb\xbf{"notes": ""}',
            b'{"notes": NaN}',
            b'{"notes": "a", "notes": "b"}',
            b"[" * 100_000,
            b"1" * 5000,
        ],
    )
    def test_broken_json(self, attorney: httpx.Client, make: MakeLead, body: bytes) -> None:
        """What is not JSON, or says a thing twice, is a 400."""
        answer = attorney.patch(f"/leads/{make()}", content=body, headers={"Content-Type": "application/json"})

        assert kind_of(answer) == (400, "malformed")

    @pytest.mark.asvs("V3.5.2")
    @pytest.mark.attack(143)
    @pytest.mark.parametrize(
        "content_type", ["", "text/plain", "application/json-patch+json", "application/x-www-form-urlencoded"]
    )
    def test_other_types(self, attorney: httpx.Client, make: MakeLead, content_type: str) -> None:
        """Only JSON is read, so that no form on another site can write."""
        answer = attorney.patch(f"/leads/{make()}", content=b'{"notes": "x"}', headers={"Content-Type": content_type})

        assert answer.status_code == 415

    def test_the_longest_notes(self, attorney: httpx.Client, make: MakeLead) -> None:
        """Ten thousand characters fit, however they are escaped; a body that cannot fit is 413."""
        path = f"/leads/{make()}"

        def change(notes: str) -> httpx.Response:
            return attorney.patch(
                path, content=f'{{"notes": "{notes}"}}', headers={"Content-Type": "application/json; charset=utf-8"}
            )

        assert change("\\ud83d\\ude00" * 10_000).status_code == 200
        assert change("x" * 300_000).status_code == 413

    @pytest.mark.attack(138)
    def test_what_is_wrong_is_told_before_what_is_late(self, attorney: httpx.Client, make: MakeLead) -> None:
        """A change that can never happen is a 422, also where one that could happen would be refused."""
        path, notes = f"/leads/{make()}", "x" * 10_001

        for change, headers in (({"state": "PENDING"}, {}), ({}, {"If-Match": '"7"'})):
            answer = attorney.patch(path, json={"notes": notes, **change}, headers=headers)
            assert kind_of(answer) == (422, "invalid-fields")


class TestIds:
    """Ids that are none, and ids that are not there."""

    @pytest.mark.asvs("V8.2.2")
    @pytest.mark.attack(128, 129)
    @pytest.mark.parametrize(
        "lead_id",
        [
            "8f14e45f-ceea-467f-9575-1d7f1f1f1f1f",
            NIL,
            "1",
            "x",
            "{" + NIL + "}",
            NIL.replace("-", ""),
            f"urn:uuid:{NIL}",
            "%20" * 36,
            "..%2f",
            NIL[:-1] + "%00",
            "\uff10" * 32,
        ],
    )
    def test_same_404(self, attorney: httpx.Client, admin: httpx.Client, lead_id: str) -> None:
        """Unknown and impossible ids cannot be told apart."""
        answers = [
            attorney.get(f"/leads/{lead_id}"),
            attorney.patch(f"/leads/{lead_id}", json={"notes": ""}),
            attorney.get(f"/leads/{lead_id}/resume"),
            attorney.get(f"/leads/{lead_id}/events"),
            attorney.get(f"/leads/{lead_id}/deliveries"),
            attorney.post(f"/deliveries/{lead_id}/retry"),
            admin.delete(f"/leads/{lead_id}"),
            admin.patch(f"/users/{lead_id}", json={"role": "admin"}),
            admin.delete(f"/me/sessions/{lead_id}"),
        ]

        assert {kind_of(answer) for answer in answers} == {(404, "not-found")}

    def test_case_does_not_matter(self, attorney: httpx.Client, make: MakeLead) -> None:
        """RFC 9562: read as either, written in lower case."""
        lead_id = make()

        assert attorney.get(f"/leads/{lead_id.upper()}").json()["id"] == lead_id


class TestResume:
    """GET /leads/{id}/resume."""

    @pytest.mark.asvs("V1.2.1", "V5.4.1", "V5.4.2")
    @pytest.mark.attack(73, 79)
    @pytest.mark.parametrize(
        ("name", "fallback"),
        [
            ("cv.pdf", "cv.pdf"),
            ("Zoë's “CV”.pdf", "Zo__s__CV_.pdf"),
            ('a";x=".pdf', "a__x__.pdf"),
            ("=?utf-8?q?a?=.pdf", "__utf-8_q_a__.pdf"),
            ("履歴書.pdf", "___.pdf"),
            ("-rf.pdf", "-rf.pdf"),
            ("<img src=x onerror=alert(1)>.pdf", "_img_src_x_onerror_alert_1__.pdf"),
            ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ],
    )
    def test_file_names(self, attorney: httpx.Client, make: MakeLead, name: str, fallback: str) -> None:
        """Whatever the name, the header is one header, and the name in it is the one that is shown."""
        lead_id = make(resume=(name, pdf()))
        answer = attorney.get(f"/leads/{lead_id}/resume")
        match = re.fullmatch(
            r"attachment; filename=\"([!-~]*)\"; filename\*=UTF-8''([!-~]+)", answer.headers["content-disposition"]
        )

        assert match
        assert match[1] == fallback
        assert unquote(match[2]) == attorney.get(f"/leads/{lead_id}").json()["resume_name"]

    @pytest.mark.asvs("V3.2.1", "V14.2.2")
    def test_headers(self, attorney: httpx.Client, make: MakeLead) -> None:
        """It is downloaded, never rendered, embedded or kept."""
        content = pdf(100_000)
        answer = attorney.get(f"/leads/{make(resume=('cv.pdf', content))}/resume")

        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-length"] == "100000"
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"

    def test_opening_is_recorded(self, attorney: httpx.Client, make: MakeLead) -> None:
        """The timeline says who opened the resume."""
        lead_id = make()
        attorney.get(f"/leads/{lead_id}/resume")
        events = attorney.get(f"/leads/{lead_id}/events").json()["items"]

        assert [(event["kind"], event["actor"]["full_name"]) for event in events] == [
            ("lead.submitted", None),
            ("resume.opened", "Atticus Finch"),
        ]

    def test_a_damaged_file_is_not_handed_out(self, service: Service, attorney: httpx.Client, make: MakeLead) -> None:
        """Bytes that are not those that were uploaded are a 503, and so is a file that is gone."""
        lead_id = make()
        path = attorney.get(f"/leads/{lead_id}").json()["resume_path"]
        file = next((service.settings.data_dir / "uploads").rglob(path))
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        damaged = attorney.get(f"/leads/{lead_id}/resume")
        file.unlink()
        gone = attorney.get(f"/leads/{lead_id}/resume")

        assert kind_of(damaged) == kind_of(gone) == (503, "file-unavailable")
        assert damaged.headers["retry-after"]

    @pytest.mark.attack(136)
    @pytest.mark.parametrize(
        "asked", ["bytes=0-0", "bytes=" + ",".join(f"{i}-{i}" for i in range(2500)), "bytes=-1", "lines=1"]
    )
    def test_ranges_are_not_served(self, attorney: httpx.Client, make: MakeLead, asked: str) -> None:
        """RFC 9110 section 14.2 allows to send the whole file."""
        answer = attorney.get(f"/leads/{make()}/resume", headers={"Range": asked})

        assert (answer.status_code, answer.content) == (200, pdf())

    def test_redirect(self, tmp_path: Path) -> None:
        """Where the settings say so, the file comes from its store, at an address that nobody is to keep."""
        settings = {"FILES": "s3://bucket", "FILES_REDIRECT": "on"}
        with supplied(tmp_path, linking, **settings) as supplies:
            path = f"/leads/{supplies.lead_id()}"
            answer = supplies.admin.get(f"{path}/resume")
            events = supplies.admin.get(f"{path}/events").json()["items"]
            stored = supplies.admin.get(path).json()["resume_path"]

            assert (answer.status_code, answer.content) == (302, b"")
            assert answer.headers["location"] == f"https://store.example/bucket/{stored}"
            assert answer.headers["cache-control"] == "no-store"
            assert [event["kind"] for event in events] == ["lead.submitted", "resume.opened"]

    def test_no_redirect_unasked(self, tmp_path: Path) -> None:
        """Else whoever comes by an address could have the file, and who cannot reach the store could not."""
        with supplied(tmp_path, linking, FILES="s3://bucket") as supplies:
            answer = supplies.admin.get(f"/leads/{supplies.lead_id()}/resume")

            assert (answer.status_code, answer.content) == (200, pdf())


@pytest.mark.attack(142)
def test_erase(service: Service, attorney: httpx.Client, admin: httpx.Client, make: MakeLead, word: str) -> None:
    """Only admins erase; afterwards nothing is left but a timeline without content."""
    lead_id = make(last_name=word)
    path = attorney.get(f"/leads/{lead_id}").json()["resume_path"]

    assert kind_of(attorney.delete(f"/leads/{lead_id}")) == (403, "not-allowed")
    answer = admin.delete(f"/leads/{lead_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert path not in service.files()
    assert attorney.get(f"/leads/{lead_id}").status_code == 404
    assert attorney.get(f"/leads/{lead_id}/resume").status_code == 404
    assert attorney.get("/leads", params={"q": word}).json()["items"] == []
    assert admin.delete(f"/leads/{lead_id}").status_code == 404
    events = attorney.get(f"/leads/{lead_id}/events")
    assert [event["kind"] for event in events.json()["items"]] == ["lead.submitted", "lead.erased"]
    assert word not in events.text


def test_a_long_timeline(attorney: httpx.Client, make: MakeLead) -> None:
    """It comes in parts of at most a hundred; following next_cursor skips and repeats none."""
    lead_id = make()
    for number in range(4):
        attorney.patch(f"/leads/{lead_id}", json={"notes": f"Call {number}."}).raise_for_status()
    whole = attorney.get(f"/leads/{lead_id}/events").json()
    parts: list[list[object]] = []
    cursor: dict[str, str] = {}
    while len(parts) < 10:
        part = attorney.get(f"/leads/{lead_id}/events", params={"limit": 2, **cursor}).raise_for_status().json()
        parts.append(part["items"])
        if part["next_cursor"] is None:
            break
        cursor = {"cursor": part["next_cursor"]}

    assert whole["next_cursor"] is None
    assert attorney.get(f"/leads/{lead_id}/events", params={"limit": 5}).json() == whole
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [event for part in parts for event in part] == whole["items"]


@pytest.mark.parametrize("cursor", ["0", "x", "-1", "1" * 19, "1 ", "\uff11"])
def test_a_cursor_that_no_timeline_gave(attorney: httpx.Client, make: MakeLead, cursor: str) -> None:
    """It is refused, as that of a list is; and where no lead is, there is no timeline behind any event."""
    refused = attorney.get(f"/leads/{make()}/events", params={"cursor": cursor})

    assert kind_of(refused) == (400, "malformed")
    assert kind_of(attorney.get(f"/leads/{NIL}/events", params={"cursor": "1"})) == (404, "not-found")


class Refusing:
    """A mailer through which nothing goes out."""

    at_once = 1

    async def send(self, letter: Letter) -> str:
        """Fail for good."""
        raise DeliveryFailed(f"550 no such user as {letter.recipient}", permanent=True)


def test_deliveries(tmp_path: Path) -> None:
    """Who was to be told, how far it got, and again on demand; a held confirmation waits for that."""

    def broken(app: App) -> App:
        return replace(app, dispatch=replace(app.dispatch, mailer=Refusing()))

    with running(tmp_path / "data", broken, CONFIRMATIONS_PER_ADDRESS="1/day") as service:
        service.add_user("grace@example.org", Role.ATTORNEY)
        client = service.sign_in("grace@example.org")
        ids = [service.client().post("/public/leads", **form()).json()["id"] for _ in range(2)]

        def deliveries(lead_id: str) -> list[dict[str, object]]:
            items: list[dict[str, object]] = client.get(f"/leads/{lead_id}/deliveries").json()["items"]
            return items

        while any(delivery["status"] in {"pending", "sending"} for lead_id in ids for delivery in deliveries(lead_id)):
            pass
        first, second = (deliveries(lead_id) for lead_id in ids)

        assert [(d["purpose"], d["recipient"], d["status"]) for d in first] == [
            ("confirmation", "ada@example.org", "failed"),
            ("notification", "grace@example.org", "failed"),
        ]
        assert (first[0]["attempts"], first[0]["last_error"]) == (1, "550 no such user as ada@example.org")
        assert second[0]["status"] == "held"
        again = client.post(f"/deliveries/{second[0]['id']}/retry")
        assert (again.status_code, again.json()["status"]) == (200, "pending")
        kinds = [event["kind"] for event in client.get(f"/leads/{ids[1]}/events").json()["items"]]
        assert "delivery.retried" in kinds


def test_what_is_sent_is_not_sent_again(attorney: httpx.Client, make: MakeLead) -> None:
    """Only failed and held deliveries can be retried."""
    lead_id = make()
    deliveries = attorney.get(f"/leads/{lead_id}/deliveries").json()["items"]

    assert kind_of(attorney.post(f"/deliveries/{deliveries[0]['id']}/retry")) == (409, "not-retryable")
