"""Signing in and out: OAuth 2 (RFC 6749) with passwords and refresh tokens, and revocation (RFC 7009)."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import structlog
from litestar import MediaType, Response, Router, post

from leadintake.domain.errors import Malformed, PasswordRanOut, SessionOver, TooLarge, Unavailable, WrongCredentials
from leadintake.domain.people import PASSWORD_MAX_BYTES, account_key
from leadintake.domain.values import ADDRESS_MAX_CHARACTERS
from leadintake.entrypoints.errors import TooManyRequests, UnsupportedGrantType, UnsupportedMediaType
from leadintake.entrypoints.http.device import device_of
from leadintake.entrypoints.http.document import describe
from leadintake.entrypoints.http.reading import FORM, AnyRequest, client_of, read_pairs
from leadintake.entrypoints.http.serving import serving

BODY_MAX_BYTES = 16 * 1024

T = TypeVar("T")

log = structlog.get_logger()


class TokenAnswer(msgspec.Struct):
    """What signs the next requests; `expires_in` is in seconds (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, **more}


TOKEN_FORM = {
    "type": "object",
    "properties": {
        "grant_type": {"type": "string", "enum": ["password", "refresh_token"], "default": "password"},
        "username": _text("For the password grant: the email address.", maxLength=ADDRESS_MAX_CHARACTERS),
        "password": _text("For the password grant.", maxLength=PASSWORD_MAX_BYTES, format="password"),
        "refresh_token": _text(
            "For the refresh_token grant: the token of the last answer; each works once.", maxLength=256
        ),
    },
    "additionalProperties": {"type": "string"},
    "oneOf": [
        {"required": ["username", "password"], "properties": {"grant_type": {"const": "password"}}},
        {"required": ["grant_type", "refresh_token"], "properties": {"grant_type": {"const": "refresh_token"}}},
    ],
}

REVOKE_FORM = {
    "type": "object",
    "required": ["token"],
    "properties": {
        "token": _text("An access or refresh token of the session to end."),
        "token_type_hint": {"type": "string", "description": "Not needed, and not looked at."},
    },
    "additionalProperties": {"type": "string"},
}


@post(
    "/auth/token",
    operation_id="getToken",
    summary="Sign in, or stay signed in",
    status_code=200,
    opt=describe(
        Malformed,
        TooLarge,
        UnsupportedMediaType,
        WrongCredentials,
        PasswordRanOut,
        SessionOver,
        UnsupportedGrantType,
        TooManyRequests,
        Unavailable,
        body=(FORM, TOKEN_FORM),
    ),
)
async def token(request: AnyRequest) -> Response[TokenAnswer]:
    """Get tokens with an email address and a password, or with a refresh token.

    A refresh token works once; the answer has the next one. A second use ends the session, because somebody copied it.
    """
    given = await read_pairs(request)
    match given.get("grant_type", "password"):
        case "password" if given.get("username") and given.get("password"):
            accounts = serving(request).app.accounts
            grant = await attempt_sign_in(request, given["username"], given["password"], accounts.sign_in)
        case "refresh_token" if given.get("refresh_token"):
            grant = await serving(request).app.accounts.refresh(given["refresh_token"])
        case "password" | "refresh_token":
            raise Malformed("Send username and password, or grant_type=refresh_token with a refresh_token.")
        case _:
            raise UnsupportedGrantType
    answer = TokenAnswer(grant.access_token, "bearer", grant.expires_in, grant.refresh_token)
    return Response(answer, headers={"Pragma": "no-cache"})


async def attempt_sign_in(
    request: AnyRequest, email: str, password: str, sign_in: Callable[[str, str, str | None], Awaitable[T]]
) -> T:
    """Sign somebody in, as often as that may be tried from the client's address, and for the account.

    Raises WrongCredentials, TooManyRequests or NotCounted.
    """
    here, client = serving(request), client_of(request)
    await here.sign_ins.count(client)
    try:
        async with here.guesses.one(account_key(email), client):
            opened = await sign_in(email, password, device_of(request))
    except WrongCredentials:
        log.warning("authn_login_fail", email=masked(email), client=client)
        raise
    log.info("authn_login_success", email=masked(email), client=client)
    return opened


@post(
    "/auth/revoke",
    operation_id="revokeToken",
    summary="Sign out",
    status_code=200,
    opt=describe(Malformed, TooLarge, UnsupportedMediaType, Unavailable, body=(FORM, REVOKE_FORM), content={}),
)
async def revoke(request: AnyRequest) -> Response[None]:
    """End the session of a token at once, everywhere. A token that is not known is no error (RFC 7009 section 2.2)."""
    given = (await read_pairs(request)).get("token")
    if not given:
        raise Malformed("Send the token to revoke.")
    await serving(request).app.accounts.revoke(given)
    return Response(None, media_type=MediaType.TEXT)


def masked(email: str) -> str:
    """Enough of an address to recognise an account by, and not enough to write to it; nothing of what is no address."""
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain[:100]}" if at else "***"


routes = Router("/", route_handlers=[token, revoke], request_max_body_size=BODY_MAX_BYTES, tags=["Signing in"])
