"""Requests made up from the OpenAPI document, right ones and wrong ones; each answer is judged by every check."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from secrets import token_hex
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import ignored_auth
from tests import postgres
from tests.documents import pdf
from tests.service import PASSWORD
from tests.supplies import ADMIN, Supplies, document, operations, supplied

pytestmark = [pytest.mark.long, pytest.mark.asvs("V1.4.2", "V2.2.1", "V4.1.1", "V15.3.1"), pytest.mark.attack(51)]

CASES = 100
"""For each call, on either database; those that Schemathesis always tries go to both."""

PROBES = 10
"""After so many successes of a call it is no longer asked whether they needed the token."""

CONFIG: dict[str, Any] = {
    "seed": 1,
    "generation": {
        "max-examples": CASES,
        "database": "none",
        "allow-x00": False,  # a string that is no text is refused, which a schema cannot say
        "with-security-parameters": False,  # all sign in; after a success, `ignored_auth` asks again who does not
    },
    "checks": {
        # What is right may still come too late (409), or be meant for another version (412).
        "positive_data_acceptance": {"expected-statuses": ["2xx", "409", "412"]},
        "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "415", "422"]},
    },
}

DOCUMENT = document()
OPERATIONS = operations(DOCUMENT)

# `ignored_auth` knows only the schemes of HTTP, and what OAuth 2 hands out here is a bearer token.
DOCUMENT["components"]["securitySchemes"]["Bearer"] = {"type": "http", "scheme": "bearer"}
for *_, about in OPERATIONS.values():
    for requirement in about.get("security", ()):
        requirement["Bearer"] = []

# What a resume has to be, its format cannot say.
schemathesis.openapi.format("binary", st.just(pdf()))

ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEY = re.compile("[!-~]{1,255}")

Case = schemathesis.Case[Any]

answers: Counter[int] = Counter()
shown: dict[tuple[str, str], str] = {}
"""Ids that a test has used last at a service. A request that changes nothing, because it asks or is wrong, may use one
again."""


@cache
def api(codec: str) -> schemathesis.BaseSchema:
    """The document, for requests in the characters of a codec."""
    config = SchemathesisConfig.from_dict({**CONFIG, "generation": {**CONFIG["generation"], "codec": codec}})
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)
    schema.hook(before_generate_case)
    schema.hook(filter_body)
    return schema


def before_generate_case(
    context: schemathesis.HookContext,  # noqa: ARG001 - called by name
    strategy: st.SearchStrategy[Case],
) -> st.SearchStrategy[Case]:
    """Name each request, because a call without parameters would have only one case."""
    names = st.from_regex(r"[!-~\u00a1-\u00ff][ -~\u00a1-\u00ff]{0,9}", fullmatch=True)
    return st.builds(named, strategy, names)


def filter_body(context: schemathesis.HookContext, body: object) -> bool:
    """Leave out what looks right or wrong and is not."""
    if not isinstance(body, dict):
        return True
    if str(body.get("email")).endswith((".test", ".example")):
        return False  # domains that belong to nobody (RFC 6761), which the format does not rule out
    is_form = context.operation is not None and context.operation.path == "/public/leads"
    # All parts of a form are text, so what was to be of a wrong type may arrive as a good name.
    return not is_form or all(isinstance(body.get(name, ""), str) for name in ("first_name", "last_name", "email"))


def named(case: Case, name: str) -> Case:
    """Give a request its name."""
    case.headers["X-Request-ID"] = name
    return case


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Supplies, Supplies]]:
    """The service on SQLite, and on PostgreSQL."""
    with (
        supplied(tmp_path_factory.mktemp("sqlite")) as on_sqlite,
        postgres.running() as server,
        supplied(tmp_path_factory.mktemp("postgres"), DATABASE_URL=server.url(), SECRET_KEY=token_hex()) as on_postgres,
    ):
        yield on_sqlite, on_postgres


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all cases; it looks for no proxies and passwords in the environment with each of them."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(autouse=True)
def _enough(request: pytest.FixtureRequest) -> Iterator[None]:
    """See that each call has its cases, and that enough of them come as far as the use case."""
    failed = request.session.testsfailed
    answers.clear()
    shown.clear()
    yield
    if request.session.testsfailed == failed:
        assert answers.total() >= CASES
        assert successes() + answers[409] + answers[412] >= CASES / 4


def successes() -> int:
    """How many requests of a test were successful so far."""
    return answers[200] + answers[201] + answers[204]


def fuzz(operation_id: str) -> Callable[..., None]:
    """The test of one call."""
    # To Schemathesis, \\p{...} is a few ranges, which are right only within ASCII.
    codec = "ascii" if r"\\p{" in json.dumps(OPERATIONS[operation_id]) else "utf-8"

    @api(codec).include(operation_id=operation_id).parametrize()
    def test(case: Case, services: tuple[Supplies, Supplies], session: requests.Session) -> None:
        """What is right is accepted, what is wrong is refused, and every answer is as documented."""
        for supplies in served_by(case, services):
            headers = {"Authorization": f"Bearer {fit(operation_id, case, supplies)}"}
            # Each probe takes two requests over connections of their own, which would be half of all the work.
            excluded = [ignored_auth] if successes() >= PROBES else []
            answer = case.call_and_validate(supplies.service.url, session, headers, excluded_checks=excluded)
            answers[answer.status_code] += 1

    return test  # type: ignore[no-any-return]


def served_by(case: Case, services: tuple[Supplies, Supplies]) -> Iterable[Supplies]:
    """The services that a request goes to: what is made up to one, which its name decides, so that it always does."""
    assert case.meta
    if case.meta.phase.name is not TestPhase.FUZZING:
        return services
    return [services[sum(case.headers["X-Request-ID"].encode()) % 2]]


def fit(operation_id: str, case: Case, supplies: Supplies) -> str:
    """Put real things where something right was made up; returns the access token to use."""
    assert case.meta
    is_right = case.meta.generation.mode.is_positive
    if case.headers.get("If-Match") == "0" and case.meta.phase.data.parameter != "If-Match":
        case.headers["If-Match"] = '"1"'  # Schemathesis 4.32 takes 0 for right, whatever the pattern says.
    for name, value in case.path_parameters.items():
        if ID.fullmatch(value):
            changes = is_right and case.method != "GET"
            last = supplies.service.url, name
            made = "" if changes else shown.get(last, "")
            case.path_parameters[name] = shown[last] = made or getattr(supplies, name)()
    if KEY.fullmatch(case.headers.get("Idempotency-Key", "")):
        case.headers["Idempotency-Key"] = str(next(supplies.numbers))
    return fill_in(operation_id, case, supplies) if is_right else supplies.token


def fill_in(operation_id: str, case: Case, supplies: Supplies) -> str:
    """Put real things into a query or body that is right; returns the access token to use."""
    body: Any = case.body
    match operation_id:
        case "listLeads" if "cursor" in case.query:
            case.query = second_page(case.query, supplies)
        case "getToken":
            refresh_token = supplies.grant(ADMIN)["refresh_token"]
            real = {"username": ADMIN, "password": PASSWORD, "refresh_token": refresh_token}
            body.update({name: value for name, value in real.items() if name in body})
        case "revokeToken":
            body["token"] = supplies.grant(ADMIN)["access_token"]
        case "changePassword":
            body["current_password"] = PASSWORD
            body["new_password"] = f"{PASSWORD} {body['new_password'][:200]}"  # What is easy to guess is refused.
            return str(supplies.grant(supplies.colleague())["access_token"])
        case "addUser" if "password" in body:
            body["password"] = f"{PASSWORD} {body['password'][:200]}"
        case "changeLead" if {"state", "notes"} <= body.keys():
            body["state"] = "REACHED_OUT"  # the only move there is
    return supplies.token


def second_page(query: dict[str, Any], supplies: Supplies) -> dict[str, Any]:
    """A query with the cursor that follows its first lead, or without one where there are not two leads."""
    first = {name: value for name, value in query.items() if name != "cursor"}
    cursor = supplies.admin.get("/leads", params={**first, "limit": 1}).raise_for_status().json()["next_cursor"]
    return {**first, "cursor": cursor} if cursor else first


for operation_id in OPERATIONS:
    globals()[f"test_{operation_id}"] = fuzz(operation_id)
