import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from tests.documents import pdf
from tests.service import LOG, Service, form, running


def fields_of(answer: httpx.Response) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in answer.json()["errors"]]


@pytest.mark.asvs("V15.3.1")
@pytest.mark.attack(150)
def test_receipt(anyone: httpx.Client) -> None:
    """A good submission is answered with its receipt, and with nothing else about the lead."""
    answer = anyone.post("/public/leads", **form())

    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "reference", "created_at"}
    assert str(UUID(answer.json()["id"])) == answer.json()["id"]
    assert answer.json()["reference"].startswith("LD-")
    assert answer.json()["created_at"].endswith("Z")


@pytest.mark.asvs("V8.2.3", "V15.3.3")
@pytest.mark.attack(39)
def test_what_was_sent_is_what_is_stored(anyone: httpx.Client, attorney: httpx.Client) -> None:
    """Names come back in NFC and trimmed, whatever else is in the form is ignored, and the file is the same bytes."""
    content = pdf(300_000)
    sent = form(
        first_name=" Zoe\u0308 ",
        last_name="King, Jr.",
        resume=("C:\\fakepath\\Zoë.pdf", content),
        state="REACHED_OUT",
        id="1",
    )
    receipt = anyone.post("/public/leads", **sent).json()
    lead = attorney.get(f"/leads/{receipt['id']}").json()

    assert (lead["first_name"], lead["last_name"], lead["state"]) == ("Zoë", "King, Jr.", "PENDING")
    assert (lead["resume_name"], lead["resume_kind"], lead["resume_size"]) == ("Zoë.pdf", "pdf", 300_000)
    assert attorney.get(f"/leads/{receipt['id']}/resume").content == content


@pytest.mark.asvs("V1.1.2", "V1.3.7")
@pytest.mark.attack(50, 52, 55)
@pytest.mark.parametrize(
    "name", ["O'Brien", "Null", "Ng", "𠮷野家", "عبد الله", "{{7*7}}", "%s%n", "'; DROP TABLE leads; --", "😀" * 100]
)
def test_real_and_strange_names(anyone: httpx.Client, attorney: httpx.Client, name: str) -> None:
    """A name is text and nothing more."""
    answer = anyone.post("/public/leads", **form(first_name=name, last_name=name))

    assert answer.status_code == 201
    assert attorney.get(f"/leads/{answer.json()['id']}").json()["last_name"] == name


REFUSED = {
    "nothing": (form(first_name=None, last_name=None, email=None, resume=None) | {"files": {"x": ("", b"")}}, 422),
    "no first name": (form(first_name=None), 422),
    "an empty name": (form(first_name=""), 422),
    "an invisible name": (form(first_name="\u200b\u2800\u3000"), 422),
    "a name with NUL": (form(first_name="A\0da"), 422),
    "a name with a line break": (form(last_name="A\nBcc: b@example.org"), 422),
    "a name of 101": (form(first_name="x" * 101), 422),
    "two addresses": (form(email="a@example.org,b@example.org"), 422),
    "an address with a display name": (form(email="Ada <ada@example.org>"), 422),
    "an address of 1 MB": (form(email="a" * 1_000_000 + "@example.org"), 422),
    "an address with a line break": (form(email="ada@example.org\r\nBcc: b@example.org"), 422),
    "a special domain": (form(email="ada@localhost"), 422),
    "an empty file": (form(resume=("cv.pdf", b"")), 422),
    "no file chosen": (form(resume=("", b"")), 422),
    "not a document": (form(resume=("cv.pdf", b"MZ" + bytes(100))), 415),
    "a lying name": (form(resume=("cv.docx", pdf())), 415),
    "no extension": (form(resume=("cv", pdf())), 415),
    "a hidden extension": (form(resume=("cv\u202efdp.exe", pdf())), 415),
}


@pytest.mark.asvs("V2.2.1", "V2.2.2")
@pytest.mark.attack(44, 45, 66, 74, 80)
@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_refused_submissions_leave_nothing(
    service: Service, anyone: httpx.Client, sent: dict[str, object], status: int
) -> None:
    """Bad input is a clear problem, and neither a lead nor a file is left."""
    before = service.stored()
    answer = anyone.post("/public/leads", **sent)  # type: ignore[arg-type] # what `form` makes

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]
    assert service.stored() == before


@pytest.mark.attack(34)
def test_everything_missing_is_named(anyone: httpx.Client) -> None:
    """One answer names all that is missing."""
    answer = anyone.post("/public/leads", files={"other": (None, "x")})

    assert fields_of(answer) == ["first_name", "last_name", "email", "resume"]


