"""docs/http.md says what the service does: its tables are compared with the code."""

import re
from datetime import timedelta

import httpx
import pytest
from tests.pages import page, table

from leadintake.application.accounts import ACCESS_LIFETIME
from leadintake.application.intake import KEY_LIFETIME
from leadintake.domain import lead, people, resume, search, values
from leadintake.domain.delivery import Status
from leadintake.domain.events import EventKind
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.suspicion import POINTS
from leadintake.entrypoints import asgi
from leadintake.entrypoints.errors import BY_SLUG
from leadintake.entrypoints.http import auth, guesses, lead_list, multipart, public, reading, upload_slots
from leadintake.entrypoints.http.connection import HEAD_MAX_BYTES, HEAD_MAX_FIELDS, Connection
from leadintake.entrypoints.settings import SETTINGS
from leadintake.entrypoints.settings.environment import load

PAGE = page("docs/http.md")
ANY_ID = re.compile(r"\{\w+\}")


def minutes(time: timedelta) -> str:
    """A time as the page shows it."""
    whole = time // timedelta(minutes=1)
    return f"{whole} minutes" if whole < 60 else f"{whole // 60} hours"


@pytest.mark.asvs("V8.1.1-2")
def test_calls(anyone: httpx.Client) -> None:
    """The page has every call there is, and says which are for admins."""
    paths = anyone.get("/openapi.json").json()["paths"]
    calls = {
        f"`{method.upper()} {ANY_ID.sub('{id}', path)}`": "security" in about and "403" in about["responses"]
        for path, item in paths.items()
        for method, about in item.items()
    }

    assert {call: who == "admins" for call, who, *_ in table(PAGE, "call", "who", "takes", "answers")} == calls


def test_problems() -> None:
    """The page has every type of problem, with its status, title and advice."""
    known = sorted(BY_SLUG.values(), key=lambda meaning: (meaning.status, meaning.slug))

    assert table(PAGE, "status", "the end of `type`", "title", "what to do") == [
        [str(one.status), f"`{one.slug}`", one.title, one.advice] for one in known
    ]


def test_words_of_answers() -> None:
    """The page explains every kind of event, every flag and every status."""
    assert [row[0] for row in table(PAGE, "kind", "what happened", "`data`")] == [f"`{kind}`" for kind in EventKind]
    assert [row[0] for row in table(PAGE, "flag", "meaning")] == [f"`{flag}`" for flag in Flag]
    assert [row[:2] for row in table(PAGE, "reason", "points", "what was seen")] == [
        [f"`{reason}`", str(points)] for reason, points in POINTS.items()
    ]
    assert [row[0] for row in table(PAGE, "status", "meaning")] == [f"`{status}`" for status in Status]


@pytest.mark.asvs("V2.1.1", "V5.1.1")
def test_kinds_of_files() -> None:
    """The page says which kinds are known, and which are taken unless the settings say otherwise."""
    taken = str(SETTINGS["resume_types"].default).split(",")

    assert [row[:2] for row in table(PAGE, "kind", "taken by default", "what it is")] == [
        [f"`{kind}`", "yes" if kind in taken else "no"] for kind in Kind
    ]


@pytest.mark.asvs("V2.1.3", "V6.1.1")
def test_rates() -> None:
    """The page has the rates that hold by default."""
    rates = {
        name: f"`{SETTINGS[name].default}`"
        for name in ("rate_limit_submit", "rate_limit_login", "max_uploads", "confirmations_per_address")
    }
    waits = [guesses.FIRST_WAIT * 2**number // 60 for number in range(4)]
    guessed = (
        f"{guesses.FREE_GUESSES}, then one after {waits[0]} minute, {waits[1]}, {waits[2]}, {waits[3]}, "
        f"and every {guesses.LONGEST_WAIT // 60}"
    )
    share = f"a quarter of these, at least {upload_slots.FEWEST}"

    assert upload_slots.SHARE == 4
    assert [row[1] for row in table(PAGE, "what", "default", "counted by")] == [
        rates["rate_limit_submit"],
        f"`{load({}, {}).rate_limit_megabytes}`",
        rates["rate_limit_login"],
        guessed,
        rates["max_uploads"],
        share,
        rates["confirmations_per_address"],
    ]


@pytest.mark.asvs("V2.1.1", "V5.1.1", "V6.4.1", "V7.1.1")
def test_limits() -> None:
    """The page has the limits that the code sets."""
    least = Connection.body_bytes_per_second
    limit = reading.schema_of(lead_list.Filters)["properties"]["limit"]

    assert table(PAGE, "what", "limit") == [
        ["`first_name`, `last_name`, `full_name`", f"1 to {values.NAME_MAX_CHARACTERS} characters"],
        ["`email`", f"{values.ADDRESS_MAX_CHARACTERS} characters"],
        ["`resume`", f"{int(str(SETTINGS['max_resume_bytes'].default)):,} bytes, unless the settings say otherwise"],
        ["the name of a file", f"kept up to {resume.NAME_MAX_CHARACTERS} characters, its extension with it"],
        ["`notes`", f"{lead.NOTES_MAX_CHARACTERS:,} characters"],
        ["password", f"{people.PASSWORD_MIN_CHARACTERS} characters to {people.PASSWORD_MAX_BYTES:,} bytes"],
        ["`q`", f"{search.QUERY_MAX_CHARACTERS} characters, {search.QUERY_MAX_WORDS} words"],
        ["a word of `q`", f"the first {search.WORD_MAX_CHARACTERS} characters count"],
        ["`limit`", f"{limit['minimum']} to {limit['maximum']}; {limit['default']} without it"],
        ["`Idempotency-Key`", f"{values.KEY_MAX_CHARACTERS} characters; kept {minutes(KEY_LIFETIME)}"],
        [
            "password that somebody else set",
            f"counts for {minutes(people.FIRST_PASSWORD_LIFETIME)}, unless its owner changes it",
        ],
        ["access token", f"lasts {minutes(ACCESS_LIFETIME)}"],
        ["session", f"lasts {minutes(people.SESSION_LIFETIME)}, {minutes(people.SESSION_IDLE)} without a refresh"],
        ["a form", f"{multipart.PARTS_MAX} parts, {multipart.TEXT_MAX_BYTES:,} bytes in each that is text"],
        ["a part", f"{multipart.HEADERS_MAX} headers, {multipart.HEADER_MAX_CHARACTERS:,} characters in each"],
        [
            "address and headers of a request",
            f"{HEAD_MAX_BYTES:,} bytes, {HEAD_MAX_FIELDS} headers, {Connection.head_seconds:g} seconds",
        ],
        ["a body", f"{Connection.body_seconds:g} seconds, and one more for each {least:,} bytes of it"],
        ["body of `POST /public/leads`", f"the largest resume and {public.ROOM_FOR_FIELDS:,} bytes"],
        ["body of `/auth/*`", f"{auth.BODY_MAX_BYTES:,} bytes"],
        ["any other body", f"{asgi.BODY_MAX_BYTES:,} bytes"],
        ["query, or form of `/auth/*`", f"{reading.PAIRS_MAX} names"],
    ]
