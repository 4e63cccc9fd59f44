import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.service import PASSWORD, Service, logged, running

from leadintake.adapters.security.passwords import Argon2Passwords
from leadintake.domain.people import Role

ID = "8f14e45f-ceea-467f-9575-1d7f1f1f1f1f"
"""An id that nothing has."""


@pytest.fixture
def email(service: Service) -> str:
    """The address of a user that only one test knows."""
    address = f"{uuid4().hex}@example.org"
    service.add_user(address)
    return address


def token(anyone: httpx.Client, **data: str) -> httpx.Response:
    """Ask for a token."""
    return anyone.post("/auth/token", data=data)


def bearer(access_token: str, scheme: str = "Bearer") -> dict[str, str]:
    """The header that signs in."""
    return {"Authorization": f"{scheme} {access_token}"}


def test_password_grant(anyone: httpx.Client, email: str) -> None:
    """RFC 6749 section 5.1, not to be kept by any cache."""
    answer = token(anyone, grant_type="password", username=email, password=PASSWORD)

    assert (answer.status_code, answer.headers["cache-control"], answer.headers["pragma"]) == (
        200,
        "no-store",
        "no-cache",
    )
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 900)


def test_the_grant_type_may_be_missing(anyone: httpx.Client, email: str) -> None:
    """With username and password there is no doubt what is meant; case and space around an address do not count."""
    assert token(anyone, username=f" {email.upper()} ", password=PASSWORD).status_code == 200


@pytest.mark.asvs("V6.4.1")
def test_a_first_password_runs_out(service: Service, anyone: httpx.Client, email: str) -> None:
    """Who knows it learns why it does not count any more; who guesses learns nothing of that."""
    until = service.sign_in(email).get("/me").json()["password_expires_at"]
    service.let_run_out(email)
    knows, guesses = (token(anyone, username=email, password=password) for password in (PASSWORD, "wrong"))

    assert datetime.now(UTC) < datetime.fromisoformat(until) < datetime.now(UTC) + timedelta(days=3)
    assert (knows.status_code, knows.json()["error"]) == (400, "invalid_grant")
    assert "Ask an admin for a new one." in knows.json()["error_description"]
    assert guesses.content == token(anyone, username="nobody@example.org", password="wrong").content


@pytest.mark.attack(119, 124)
@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "invalid_request"),
        ({"username": "a@example.org"}, "invalid_request"),
        ({"username": "", "password": ""}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "", "username": "a@example.org", "password": PASSWORD}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": f"{ID}.x"}, "invalid_grant"),
        ({"username": "nobody@example.org", "password": PASSWORD}, "invalid_grant"),
        ({"username": "admin@example.org", "password": "x"}, "invalid_grant"),
        ({"username": "admin@example.org", "password": PASSWORD + " "}, "invalid_grant"),
        ({"username": "admin@example.org", "password": "x" * 1025}, "invalid_grant"),
        ({"username": "admin@example.org", "password": "a\0b"}, "invalid_request"),
        ({"username": "adm\0in@example.org", "password": PASSWORD}, "invalid_request"),
    ],
)
def test_refused_grants(anyone: httpx.Client, data: dict[str, str], error: str) -> None:
    """Errors have the body of RFC 6749 section 5.2."""
    answer = token(anyone, **data)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.asvs("V15.3.5-7")
@pytest.mark.attack(119, 124)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"username": "a", "password": "b"}', "application/json"),
        (b"username=a&password=b", "text/plain"),
        (b"username=a&username=b&password=c", "application/x-www-form-urlencoded"),
        (b"username=%FF&password=c", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"a=b&" * 5000, "application/x-www-form-urlencoded"),
        (b"--x--", "multipart/form-data; boundary=x"),
        (b"", ""),
    ],
)
def test_refused_bodies(anyone: httpx.Client, body: bytes, content_type: str) -> None:
    """Whatever is not a small urlencoded form with each name once is an invalid request."""
    answer = anyone.post("/auth/token", content=body, headers={"Content-Type": content_type})

    assert answer.status_code in {400, 413}
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.long
@pytest.mark.asvs("V6.3.8")
@pytest.mark.attack(118)
def test_unknown_users_and_wrong_passwords_look_alike(tmp_path: Path) -> None:
    """Neither the answer nor its time tells who has an account."""
    with running(tmp_path / "data", passwords=Argon2Passwords) as service:
        service.add_user("known@example.org")
        client = service.client()

        def seconds(username: str) -> float:
            start = time.perf_counter()
            answers.append(token(client, username=username, password="wrong horse battery").json())
            return time.perf_counter() - start

        answers: list[object] = []
        times = [(seconds("known@example.org"), seconds("nobody@example.org")) for _ in range(4)]
    known, unknown = (min(column) for column in zip(*times, strict=True))

    assert answers.count(answers[0]) == 8
    assert 1 / 4 < known / unknown < 4  # a hash that was not computed would make it 20 or more


