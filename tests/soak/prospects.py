"""Prospects who do not give up: many at once, and who gets no answer sends the same form again, with the same key."""

import hashlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from tests.deployment import PATIENCE, soon
from tests.documents import pdf

PIECES = 12
PAUSE = 0.02
BOUNDARY = "the-soak-test"
LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
SMALL, LARGE = 20_000, 400_000
"""Bytes. No two resumes are of one size, so that a file in the store tells whose it is; the large ones are written to
disk while they come in.
"""


class Stage(StrEnum):
    """How far a submission is, as its sender sees it."""

    CONNECTING = "connecting"
    SENDING = "body on its way"
    WAITING = "sent, not answered"
    ANSWERED = "answered"


@dataclass
class Attempt:
    """One submission under way."""

    number: int
    port: int
    stage: Stage = Stage.CONNECTING


def size_of(number: int) -> int:
    """How large a prospect's resume is; every eighth is large."""
    return number + (LARGE if number % 8 == 0 else SMALL)


def number_of(size: int) -> int:
    """Whose resume has that size."""
    return size - (LARGE if size >= LARGE else SMALL)


def resume_of(number: int) -> bytes:
    """A prospect's resume, in which the name can be read."""
    return pdf(size_of(number), text=f"Ada {name_of(number)}, analyst and writer of notes")


def key_of(number: int) -> str:
    """The Idempotency-Key of a prospect's form."""
    return f"form-{number}"


def email_of(number: int) -> str:
    """The address of a prospect."""
    return f"p{number}@example.org"


def name_of(number: int) -> str:
    """The last name of a prospect: twelve letters that are in no other's."""
    return "Q" + hashlib.sha256(str(number).encode()).hexdigest()[:11].translate(LETTERS)


def body_of(number: int) -> bytes:
    """A prospect's form, as a browser sends it."""
    fields = {"first_name": "Ada", "last_name": name_of(number), "email": email_of(number)}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n\r\n'
    return "".join([*parts, file]).encode() + resume_of(number) + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass
class Prospects:
    """`acknowledged` has the id of each lead by the number of its prospect; `answers` counts all other statuses."""

    port: Callable[[], int | None]
    clients: int = 16
    acknowledged: dict[int, str] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)
    under_way: dict[int, Attempt] = field(default_factory=dict)
    is_over: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def sending(self, at_least: int) -> Iterator[None]:
        """Send one form after the other, until the context ends and so many were sent; all of them get an answer."""
        is_enough = threading.Event()

        def client() -> None:
            while not self.is_over:
                number = next(self.numbers)
                if is_enough.is_set() and number > at_least:
                    return
                self.submit(number)

        with ThreadPoolExecutor(self.clients, thread_name_prefix="prospect") as pool:
            clients = [pool.submit(client) for _ in range(self.clients)]
            try:
                yield
                is_enough.set()
                for each in clients:
                    each.result()
            finally:
                self.is_over = True

    def wait_for(self, more: int) -> None:
        """Return once so many more submissions were acknowledged."""
        enough = len(self.acknowledged) + more
        assert soon(lambda: len(self.acknowledged) >= enough), "the service takes nothing in"

    def submit(self, number: int) -> str | None:
        """Send a form until it is acknowledged; returns the id of its lead, or None when it was refused."""
        body = body_of(number)
        while not self.is_over:
            port = self.port()
            if port is None:
                time.sleep(PAUSE)
                continue
            attempt = self.under_way[number] = Attempt(number, port)
            try:
                status, answer, retry_after = self._post(attempt, body)
            except (OSError, http.client.HTTPException):
                time.sleep(PAUSE)
                continue
            finally:
                self.under_way.pop(number, None)
            if status == 201:
                lead_id: str = json.loads(answer)["id"]
                self.acknowledged[number] = lead_id
                return lead_id
            self.answers[status] = self.answers.get(status, 0) + 1
            if status != 503 or not retry_after:
                self.unasked.append(f"prospect {number} got {status}: {answer.decode()}")
                return None
            time.sleep(5 * PAUSE)
        return None

    def _post(self, attempt: Attempt, body: bytes) -> tuple[int, bytes, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", attempt.port, timeout=PATIENCE)
        try:
            connection.putrequest("POST", "/public/leads")
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Idempotency-Key", key_of(attempt.number))
            connection.endheaders()
            attempt.stage = Stage.SENDING
            is_slow = attempt.number % 4 == 0
            step = -(-len(body) // (PIECES if is_slow else 1))
            for start in range(0, len(body), step):
                connection.send(body[start : start + step])
                if is_slow:
                    time.sleep(PAUSE)
            attempt.stage = Stage.WAITING
            response = connection.getresponse()
            answer = response.read()
            attempt.stage = Stage.ANSWERED
            return response.status, answer, response.getheader("Retry-After")
        finally:
            connection.close()
