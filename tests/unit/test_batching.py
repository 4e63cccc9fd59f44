import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from leadintake.adapters.batching import BatchingThread
from leadintake.domain.errors import Unavailable

LARGEST = 4


class Broken(Exception):
    """What work may raise."""


class Works:
    """Doubles numbers, once it may; remembers the groups. Zero is answered with an exception, and -1 raises it."""

    def __init__(self) -> None:
        self.groups: list[Sequence[int]] = []
        self.may_begin = threading.Event()
        self.may_begin.set()

    def __call__(self, group: Sequence[int]) -> Sequence[int | Exception]:
        assert self.may_begin.wait(10)
        self.groups.append(group)
        if -1 in group:
            raise Broken
        return [2 * number if number else Broken() for number in group]


@asynccontextmanager
async def at_work(
    work: Callable[[Sequence[int]], Sequence[int | Exception]],
) -> AsyncIterator[BatchingThread[int, int]]:
    """A thread that works until the context ends."""
    batching: BatchingThread[int, int] = BatchingThread("numbers", work, LARGEST)
    try:
        yield batching
    finally:
        await ended(batching)


async def ended(batching: BatchingThread[int, int]) -> None:
    """Finish, and return when all is done."""
    batching.finish()
    await asyncio.to_thread(batching.join)


async def begun(*numbers: int, batching: BatchingThread[int, int]) -> list["asyncio.Task[int]"]:
    """Numbers that have been handed over, each by a task of its own."""
    tasks = [asyncio.create_task(batching.do(number)) for number in numbers]
    await asyncio.sleep(0)  # The tasks begin,
    await asyncio.sleep(0)  # and what they gathered is handed over.
    return tasks


async def test_what_comes_in_one_step_is_one_group() -> None:
    """Each gets its own result, and a group is no larger than it may be; the order is that in which they came."""
    works = Works()
    async with at_work(works) as batching:
        results = await asyncio.gather(*map(batching.do, range(1, 7)))

    assert results == [2, 4, 6, 8, 10, 12]
    assert works.groups == [[1, 2, 3, 4], [5, 6]]


async def test_what_came_meanwhile_is_taken_along() -> None:
    """What is handed over in several steps, while the thread works, waits together."""
    works = Works()
    works.may_begin.clear()
    async with at_work(works) as batching:
        tasks = [task for number in (1, 2, 3, 4, 5) for task in await begun(number, batching=batching)]
        works.may_begin.set()
        await asyncio.gather(*tasks)

    assert sum(map(len, works.groups)) == 5
    assert len(works.groups) <= 3  # The thread may have begun with the first one, or with some.


async def test_an_exception_among_results() -> None:
    """It is raised for the one whose it is, and the others have their results."""
    async with at_work(Works()) as batching:
        one, failed, other = await asyncio.gather(*map(batching.do, (1, 0, 2)), return_exceptions=True)

    assert (one, other) == (2, 4)
    assert isinstance(failed, Broken)


async def test_work_that_raises() -> None:
    """It is raised for all who wait by then, also behind the group, and for nobody who comes later."""
    works = Works()
    works.may_begin.clear()
    async with at_work(works) as batching:
        tasks = await begun(-1, *range(1, 2 * LARGEST), batching=batching)
        works.may_begin.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(answer) for answer in answers] == [Broken] * 2 * LARGEST
        assert await batching.do(1) == 2


async def test_what_no_future_takes() -> None:
    """A StopIteration comes as another error, and those behind it are answered."""

    def stopping(group: Sequence[int]) -> Sequence[int | Exception]:
        return [number or StopIteration() for number in group]

    async with at_work(stopping) as batching:
        failed, other = await asyncio.gather(*map(batching.do, (0, 1)), return_exceptions=True)

    assert isinstance(failed, RuntimeError)
    assert other == 1


async def test_who_stops_waiting_harms_nobody() -> None:
    """Its task is done all the same, and the others are answered."""
    works = Works()
    works.may_begin.clear()
    async with at_work(works) as batching:
        gone, stays = await begun(1, 2, batching=batching)
        gone.cancel()
        works.may_begin.set()

        assert await stays == 4
    assert [number for group in works.groups for number in group] == [1, 2]


async def test_closing_waits_for_what_was_asked_for() -> None:
    """Also for what was not handed over yet; what comes later is refused."""
    works = Works()
    batching: BatchingThread[int, int] = BatchingThread("numbers", works, LARGEST)
    asked = asyncio.ensure_future(batching.do(1))
    await asyncio.sleep(0)
    await ended(batching)

    assert works.groups == [[1]]
    assert await asked == 2
    with pytest.raises(Unavailable):
        await batching.do(2)


def test_a_loop_that_is_closed() -> None:
    """When nobody can be answered any more, the thread still ends."""
    works = Works()
    works.may_begin.clear()
    batching: BatchingThread[int, int] = BatchingThread("numbers", works, LARGEST)
    loop = asyncio.new_event_loop()
    task = loop.create_task(batching.do(1))
    loop.run_until_complete(asyncio.sleep(0.01))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    works.may_begin.set()
    batching.finish()
    batching.join()

    assert works.groups == [[1]]