def test_everything_wrong_is_named(anyone: httpx.Client) -> None:
    """One answer names all fields that are wrong."""
    answer = anyone.post("/public/leads", **form(first_name="", last_name="\0", email="nobody"))

    assert fields_of(answer) == ["first_name", "last_name", "email"]


@pytest.mark.attack(1)
@pytest.mark.parametrize("content_type", [None, "application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_other_bodies_are_not_read(anyone: httpx.Client, content_type: str | None) -> None:
    """Only multipart/form-data is read."""
    answer = anyone.post("/public/leads", content=b"{}", headers={"Content-Type": content_type} if content_type else {})

    assert answer.status_code == 415


@pytest.mark.attack(2)
@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=wrong", "; boundary=" + "x" * 4096, "\\" * 3000])
def test_bad_boundaries(anyone: httpx.Client, boundary: str) -> None:
    """A boundary that is missing, bad or not that of the body is a 400."""
    answer = anyone.post(
        "/public/leads", content=b"--x--\r\n" * 9, headers={"Content-Type": f"multipart/form-data;{boundary}"}
    )

    assert answer.status_code == 400


@pytest.mark.attack(25)
def test_compressed_bodies_are_not_read(anyone: httpx.Client) -> None:
    """A bomb is not even opened."""
    answer = anyone.post("/public/leads", **form(), headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415


@pytest.mark.asvs("V4.1.4")
@pytest.mark.attack(28)
def test_methods_in_headers_mean_nothing(anyone: httpx.Client) -> None:
    """There is no method but that of the request."""
    assert anyone.post("/public/leads", **form(), headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 201
    assert anyone.get("/public/leads").status_code == 405


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small limits."""
    with running(
        tmp_path_factory.mktemp("tight") / "data",
        MAX_RESUME_BYTES="20000",
        MAX_UPLOADS="1",
        RATE_LIMIT_SUBMIT="20/hour",
    ) as service:
        yield service


@pytest.mark.asvs("V5.2.1")
@pytest.mark.attack(83)
def test_the_limit_counts_the_file_alone(tight: Service) -> None:
    """A file of exactly the limit is taken, one byte more is not."""
    client = tight.client()

    assert client.post("/public/leads", **form(resume=("cv.pdf", pdf(20_000)))).status_code == 201
    before = tight.stored()
    assert client.post("/public/leads", **form(resume=("cv.pdf", pdf(20_001)))).status_code == 413
    assert tight.stored() == before


def test_what_is_too_large_is_told_how_large_it_may_be(tight: Service) -> None:
    """Whether the file is a little larger, or the body is by so much that no more of it is read."""
    for size in (20_001, 200_000):
        answer = tight.client().post("/public/leads", **form(resume=("cv.pdf", pdf(size))))

        assert answer.status_code == 413
        assert "19.5 kB" in answer.json()["detail"]


@pytest.mark.attack(24, 26)
def test_a_body_that_says_it_is_too_large_is_not_read(tight: Service) -> None:
    """The answer comes at once, before any of the body was sent; also to who asks first."""
    for expect in (b"", b"Expect: 100-continue\r\n"):
        answer = tight.raw(
            b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + expect
            + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000000000\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in answer


@pytest.mark.asvs("V2.3.2")
@pytest.mark.attack(33)
def test_one_more_upload_is_turned_away(tight: Service) -> None:
    """While as many as allowed are on their way, another is a 503 with Retry-After, at once."""
    with socket.create_connection(("127.0.0.1", tight.port)) as slow:
        slow.sendall(
            b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 9999\r\n\r\n--x\r\n"
        )
        time.sleep(0.05)
        answer = tight.client().post("/public/leads", **form())

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"].endswith("/problems/unavailable")


@pytest.mark.asvs("V2.3.2", "V2.4.1")
def test_too_many_submissions(tmp_path: Path) -> None:
    """Beyond the rate an address is told when to come back; sign-ins are counted apart."""
    with running(tmp_path / "data", RATE_LIMIT_SUBMIT="2/hour", RATE_LIMIT_LOGIN="1/hour") as service:
        client = service.client()
        statuses = [client.post("/public/leads", **form()).status_code for _ in range(3)]
        answer = client.post("/public/leads", **form())

        assert statuses == [201, 201, 429]
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        data = {"username": "a@example.org", "password": "wrong"}
        assert client.post("/auth/token", data=data).status_code == 400
        refused = client.post("/auth/token", data=data)
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/json")
        assert refused.json()["error"] == "temporarily_unavailable"
        assert int(refused.headers["retry-after"]) >= 1


class TestIdempotency:
    """Idempotency-Key: the same form may be sent again."""

    @pytest.mark.attack(144, 146)
    def test_a_repeat_is_answered_alike(self, service: Service, anyone: httpx.Client) -> None:
        """The same key and content, framed anew: the same receipt, marked, and nothing stored again."""
        key = {"Idempotency-Key": str(uuid4())}
        first = anyone.post("/public/leads", **form(), headers=key)
        before = service.stored()
        second = anyone.post("/public/leads", **form(last_name=" Lovelace "), headers=key)

        assert (first.status_code, second.status_code) == (201, 201)
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert second.json() == first.json()
        assert service.stored() == before

    @pytest.mark.attack(145)
    def test_other_content_is_refused(self, service: Service, anyone: httpx.Client) -> None:
        """A key cannot be used for something else."""
        key = {"Idempotency-Key": str(uuid4())}
        anyone.post("/public/leads", **form(), headers=key)
        before = service.stored()
        answer = anyone.post("/public/leads", **form(first_name="Eva"), headers=key)

        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "key-reused")
        assert service.stored() == before

    @pytest.mark.attack(149)
    def test_after_a_refusal_the_key_is_free(self, anyone: httpx.Client) -> None:
        """What was refused was not stored, so the corrected form goes under the same key."""
        key = {"Idempotency-Key": str(uuid4())}

        assert anyone.post("/public/leads", **form(first_name=""), headers=key).status_code == 422
        assert anyone.post("/public/leads", **form(), headers=key).status_code == 201

    @pytest.mark.attack(148)
    @pytest.mark.parametrize("keys", [[""], ["x" * 256], ["a b"], ["\u00e9"], ["a", "a"]])
    def test_bad_keys(self, anyone: httpx.Client, keys: list[str]) -> None:
        """A key is 1 to 255 visible ASCII characters, once."""
        headers = [("Idempotency-Key", key.encode()) for key in keys]
        answer = anyone.post("/public/leads", **form(), headers=headers)  # type: ignore[arg-type] # bytes are fine

        assert answer.status_code == 400

    @pytest.mark.attack(147)
    def test_all_at_once(self, service: Service) -> None:
        """Many clients with one key make one lead, and all get its receipt."""
        key = {"Idempotency-Key": str(uuid4())}
        before, _ = service.stored()
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda _: httpx.post(f"{service.url}/public/leads", **form(), headers=key, verify=False), range(16)
                )
            )

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
        assert service.stored()[0] == before + 1


class TestFraming:
    """Requests that only a raw connection can make."""

    HEAD = (
        b"POST /public/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n"
    )

    def body(self) -> bytes:
        """A good form with the boundary x."""
        request = httpx.Request(
            "POST", "http://h", headers={"Content-Type": "multipart/form-data; boundary=x"}, **form()
        )
        return request.read()

    @pytest.mark.attack(19)
    def test_chunked(self, service: Service) -> None:
        """A body without a length is read to its end."""
        body = self.body()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        answer = service.raw(self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 201 ")

    def test_slow(self, service: Service) -> None:
        """A body in small pieces is the same body."""
        body = self.body()
        head = self.HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
        answer = service.raw(head, *(body[i : i + 10] for i in range(0, len(body), 10)))

        assert answer.startswith(b"HTTP/1.1 201 ")

    @pytest.mark.attack(5, 18)
    @pytest.mark.parametrize("cut", [0, 20, 150, 500, -3])
    def test_client_that_leaves(self, service: Service, cut: int) -> None:
        """A body that breaks off leaves nothing behind, and is no error of ours."""
        body = self.body()
        before, start = service.stored(), len(LOG.getvalue())
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(self.HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:cut])
            time.sleep(0.05)
        time.sleep(0.05)

        assert service.stored() == before
        assert "error" not in {json.loads(line)["level"] for line in LOG.getvalue()[start:].splitlines()}
        assert service.client().get("/health").status_code == 200

    @pytest.mark.asvs("V4.2.1")
    @pytest.mark.attack(21, 22)
    @pytest.mark.parametrize(
        "length",
        [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: +5\r\n",
            b"Content-Length: 12abc\r\n",
            b"Content-Length: 100000000000000000000000000\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Transfer-Encoding: xchunked\r\n",
        ],
    )
    def test_ambiguous_lengths(self, service: Service, length: bytes) -> None:
        """A request whose end is not clear is refused, and what follows is no second request."""
        before = service.stored()
        body = self.body()
        second = self.HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        answer = service.raw(self.HEAD + length + b"\r\n0\r\n\r\n" + second)

        assert answer[9:12] in {b"400", b"413", b"501", b""}
        assert service.stored() == before

    @pytest.mark.attack(29)
    def test_many_headers(self, service: Service) -> None:
        """A flood of headers harms nobody."""
        with contextlib.suppress(OSError):
            service.raw(self.HEAD + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"Content-Length: 0\r\n\r\n")

        assert service.client().get("/health").status_code == 200
