"""What the calls work with."""

from dataclasses import dataclass, field
from typing import Any

from litestar.connection import ASGIConnection

from leadintake.application.app import App
from leadintake.entrypoints.http.guesses import Guesses
from leadintake.entrypoints.http.rate_limits import Counts, RateLimit
from leadintake.entrypoints.http.recent import RecentAnswer
from leadintake.entrypoints.http.upload_slots import Slots
from leadintake.entrypoints.settings import Settings


@dataclass(slots=True)
class Serving:
    """Kept in the state of the Litestar application; `app` is there from its start on."""

    settings: Settings
    uploads: Slots
    submissions: RateLimit
    megabytes: RateLimit
    sign_ins: RateLimit
    guesses: Guesses
    own_passwords: Guesses
    counts: Counts
    app: App = field(init=False)
    can_write_files: RecentAnswer = field(init=False, default_factory=RecentAnswer)


def serving(connection: ASGIConnection[Any, Any, Any, Any]) -> Serving:
    """What a request is served with."""
    found: Serving = connection.app.state.serving
    return found
