"""Guards: they run before anything of a request but its headers is read."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from leadintake.application.accounts import Identity
from leadintake.domain.errors import NotSignedIn
from leadintake.domain.people import Permission, User
from leadintake.entrypoints.http.serving import serving

SignedIn = Request[User, Identity, State]
"""A request that has passed `signed_in`: `user` is who acts, `auth` says by which session."""


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let in who sends a valid access token in the Authorization header (RFC 6750 section 2.1); raises NotSignedIn."""
    given = connection.headers.getall("authorization", [])
    scheme, _space, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    identity = await serving(connection).app.accounts.authenticate(token.strip())
    connection.scope["user"] = identity.user
    connection.scope["auth"] = identity


async def may_manage_users(connection: ASGIConnection[Any, User, Any, Any], _: BaseRouteHandler) -> None:
    """Let in who may manage users, so that nobody else learns what a good request would be; raises NotAllowed."""
    connection.user.require(Permission.MANAGE_USERS)
