"""Signing in and out with a browser, and what another site cannot do in somebody's name."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from litestar.routes import HTTPRoute
from tests.service import PASSWORD, Service, form, running
from tests.web import hidden, signed_in, text_of, visitor

from leadintake.domain.people import Role
from leadintake.entrypoints.web import routes

NO_ID = "00000000-0000-4000-8000-000000000000"
NOT_OURS: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[evil"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8000"},
]


def unsafe() -> list[str]:
    """The addresses of all pages that take something, so that no new one is forgotten."""
    all_routes = [route for router in routes.ROUTERS for route in router.routes if isinstance(route, HTTPRoute)]
    return sorted(re.sub(r"\{\w+:str\}", NO_ID, route.path) for route in all_routes if "POST" in route.methods)


def cookie_of(client: httpx.Client) -> str:
    """The session of a browser."""
    return client.cookies["leadintake"]


@pytest.mark.asvs("V8.2.1")
def test_everything_asks_to_sign_in(service: Service) -> None:
    """Who is not signed in is led to the sign-in from every page, and from there back to it."""
    client = visitor(service)

    for path in ("/inbox", "/inbox?state=all&q=ada", f"/inbox/leads/{NO_ID}"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/sign-in?next={quote(path, safe='')}")
        assert hidden(client.get(answer.headers["location"]).text, "next") == path


def test_signing_in_for_a_download(service: Service) -> None:
    """It leads to the page of the lead: to the file itself, the sign-in would stay on the screen."""
    answer = visitor(service).get(f"/inbox/leads/{NO_ID}/resume")

    assert answer.headers["location"] == f"/inbox/sign-in?next={quote(f'/inbox/leads/{NO_ID}', safe='')}"


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        (f"/inbox/leads/{NO_ID}/notes", f"/inbox/leads/{NO_ID}"),
        (f"/inbox/leads/{NO_ID}/reach-out?state=all", f"/inbox/leads/{NO_ID}"),
        (f"/inbox/users/{NO_ID}/deactivate", f"/inbox/users/{NO_ID}"),
        ("/inbox/account/password", "/inbox/account"),
        (f"/inbox/account/sessions/{NO_ID}/end", "/inbox/account"),
        (f"/inbox/deliveries/{NO_ID}/resend", "/inbox"),
        ("/inbox/sign-out", "/inbox"),
        ("/inbox/leads/x%0d%0aX:y/notes", "/inbox"),
    ],
)
def test_addresses_of_forms(service: Service, path: str, leads_to: str) -> None:
    """Who opens the address that a form was sent to is led to the page that has the form."""
    client = visitor(service)

    assert (client.get(path).status_code, client.get(path).headers["location"]) == (303, leads_to)
    assert client.put(path).status_code == 405


def test_what_comes_too_late_is_not_done(service: Service) -> None:
    """Who sends a form when the session is over is told so, and led back to where it was, with nothing it had said."""
    client = visitor(service)
    pages = {"/inbox/account?changed": "/inbox/account", f"/inbox/leads/{NO_ID}?q=%C3%89va+L": None, "/leads": "/inbox"}
    pages |= {f"/inbox/leads/{NO_ID}?state=all&saved": f"/inbox/leads/{NO_ID}?state=all", "//[": "/inbox"}
    for page, wanted in pages.items():
        answer = client.post("/inbox/account/password", headers={"Referer": service.url + page})

        assert answer.status_code == 401
        assert "Your session had ended, so what you did last was not done." in text_of(answer.text)
        assert hidden(answer.text, "next") == (wanted or page)
    assert "was not done" not in client.get("/inbox/sign-in").text


@pytest.mark.asvs("V3.7.2")
@pytest.mark.attack(126)
@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "https:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/inbox/..//evil.example",
        "/inbox?\r\nX: y",
        "%2f%2fevil.example",
        "javascript:alert(1)",
        "/inboxx",
        "/leads",
        "",
    ],
)
def test_sign_in_leads_nowhere_else(service: Service, wanted: str) -> None:
    """After signing in, one is in the inbox, whatever address a link has planted."""
    client = visitor(service)
    page = client.get("/inbox/sign-in", params={"next": wanted}).text
    form = {"email": "attorney@example.org", "password": PASSWORD, "next": wanted}
    answer = client.post("/inbox/sign-in", data=form)

    assert hidden(page, "next") == "/inbox"
    assert answer.headers["location"] == "/inbox"


@pytest.mark.asvs("V3.3.1-3", "V3.3.4")
def test_cookie(service: Service, tmp_path: Path) -> None:
    """No script can read the cookie and no other site send it; over HTTPS, no other host can set it."""
    answer = visitor(service).post("/inbox/sign-in", data={"email": "attorney@example.org", "password": PASSWORD})
    with running(tmp_path / "data", BASE_URL="https://firm.example") as secure:
        secure.add_user("a@example.org")
        client = visitor(secure)
        given = client.post("/inbox/sign-in", data={"email": "a@example.org", "password": PASSWORD}).headers[
            "set-cookie"
        ]

    assert re.fullmatch(r"leadintake=[\w.-]+; HttpOnly; Path=/; SameSite=lax", answer.headers["set-cookie"])
    assert re.fullmatch(r"__Host-leadintake=[\w.-]+; HttpOnly; Path=/; SameSite=lax; Secure", given)


def test_wrong_password(service: Service) -> None:
    """Whatever was wrong, the page says the same, keeps the address that was typed, and opens no session."""
    client = visitor(service)
    answers = [
        client.post("/inbox/sign-in", data={"email": email, "password": password, "next": "/inbox?state=all"})
        for email, password in [("attorney@example.org", "wrong"), ("no@example.org", PASSWORD), ("", "")]
    ]

    for answer in answers:
        assert answer.status_code == 400
        assert "The email address or the password is wrong." in text_of(answer.text)
        assert hidden(answer.text, "next") == "/inbox?state=all"
        assert "set-cookie" not in answer.headers
    assert 'value="attorney@example.org"' in answers[0].text


@pytest.mark.asvs("V6.3.1", "V6.3.4")
def test_too_many_tries(tmp_path: Path) -> None:
    """Who has tried too often is told so on the page, and when to come again."""
    with running(tmp_path / "data", RATE_LIMIT_LOGIN="1/hour") as service:
        client = visitor(service)
        answers = [client.post("/inbox/sign-in", data={"email": "a@b.example", "password": "wrong"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [400, 429]
    assert "Too many requests" in text_of(answers[1].text)
    assert int(answers[1].headers["retry-after"]) > 0


@pytest.fixture(scope="module")
def admin(service: Service) -> httpx.Client:
    """An admin whose browser does not say where it comes from."""
    client = signed_in(service, "admin@example.org")
    del client.headers["Sec-Fetch-Site"]
    return client


@pytest.mark.asvs("V3.5.1")
@pytest.mark.attack(125, 155)
@pytest.mark.parametrize("path", unsafe())
@pytest.mark.parametrize("headers", NOT_OURS, ids=str)
def test_other_sites(admin: httpx.Client, path: str, headers: dict[str, str]) -> None:
    """What does not come from a page of ours is refused before anything of it is done."""
    answer = admin.post(path, headers=headers, data={"next": "/inbox"})

    assert answer.status_code == 403
    assert "This was sent from another site." in text_of(answer.text)


@pytest.mark.asvs("V3.5.8")
def test_other_sites_open_no_resume(service: Service, admin: httpx.Client) -> None:
    """Another site cannot have a resume opened in somebody's name, which the record would keep for ever."""
    lead_id = service.client().post("/public/leads", **form()).json()["id"]
    path = f"/inbox/leads/{lead_id}/resume"

    assert admin.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert admin.get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert admin.get(path).status_code == 200  # a browser from before 2023


