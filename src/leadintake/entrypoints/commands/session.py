"""One command's use of the application, beside a running server or without one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leadintake.application.app import App
from leadintake.domain.people import Operator
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.settings import Settings, environment

T = TypeVar("T")


def run(work: Callable[[App, Operator], Awaitable[T]], settings: Settings | None = None) -> T:
    """Open the application, do the work as the operator, close the application, and return what the work did.

    `settings` are those of the process unless given.
    """

    async def session() -> T:
        async with opened(settings or environment.read(), lambda: None) as app:
            return await work(app, app.operator)

    return asyncio.run(session())
