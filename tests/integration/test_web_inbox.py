"""The list of leads in the inbox."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.service import Service, form, running
from tests.web import hidden, links, signed_in, text_of

COUNT = 120
"""Three pages of the list, the last one not full."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A firm with nothing but the leads of these tests: Lead 0 came first and was reached out to."""
    with running(tmp_path_factory.mktemp("office") / "data", CONFIRMATIONS_PER_ADDRESS="1/day") as service:
        service.add_user("attorney@example.org")
        client = service.client()
        sent = [client.post("/public/leads", **form(last_name=f"Number{number}")).json() for number in range(COUNT)]
        service.sign_in("attorney@example.org").patch(f"/leads/{sent[0]['id']}", json={"state": "REACHED_OUT"})
        yield service


@pytest.fixture(scope="module")
def attorney(office: Service) -> httpx.Client:
    """An attorney of the firm."""
    return signed_in(office, "attorney@example.org")


def numbers(page: str) -> list[int]:
    """Which leads a page shows, in its order."""
    return [int(number) for number in re.findall(r"<bdi>Ada Number(\d+)</bdi></a>", page)]


def opened(client: httpx.Client, path: str) -> httpx.Response:
    """A page that is there at this very address."""
    answer = client.get(path)
    assert answer.status_code == 200, f"{path} leads to {answer.headers.get('location')}"
    return answer


def test_who_waits_longest_is_first(attorney: httpx.Client) -> None:
    """The inbox opens with those who wait, the oldest first, and says how many are in each list."""
    page = opened(attorney, "/inbox").text

    assert numbers(page) == list(range(1, 51))
    assert re.findall(r"(Waiting|Reached out) (\d+)", text_of(page))[:2] == [("Waiting", "119"), ("Reached out", "1")]
    assert "Ada Number1 LD-" in text_of(page)


def test_pages(attorney: httpx.Client) -> None:
    """Next and previous pages skip and repeat nothing, and the way back ends at the address of the first page."""
    first = opened(attorney, "/inbox").text
    second = opened(attorney, links(first, "next")[0]).text
    third = opened(attorney, links(second, "next")[0]).text
    back = opened(attorney, links(third, "prev")[0]).text
    start = attorney.get(links(back, "prev")[0])

    assert [numbers(page) for page in (first, second, third)] == [
        list(range(1, 51)),
        list(range(51, 101)),
        list(range(101, COUNT)),
    ]
    assert links(first, "prev") == links(third, "next") == []
    assert numbers(back) == numbers(second)
    assert (start.status_code, start.headers["location"]) == (303, "/inbox")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/inbox?turned=yes", list(range(COUNT - 1, COUNT - 51, -1))),
        ("/inbox?state=reached-out", [0]),
        ("/inbox?state=all", list(range(COUNT - 1, COUNT - 51, -1))),
        ("/inbox?state=all&turned=yes", list(range(50))),
        ("/inbox?q=number7", [7, *range(70, 80)]),
        ("/inbox?q=ada+NUMBER11", [11, *range(110, 120)]),
        ("/inbox?q=number0", []),
        ("/inbox?state=all&q=number0", [0]),
    ],
)
def test_lists(attorney: httpx.Client, path: str, shown: list[int]) -> None:
    """The address says which leads are shown, and in which order."""
    assert numbers(opened(attorney, path).text) == shown


@pytest.mark.asvs("V1.2.2")
@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/inbox?state=waiting", "/inbox"),
        ("/inbox?state=nonsense&x=y", "/inbox"),
        ("/inbox?q=", "/inbox"),
        ("/inbox?q=++ada++", "/inbox?q=ada"),
        ("/inbox?q=ada&state=all&turned=1", "/inbox?state=all&q=ada&turned=yes"),
        ("/inbox?after=nonsense", "/inbox"),
        ("/inbox?before=nonsense&state=all", "/inbox?state=all"),
        ("/inbox?state=%00", "/inbox"),
    ],
)
def test_canonical(attorney: httpx.Client, path: str, canonical: str) -> None:
    """An address that is spelled in another way, or has what is not known here, leads to the one of the same list."""
    answer = attorney.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, canonical)


def test_cursor_of_another_list(attorney: httpx.Client) -> None:
    """The place in one list is none in another."""
    cursor = parse_qs(urlsplit(links(opened(attorney, "/inbox").text, "next")[0]).query)["after"][0]
    answer = attorney.get("/inbox", params={"state": "all", "after": cursor})

    assert answer.headers["location"] == "/inbox?state=all"


