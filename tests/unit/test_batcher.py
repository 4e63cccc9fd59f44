"""Tasks that come while others of their kind are under way share the next group, and only that."""

import asyncio
from collections.abc import Sequence

import pytest

from leadintake.adapters.sql.batcher import AT_ONCE, LARGEST_GROUP, Batcher


class Broken(Exception):
    """What goes wrong for everybody."""


class Work:
    """Doubles numbers once it may go on, and takes down which came together; it fails where one of them is 0."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self.may_go_on = asyncio.Event()

    async def __call__(self, kind: str, numbers: Sequence[int]) -> Sequence[int | ValueError]:
        self.groups.append((kind, [*numbers]))
        await self.may_go_on.wait()
        if 0 in numbers:
            raise Broken
        return [2 * number if number > 0 else ValueError(number) for number in numbers]


async def started(batcher: Batcher[str], kind: str, *numbers: int) -> list[asyncio.Future[int]]:
    """Tasks that have been asked for, each a step of the event loop after the one before."""
    tasks: list[asyncio.Future[int]] = []
    for number in numbers:
        tasks.append(asyncio.ensure_future(batcher.do(kind, number)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_others_are_under_way_goes_together() -> None:
    """The first ones go at once and alone; then all who wait, as many as a group may have; each gets its own answer."""
    work = Work()
    batcher = Batcher(work)
    numbers = [*range(1, AT_ONCE + LARGEST_GROUP + 4)]
    tasks = await started(batcher, "a", *numbers)
    others = await started(batcher, "b", 7)
    work.may_go_on.set()

    assert await asyncio.gather(*tasks) == [2 * number for number in numbers]
    assert await asyncio.gather(*others) == [14]
    assert [(kind, len(group)) for kind, group in work.groups] == [
        *([("a", 1)] * AT_ONCE),
        ("b", 1),
        ("a", LARGEST_GROUP),
        ("a", 3),
    ]
    assert [number for kind, group in work.groups if kind == "a" for number in group] == numbers


async def test_each_hears_what_came_of_its_own_task() -> None:
    """An exception among the results is one task's; one that is raised is everybody's who waits, and nobody's later."""
    work = Work()
    batcher = Batcher(work)
    tasks = await started(batcher, "a", 1, 2, 3, -1, 4)
    work.may_go_on.set()
    first = await asyncio.gather(*tasks, return_exceptions=True)
    work.may_go_on.clear()
    tasks = await started(batcher, "a", 0, 1, *range(2, LARGEST_GROUP + 9))
    work.may_go_on.set()
    second = await asyncio.gather(*tasks, return_exceptions=True)
    third = await asyncio.gather(*await started(batcher, "a", 5))

    assert [*map(repr, first)] == ["2", "4", "6", "ValueError(-1)", "8"]
    assert [*map(repr, second)] == ["Broken()", "2", *["Broken()"] * (len(tasks) - 2)]
    assert third == [10]


async def test_who_comes_as_the_others_end_is_not_forgotten() -> None:
    """Within the very step of the event loop in which all groups that were under way end."""
    work = Work()
    batcher = Batcher(work)
    tasks = await started(batcher, "a", *range(1, AT_ONCE + 1))

    async def come_late() -> int:
        await work.may_go_on.wait()
        answer: int = await batcher.do("a", 9)
        return answer

    late = asyncio.ensure_future(come_late())
    await asyncio.sleep(0)
    work.may_go_on.set()

    assert await asyncio.wait_for(late, 5) == 18
    assert await asyncio.gather(*tasks) == [2 * number for number in range(1, AT_ONCE + 1)]


async def test_what_was_asked_for_is_done_though_nobody_waits() -> None:
    """Whoever gives up takes nobody along, and the end is when all is done."""
    work = Work()
    batcher = Batcher(work)
    tasks = await started(batcher, "a", 1, 2, 3, 4)
    tasks[0].cancel()
    tasks[2].cancel()
    finishing = asyncio.ensure_future(batcher.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    work.may_go_on.set()
    await finishing

    assert [group for _, group in work.groups] == [[1], [2], [3, 4]]
    assert [task.result() for task in tasks[1::2]] == [4, 8]
    with pytest.raises(asyncio.CancelledError):
        tasks[0].result()
