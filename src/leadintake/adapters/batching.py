"""Batching: one thread for what is cheaper done together. It is of no technology, so any adapter may have it."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from leadintake.domain.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T, R]):
    """A task, and who waits for it."""

    task: T
    answer: asyncio.Future[R]


class BatchingThread(Generic[T, R]):
    """Does tasks in groups of at most `largest`, in the order in which they came, and answers each group at once.

    All of them come from one event loop.

    `work` returns what came of each task: a result, or the exception that is raised where it is waited for. What `work`
    raises itself is raised for all who wait by then, also those behind the group.

    Tasks that come within one step of the event loop are handed over together, and wake the thread once. Otherwise the
    first would be done alone while the others gather; and to wake the thread takes longer than most tasks.
    """

    def __init__(self, name: str, work: Callable[[Sequence[T]], Sequence[R | Exception]], largest: int) -> None:
        self._work = work
        self._largest = largest
        self._gathered: list[Waiting[T, R]] = []
        self._handed_over: SimpleQueue[list[Waiting[T, R]] | None] = SimpleQueue()
        self._is_over = False
        self._all_came = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def do(self, task: T) -> R:
        """Have a task done, and return its result or raise its exception; or Unavailable when it is over."""
        if self._is_over:
            raise Unavailable
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(Waiting(task, answer))
        return await answer

    def finish(self) -> None:
        """Take nothing more on; what was asked for is still done."""
        self._is_over = True
        self._hand_over()
        self._handed_over.put(None)

    def join(self) -> None:
        """Wait until all is done, once no more is taken on. Not in the event loop, which has to hear of it."""
        self._thread.join()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._handed_over.put(gathered)

    def _run(self) -> None:
        waiting = deque[Waiting[T, R]]()
        while self._take_along(waiting):
            group = [waiting.popleft() for _ in range(min(self._largest, len(waiting)))]
            try:
                outcomes = self._work([each.task for each in group])
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                waiting.extendleft(reversed(group))
                self._take_along(waiting)
                group = [*waiting]
                waiting.clear()
                outcomes = [error] * len(group)
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                group[0].answer.get_loop().call_soon_threadsafe(answer_all, group, outcomes)

    def _take_along(self, waiting: deque[Waiting[T, R]]) -> bool:
        """Add all that has come, and wait while there is nothing; False when there will not be any more."""
        while not self._all_came and not (waiting and self._handed_over.empty()):
            came = self._handed_over.get()
            self._all_came = came is None
            waiting.extend(came or ())
        return bool(waiting)


def answer_all(group: Sequence[Waiting[T, R]], outcomes: Sequence[R | Exception]) -> None:
    """Tell everybody of a group what came of their tasks, in one step of the event loop."""
    for each, outcome in zip(group, outcomes, strict=True):
        if each.answer.done():
            continue  # Whoever waited has gone.
        if isinstance(outcome, StopIteration):  # which a future does not take
            each.answer.set_exception(RuntimeError("StopIteration"))
        elif isinstance(outcome, Exception):
            each.answer.set_exception(outcome)
        else:
            each.answer.set_result(outcome)