@pytest.mark.asvs("V3.5.1")
@pytest.mark.attack(155)
def test_origin(service: Service) -> None:
    """Over plain HTTP browsers leave out Sec-Fetch-Site, and the Origin says that a form is ours."""
    client = signed_in(service, "attorney@example.org")
    del client.headers["Sec-Fetch-Site"]
    answer = client.post("/inbox/sign-out", headers={"Origin": service.url})

    assert answer.status_code == 303


@pytest.mark.asvs("V7.4.1", "V7.4.4")
def test_sign_out(service: Service) -> None:
    """The session is over at once, also for who has kept the cookie; every page offers it."""
    client = signed_in(service, "attorney@example.org")
    cookie = cookie_of(client)
    page = client.get("/inbox")
    answer = client.post("/inbox/sign-out")
    thief = visitor(service)
    thief.cookies["leadintake"] = cookie

    assert 'action="/inbox/sign-out"' in page.text
    assert page.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == "/inbox/sign-in?signed-out"
    assert "leadintake" not in client.cookies
    assert thief.get("/inbox").status_code == 303
    assert client.post("/inbox/sign-out").status_code == 303


@pytest.mark.asvs("V7.2.4")
@pytest.mark.attack(125)
def test_new_session(service: Service) -> None:
    """Signing in opens a session of its own and ends the one before, so that no planted cookie lives on."""
    client = signed_in(service, "attorney@example.org")
    before = cookie_of(client)
    client.post("/inbox/sign-in", data={"email": "admin@example.org", "password": PASSWORD})
    old = visitor(service)
    old.cookies["leadintake"] = before

    assert cookie_of(client) != before
    assert client.get("/inbox").status_code == 200
    assert old.get("/inbox").status_code == 303