@pytest.mark.parametrize("q", ["%21%21%21", "x" * 201, "a+b+c+d+e+f+g+h+i+j+k", "%F0%9F%98%80"])
def test_no_words(attorney: httpx.Client, q: str) -> None:
    """A search that cannot be made says why, keeps what was typed, and shows no lead."""
    page = opened(attorney, f"/inbox?q={q}").text

    assert 'role="alert"' in page
    assert "Search for at" in text_of(page)
    assert not numbers(page)


def test_mails(attorney: httpx.Client) -> None:
    """The list says whose mails are held back."""
    rows = re.findall(r"Ada Number(\d+)</bdi>.*?class=\"mails\">(.*?)</td>", opened(attorney, "/inbox").text, re.DOTALL)

    assert {text_of(said) for _, said in rows} == {"Held back"}
    assert len(rows) == 50


def test_empty(attorney: httpx.Client, tmp_path: Path) -> None:
    """An empty list says why: nothing has come, nothing matches, nobody waits, nobody was reached out to."""
    nothing = text_of(opened(attorney, "/inbox?q=zebra").text)
    with running(tmp_path / "data", BASE_URL="http://127.0.0.1/intake") as service:
        service.add_user("a@example.org")
        client = signed_in(service, "a@example.org")
        never = opened(client, "/inbox").text
        lead_id = service.client().post("/public/leads", **form()).json()["id"]
        nobody = text_of(opened(client, "/inbox?state=reached-out").text)
        client.post(f"/inbox/leads/{lead_id}/reach-out")
        answered = text_of(opened(client, "/inbox").text)

    assert "Nothing matches" in nothing
    assert "“ zebra ”" in nothing
    assert 'href="/intake/">http://127.0.0.1/intake/' in never
    assert "Nobody yet" in nobody
    assert "All answered" in answered


def test_arrivals(tmp_path: Path) -> None:
    """A page can ask how many leads have come since it was made."""
    with running(tmp_path / "data") as service:
        service.add_user("a@example.org")
        client = signed_in(service, "a@example.org")

        def arrived() -> str:
            since = re.search(r'id="arrivals"[^>]*data-since="([^"]*)"', opened(client, "/inbox").text)
            assert since
            service.client().post("/public/leads", **form()).raise_for_status()
            service.client().post("/public/leads", **form()).raise_for_status()
            return text_of(opened(client, f"/inbox/new?since={since[1]}").text)

        told = [arrived(), arrived()]
        bad = client.get("/inbox/new?since=nonsense").status_code
        signed_out = service.client().get(
            "/inbox/new?since=", headers={"Referer": f"{service.settings.base_url}/inbox"}
        )

    assert told == ["New leads 2 new leads: show"] * 2
    assert bad == 400
    assert signed_out.headers["location"] == "/inbox/sign-in?next=%2Finbox"


@pytest.mark.asvs("V1.1.2")
@pytest.mark.attack(53)
def test_hostile_names(attorney: httpx.Client, office: Service) -> None:
    """Names are text wherever they stand, and a search for one is too."""
    hostile = "<img src=x onerror=alert(1)>'\"{{7*7}}"
    office.client().post("/public/leads", **form(first_name=hostile, last_name="Hostile")).raise_for_status()
    page = opened(attorney, "/inbox?q=hostile").text
    search = attorney.get("/inbox", params={"q": hostile}).text

    assert "<img" not in page + search
    assert f"{hostile} Hostile" in text_of(page)
    assert 'value="&lt;img src=x onerror=alert(1)&gt;&#39;&#34;{{7*7}}"' in search


def test_lead_keeps_the_list(attorney: httpx.Client) -> None:
    """A lead is opened with its list, leads back to it, and has its neighbours there."""
    page = opened(attorney, "/inbox?q=number7").text
    address = re.findall(r'href="(/inbox/leads/[^"]+)"', page)[1]
    lead = opened(attorney, address).text

    assert address.endswith("?q=number7")
    assert 'id="back" href="/inbox?q=number7"' in lead
    assert "Ada Number7 " in text_of(opened(attorney, links(lead, "prev")[0]).text)
    assert "Ada Number71 " in text_of(opened(attorney, links(lead, "next")[0]).text)
    assert hidden(lead, "next") == address
