"""Who may ask: `before_request` of a router, so that nothing of a request but its headers is read before.

A guard would do the same, but Litestar copies the handler for each, which takes half as long as to look a session up.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from leadintake.application.accounts import Identity
from leadintake.domain.errors import NotSignedIn
from leadintake.domain.people import Permission, User
from leadintake.entrypoints.http.serving import serving

SignedIn = Request[User, Identity, State]
"""A request that has passed `signed_in`: `user` is who acts, `auth` says by which session."""


async def signed_in(request: Request[Any, Any, State]) -> None:
    """Let in whoever sends a valid access token in Authorization (RFC 6750 section 2.1); raises NotSignedIn."""
    given = [value for name, value in request.scope["headers"] if name == b"authorization"]
    scheme, _space, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    identity = await serving(request).app.accounts.authenticate(token.strip())
    request.scope["user"] = identity.user
    request.scope["auth"] = identity


async def signed_in_manager(request: Request[Any, Any, State]) -> None:
    """Let in those who may manage users, so that nobody else learns what a good request would be; raises NotAllowed."""
    await signed_in(request)
    request.user.require(Permission.MANAGE_USERS)
