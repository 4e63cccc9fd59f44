import asyncio

import pytest

from leadintake.entrypoints.http.recent import SHARED_SECONDS, RecentAnswer


class Question:
    """Something that is asked, with the time at which it is."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.may_be_answered = asyncio.Event()
        self.recent = RecentAnswer(lambda: self.now)

    async def ask(self) -> bool:
        """The first answer is yes, the second no, and a third there is not."""
        self.asked += 1
        await self.may_be_answered.wait()
        return {1: True, 2: False}[self.asked]


@pytest.fixture
async def question() -> Question:
    """A question that nobody has asked."""
    return Question()


async def test_all_who_ask_at_once_share_an_answer(question: Question) -> None:
    """However long it takes, and whoever leaves meanwhile."""
    asking = [asyncio.create_task(question.recent.get(question.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    question.now += 10 * SHARED_SECONDS
    asking.append(asyncio.create_task(question.recent.get(question.ask)))
    await asyncio.sleep(0)
    asking.pop(0).cancel()
    question.may_be_answered.set()

    assert await asyncio.gather(*asking) == [True] * 3
    assert question.asked == 1


async def test_an_answer_grows_old(question: Question) -> None:
    """It is shared for a second; what went wrong then is told for as long."""
    question.may_be_answered.set()
    answers = []
    for later in (0, SHARED_SECONDS * 0.9, SHARED_SECONDS * 0.1):
        question.now += later
        answers.append(await question.recent.get(question.ask))
    question.now += SHARED_SECONDS
    for _ in range(2):
        with pytest.raises(KeyError):
            await question.recent.get(question.ask)

    assert answers == [True, True, False]
    assert question.asked == 3