def test_refresh_works_once(anyone: httpx.Client, email: str) -> None:
    """Each refresh token is good for one exchange; a second one ends the session, because somebody copied it."""
    first = token(anyone, username=email, password=PASSWORD).json()
    second = token(anyone, grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert second.status_code == 200
    assert anyone.get("/me", headers=bearer(second.json()["access_token"])).status_code == 200
    assert (
        token(anyone, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()["error"]
        == "invalid_grant"
    )
    assert anyone.get("/me", headers=bearer(second.json()["access_token"])).status_code == 401


@pytest.mark.asvs("V7.4.1")
@pytest.mark.attack(115)
@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoke(anyone: httpx.Client, email: str, which: str) -> None:
    """Either token ends the session at once; doing so again is no error."""
    grant = token(anyone, username=email, password=PASSWORD).json()
    assert anyone.get("/me", headers=bearer(grant["access_token"])).status_code == 200

    for _ in range(2):
        answer = anyone.post("/auth/revoke", data={"token": grant[which], "token_type_hint": "whatever"})
        assert answer.status_code == 200
    assert anyone.get("/me", headers=bearer(grant["access_token"])).status_code == 401
    assert token(anyone, grant_type="refresh_token", refresh_token=grant["refresh_token"]).status_code == 400


def test_revoke_needs_a_token(anyone: httpx.Client) -> None:
    """An unknown token is no error, none at all is."""
    assert anyone.post("/auth/revoke", data={"token": "unknown"}).status_code == 200
    assert anyone.post("/auth/revoke", data={}).json()["error"] == "invalid_request"


PROTECTED = [
    ("GET", "/me"),
    ("POST", "/me/password"),
    ("GET", "/me/sessions"),
    ("DELETE", f"/me/sessions/{ID}"),
    ("GET", "/leads"),
    ("GET", f"/leads/{ID}"),
    ("GET", "/leads/not-an-id"),
    ("PATCH", f"/leads/{ID}"),
    ("DELETE", f"/leads/{ID}"),
    ("POST", f"/leads/{ID}/release"),
    ("POST", f"/leads/{ID}/discard"),
    ("GET", f"/leads/{ID}/resume"),
    ("GET", f"/leads/{ID}/events"),
    ("GET", f"/leads/{ID}/deliveries"),
    ("POST", f"/deliveries/{ID}/retry"),
    ("GET", "/users"),
    ("POST", "/users"),
    ("PATCH", f"/users/{ID}"),
]


@pytest.mark.asvs("V8.2.1")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_nobody_gets_in_without_a_token(anyone: httpx.Client, method: str, path: str) -> None:
    """Who is not signed in learns nothing else, whatever the id or the body."""
    answer = anyone.request(method, path, content=b"{not json")

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == 'Bearer realm="leadintake"'


def test_head_is_not_a_way_in(anyone: httpx.Client) -> None:
    """No method passes without a token."""
    assert anyone.head("/leads").status_code in {401, 405}
    assert anyone.options("/leads").status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Bearer x", "bearer a.b.c", "Bearer " + "x" * 8000, "Bearer e30.e30.", "Bearer \xff", "Bearer a b", "Bearer ="],
)
def test_bad_tokens(anyone: httpx.Client, value: str) -> None:
    """A token that is none is called invalid (RFC 6750 section 3.1)."""
    answer = anyone.get("/me", headers={b"Authorization": value.encode("latin-1")})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="leadintake", error="invalid_token"'


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YTpi", "Token x"])
def test_other_schemes(anyone: httpx.Client, value: str) -> None:
    """Only bearer tokens sign in."""
    answer = anyone.get("/me", headers={"Authorization": value})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="leadintake"')


@pytest.mark.asvs("V14.2.1")
@pytest.mark.attack(116)
def test_where_a_token_may_stand(anyone: httpx.Client, email: str) -> None:
    """In the Authorization header, once, the scheme in any case; nowhere else."""
    access = token(anyone, username=email, password=PASSWORD).json()["access_token"]

    assert anyone.get("/me", headers=bearer(access, "bEaReR")).status_code == 200
    assert anyone.get("/me", headers=bearer(access, "Token")).status_code == 401
    assert anyone.get("/me", params={"access_token": access, "token": access}).status_code == 401
    assert anyone.get("/me", headers={"Cookie": f"token={access}"}).status_code == 401
    assert anyone.get("/me", headers=[("Authorization", f"Bearer {access}")] * 2).status_code == 401


@pytest.mark.asvs("V7.4.2")
@pytest.mark.attack(115)
def test_changes_count_from_the_next_request_on(service: Service, admin: httpx.Client, email: str) -> None:
    """Role and activity are looked up on every request."""
    client = service.sign_in(email)
    user_id = client.get("/me").json()["id"]
    assert client.get("/users").status_code == 403

    admin.patch(f"/users/{user_id}", json={"role": "admin"})
    assert client.get("/users").status_code == 200
    admin.patch(f"/users/{user_id}", json={"role": "attorney"})
    assert client.get("/users").status_code == 403
    admin.patch(f"/users/{user_id}", json={"is_active": False})
    assert client.get("/users").status_code == 401
    assert token(service.client(), username=email, password=PASSWORD).json()["error"] == "invalid_grant"


@pytest.mark.asvs("V6.2.2-3")
@pytest.mark.attack(115)
def test_change_of_password(service: Service, anyone: httpx.Client, email: str) -> None:
    """It needs the current password, ends the other sessions, and lets this one go on."""
    other, client = service.sign_in(email), service.sign_in(email)
    new = "tr0ub4dor and three"

    wrong = client.post("/me/password", json={"current_password": "no", "new_password": new})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "current_password")
    short = client.post("/me/password", json={"current_password": PASSWORD, "new_password": "short"})
    assert (short.status_code, short.json()["errors"][0]["field"]) == (422, "new_password")
    done = client.post("/me/password", json={"current_password": PASSWORD, "new_password": new})
    assert (done.status_code, done.content) == (204, b"")
    assert client.get("/me").status_code == 200
    assert other.get("/me").status_code == 401
    assert token(anyone, username=email, password=PASSWORD).status_code == 400
    assert token(anyone, username=email, password=new).status_code == 200