@pytest.mark.attack(125)
def test_two_cookies(service: Service) -> None:
    """Of two cookies of the name one was planted, and neither counts."""
    client = signed_in(service, "attorney@example.org")
    cookie = cookie_of(client)
    headers = {"Cookie": f"leadintake={cookie}; leadintake={cookie}"}

    assert visitor(service).get("/inbox", headers=headers).status_code == 303


@pytest.mark.asvs("V3.3.4", "V3.5.2")
@pytest.mark.attack(112)
def test_cookie_is_no_token(service: Service) -> None:
    """The API ignores cookies, and takes the value of one neither as an access token nor as a refresh token."""
    client = signed_in(service, "admin@example.org")
    cookie = cookie_of(client)
    refresh = {"grant_type": "refresh_token", "refresh_token": cookie}

    assert client.get("/leads").status_code == 401
    assert client.get("/leads", headers={"Authorization": f"Bearer {cookie}"}).status_code == 401
    assert client.post("/auth/token", data=refresh).json()["error"] == "invalid_grant"
    assert client.get("/inbox").status_code == 200


def test_signed_in_already(service: Service) -> None:
    """Who is signed in does not see the sign-in again."""
    answer = signed_in(service, "attorney@example.org").get("/inbox/sign-in?next=/inbox?state=all")

    assert answer.headers["location"] == "/inbox?state=all"


@pytest.mark.asvs("V7.4.2")
def test_deactivated(service: Service) -> None:
    """Who is no longer active is out with the next request."""
    service.add_user("leaver@example.org", Role.ATTORNEY)
    client = signed_in(service, "leaver@example.org")
    with service.sign_in("admin@example.org") as admin:
        leaver = next(user for user in admin.get("/users").json()["items"] if user["email"] == "leaver@example.org")
        admin.patch(f"/users/{leaver['id']}", json={"is_active": False})

    assert client.get("/inbox").status_code == 303


@pytest.mark.asvs("V1.2.3", "V3.2.2", "V3.4.3", "V3.4.5")
def test_policy(service: Service) -> None:
    """Every page, whatever its status, runs our scripts alone and sends its forms to us alone."""
    lead_id = service.client().post("/public/leads", **form()).json()["id"]
    client = signed_in(service, "admin@example.org")
    answers = [
        client.get(path) for path in ("/inbox", f"/inbox/leads/{lead_id}", f"/inbox/leads/{NO_ID}", "/inbox/new")
    ]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        ):
            assert rule in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.asvs("V4.1.1")
def test_errors_are_pages(service: Service) -> None:
    """A person is told on a page what went wrong, and a program in JSON."""
    client, browser = signed_in(service, "attorney@example.org"), {"Accept": "text/html,*/*;q=0.8"}
    missing = client.get(f"/inbox/leads/{NO_ID}")
    nowhere = client.get("/inbox/nowhere", headers=browser)

    assert missing.status_code == 404
    assert "There is nothing with this id." in text_of(missing.text)
    assert missing.headers["x-request-id"] in text_of(missing.text)
    assert (nowhere.status_code, nowhere.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert client.get("/nowhere", headers=browser).headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get(f"/leads/{NO_ID}", headers=browser).headers["content-type"] == "application/problem+json"


def test_assets(service: Service) -> None:
    """Scripts and styles may be kept for ever, unless another version was asked for, and nothing else is there."""
    client = visitor(service)
    style = re.search(r'href="(/assets/(\w+)/site\.css)"', client.get("/inbox/sign-in").text)
    assert style
    found, older = client.get(style[1]), client.get(style[1].replace(style[2], "older"))

    assert found.headers["content-type"].startswith("text/css")
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (older.content, older.headers["cache-control"]) == (found.content, "no-store")
    assert client.get("/assets/older/page.js").headers["content-type"].startswith(("text/javascript", "application/"))
    assert client.get("/assets/older/pages.py").status_code == 404
    assert client.get("/assets/older/..%2fpages.py").status_code == 404
