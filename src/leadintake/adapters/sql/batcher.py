"""Batching on the event loop: tasks that come while others of their kind are under way are done together after them."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from leadintake.adapters.batching import Waiting, answer_all

K = TypeVar("K", bound=Hashable)

LARGEST_GROUP = 32

AT_ONCE = 2
"""Groups of a kind that may be under way: where one waits for a lock that somebody else has, another goes on."""


class Batcher(Generic[K]):
    """Does groups of tasks by `work`, which is told their kind and returns for each a result or an exception.

    What it raises is raised for all of the kind who wait by then, also those behind the group: they have waited for
    what could not be reached.
    """

    def __init__(self, work: Callable[[K, Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._work = work
        self._waiting: defaultdict[K, deque[Waiting[Any, Any]]] = defaultdict(deque)
        self._under_way: defaultdict[K, set[asyncio.Task[Any] | None]] = defaultdict(set)

    async def do(self, kind: K, task: Any) -> Any:
        """Have a task done, even if nobody waits any more, and return its result or raise its exception."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[kind].append(Waiting(task, answer))
        if len(self._under_way[kind]) < AT_ONCE:
            self._under_way[kind].add(asyncio.create_task(self._do_all(kind)))
        return await answer

    async def finish(self) -> None:
        """Return once all is done."""
        while under_way := [task for tasks in self._under_way.values() for task in tasks if task]:
            await asyncio.wait(under_way)

    async def _do_all(self, kind: K) -> None:
        try:
            await self._do_groups(kind, self._waiting[kind])
        finally:  # In the very step in which it ends: for whoever comes then, there must be another.
            self._under_way[kind] -= {asyncio.current_task()}

    async def _do_groups(self, kind: K, waiting: deque[Waiting[Any, Any]]) -> None:
        while waiting:
            group = [waiting.popleft() for _ in range(min(LARGEST_GROUP, len(waiting)))]
            try:
                outcomes = await self._work(kind, [each.task for each in group])
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                group += waiting
                waiting.clear()
                outcomes = [error] * len(group)
            answer_all(group, outcomes)