def test_sessions(service: Service, email: str) -> None:
    """One sees one's own sessions and can end each of them, and nobody else's."""
    other, client = service.sign_in(email), service.sign_in(email)
    listed = client.get("/me/sessions").json()["items"]

    assert [session["current"] for session in listed] == [True, False]
    assert [session["device"] for session in listed] == ["python-httpx", "python-httpx"]
    assert client.delete(f"/me/sessions/{listed[1]['id']}").status_code == 204
    assert client.delete(f"/me/sessions/{listed[1]['id']}").status_code == 404
    assert other.get("/me").status_code == 401
    service.add_user(stranger := f"{uuid4().hex}@example.org", Role.ADMIN)
    assert service.sign_in(stranger).delete(f"/me/sessions/{listed[0]['id']}").status_code == 404
    assert client.get("/me").status_code == 200


@pytest.mark.asvs("V16.2.5", "V16.3.1-3")
def test_nothing_is_logged_of_what_is_no_address(anyone: httpx.Client) -> None:
    """It may be a password, in the wrong field."""
    answer = token(anyone, username="correct-horse-battery", password="x")

    lines = logged(answer.headers["x-request-id"])
    assert [line["event"] for line in lines] == ["authn_login_fail", "request"]
    assert "horse" not in str(lines)


@pytest.mark.asvs("V16.2.5", "V16.3.1-3")
def test_sign_ins_are_logged_without_secrets(anyone: httpx.Client, email: str) -> None:
    """Success and failure have names that monitors know; neither password nor whole address is written down."""
    good = token(anyone, username=email, password=PASSWORD)
    bad = token(anyone, username=email, password="wrong horse battery")

    for answer, event in ((good, "authn_login_success"), (bad, "authn_login_fail")):
        lines = logged(answer.headers["x-request-id"])
        assert [line["event"] for line in lines] == [event, "request"]
        assert email not in str(lines)
        assert "horse" not in str(lines)
