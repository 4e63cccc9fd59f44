"""What tests have seen of secrets and people, none of which may stand in the log of the service."""

import json
import re

import httpx

PRIVATE = {
    "correct horse battery": "a password",
    "password1234": "a password",
    "Lovelace": "the name of a prospect",
    "ada@example.org": "the address of a prospect",
    "Hopper": "the name of a user",
    "Atticus Finch": "the name of a user",
    "attorney@example.org": "the address of a user",
}
"""What tests send, unless they have something of their own to send."""

PIECE = re.compile("[A-Za-z0-9_-]{20,}")
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Of a session, say: no secret by itself."""

handed_out: dict[str, str] = {}
"""Pieces of tokens, cookies and passwords that were made, each long enough to be found again, with what they are of."""


def note(answer: httpx.Response) -> None:
    """Remember what an answer hands out, and what was sent to get it."""
    _keep(answer.request.headers.get("Authorization", ""), "an access token")
    for cookie in answer.headers.get_list("set-cookie"):
        _keep(cookie.partition(";")[0], "a cookie")
    if answer.request.url.path == "/auth/token" and answer.is_success:
        granted = json.loads(answer.read())
        _keep(granted["access_token"], "an access token")
        _keep(granted["refresh_token"], "a refresh token")
    elif answer.request.url.path == "/users" and answer.status_code == httpx.codes.CREATED:
        _keep(json.loads(answer.read())["generated_password"] or "", "a password")


def leaks(log: bytes) -> list[str]:
    """What of all that stands in a log, with the line where it does."""
    found = []
    for line in log.decode().splitlines():
        found += [f"{what}: {line}" for text, what in PRIVATE.items() if text in line]
        found += [f"{handed_out[piece]}: {line}" for piece in PIECE.findall(line) if piece in handed_out]
    return found


def _keep(text: str, what: str) -> None:
    handed_out.update({piece: what for piece in PIECE.findall(text) if not ID.fullmatch(piece)})
