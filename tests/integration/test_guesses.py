"""How often a password may be guessed: by everybody elsewhere together, and by its owner."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import httpx
import pytest
from limits.aio.storage import MemoryStorage, Storage
from structlog.testing import capture_logs
from tests.redis_server import RedisServer
from tests.service import PASSWORD, Service, running
from tests.web import text_of

from leadintake.domain.errors import Unavailable, WrongCredentials
from leadintake.domain.people import Role
from leadintake.entrypoints.errors import NotCounted, TooManyGuesses
from leadintake.entrypoints.http.guesses import FREE_GUESSES, KNOWN_FOR, LONGEST_WAIT, Guesses, wait_for
from leadintake.entrypoints.http.rate_limits import Counts, MemoryCounts
from leadintake.entrypoints.http.redis_counts import RedisCounts

T = TypeVar("T")

KEY = bytes(32)
ACCOUNT = "attorney@example.org"
OFFICE = "192.0.2.1"


@pytest.fixture(params=["memory", "redis"])
async def counts(request: pytest.FixtureRequest) -> AsyncIterator[Counts]:
    """Each place to count in."""
    counts = MemoryCounts() if request.param == "memory" else RedisCounts(request.getfixturevalue("redis").url, 60)
    async with counts.opened(KEY):
        yield counts


@pytest.fixture
def guesses(counts: Counts) -> Guesses:
    """Guesses that are limited."""
    return Guesses("guesses", counts, is_limited=True)


async def guess(guesses: Guesses, address: str, *, account: str = ACCOUNT, is_right: bool = False) -> str:
    """Guess once; returns what came of it."""
    try:
        async with guesses.one(account, address):
            await asyncio.sleep(0)
            _look_at(is_right=is_right)
    except WrongCredentials:
        return "wrong"
    except TooManyGuesses:
        return "wait"
    return "in"


def _look_at(*, is_right: bool) -> None:
    if not is_right:
        raise WrongCredentials


async def fail(guesses: Guesses, address: str, *, wrong_meanwhile: int = 0) -> None:
    """Guess when nobody can look at the guess, which takes as long as so many wrong ones."""
    with suppress(Unavailable):
        async with guesses.one(ACCOUNT, address):
            for _ in range(wrong_meanwhile):
                await guess(guesses, address)
            raise Unavailable


def elsewhere(number: int) -> str:
    """An address that nobody else has."""
    return f"198.51.{number // 250}.{number % 250 + 1}"


class TestCounting:
    """In memory and in Redis alike."""

    async def test_from_many_addresses(self, guesses: Guesses) -> None:
        """Whoever has a thousand addresses has as many guesses as who has one."""
        outcomes = [await guess(guesses, elsewhere(number)) for number in range(100)]

        assert outcomes == ["wrong"] * FREE_GUESSES + ["wait"] * (100 - FREE_GUESSES)

    async def test_all_at_once(self, guesses: Guesses) -> None:
        """Guesses that come at the same moment are counted before the first of them is looked at."""
        outcomes = await asyncio.gather(*(guess(guesses, elsewhere(number)) for number in range(100)))

        assert outcomes.count("wrong") == FREE_GUESSES

    async def test_the_owner_is_not_locked_out(self, guesses: Guesses) -> None:
        """Where the owner has signed in before, nothing is to be noticed of what goes on elsewhere."""
        before = await guess(guesses, OFFICE, is_right=True)
        for number in range(20):
            await guess(guesses, elsewhere(number))

        assert before == "in"
        assert [await guess(guesses, OFFICE, is_right=right) for right in (False, True)] == ["wrong", "in"]
        assert await guess(guesses, elsewhere(0), is_right=True) == "wait"

    async def test_a_network_is_known_since_it_was_last_used(self, guesses: Guesses, counts: Counts) -> None:
        """So who signs in each day is not locked out a month after the first time."""
        known = f"known/{counts.hidden(f'guesses {ACCOUNT} {OFFICE}')}"
        await counts.ask(lambda storage: storage.incr(known, 60))
        await guess(guesses, OFFICE, is_right=True)

        assert await counts.ask(lambda storage: storage.get_expiry(known)) > time.time() + KNOWN_FOR - 60

    async def test_nobody_may_guess_for_ever(self, guesses: Guesses) -> None:
        """Where the owner has signed in before, others may be too."""
        await guess(guesses, OFFICE, is_right=True)
        outcomes = [await guess(guesses, OFFICE) for _ in range(10)]

        assert outcomes == ["wrong"] * FREE_GUESSES + ["wait"] * (10 - FREE_GUESSES)

    async def test_a_right_one_makes_up_for_the_wrong_ones(self, guesses: Guesses) -> None:
        """Who mistypes now and then never waits."""
        outcomes = [await guess(guesses, OFFICE, is_right=number % FREE_GUESSES == 4) for number in range(50)]

        assert "wait" not in outcomes

    async def test_what_nobody_could_look_at_is_no_guess(self, guesses: Guesses) -> None:
        """While the database is away nobody uses up guesses, not the one either that makes all others wait."""
        wrong_before = [await guess(guesses, OFFICE) for _ in range(FREE_GUESSES - 1)]
        for _ in range(20):
            await fail(guesses, OFFICE)

        assert wrong_before == ["wrong"] * (FREE_GUESSES - 1)
        assert [await guess(guesses, OFFICE) for _ in range(2)] == ["wrong", "wait"]

    async def test_the_wait_after_another_guess_stays(self, guesses: Guesses) -> None:
        """Whose guess is none does not end the wait that others have earned meanwhile."""
        await fail(guesses, OFFICE, wrong_meanwhile=FREE_GUESSES - 1)

        assert await guess(guesses, OFFICE) == "wait"

    async def test_accounts_are_counted_apart(self, guesses: Guesses) -> None:
        """What is guessed about one account is nothing to any other."""
        for number in range(20):
            await guess(guesses, elsewhere(number))

        assert await guess(guesses, elsewhere(0), account="other@example.org", is_right=True) == "in"

    async def test_off(self, counts: Counts) -> None:
        """Where sign-ins are not limited, neither are guesses."""
        guesses = Guesses("guesses", counts, is_limited=False)

        assert {await guess(guesses, OFFICE) for _ in range(20)} == {"wrong"}


class Clockwork(MemoryStorage):
    """Counts whose waits are over as soon as they were noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and let a wait end at once."""
        if not key.startswith("wait/"):
            return await super().incr(key, expiry, amount)
        self.waits.append(expiry)
        return 1


@pytest.mark.asvs("V6.3.1")
async def test_waits_grow() -> None:
    """From a minute on each wait is twice the one before, up to a quarter of an hour."""
    storage = Clockwork()
    for _ in range(12):
        await wait_for(storage, "account")

    assert storage.waits == [60, 120, 240, 480, *[LONGEST_WAIT] * 4]


async def test_the_wait_is_told() -> None:
    """After the time that is told, the next guess is let in."""
    storage = MemoryStorage()
    waits = [(await wait_for(storage, "account"))[0] for _ in range(FREE_GUESSES + 2)]
    storage.expirations["wait/account"] = time.time()

    assert waits == [*[0] * FREE_GUESSES, 60, 60]
    assert await wait_for(storage, "account") == (0, True)


class Nowhere(MemoryCounts):
    """Counts that are out of reach."""

    async def ask(self, work: Callable[[Storage], Awaitable[T]]) -> T:  # noqa: ARG002 - nothing is counted
        raise Unavailable


async def test_what_cannot_be_counted_is_not_let_in() -> None:
    """Passwords could be guessed otherwise."""
    with pytest.raises(NotCounted):
        await guess(Guesses("guesses", Nowhere(), is_limited=True), OFFICE)


async def test_nobody_can_be_told_from_the_keys(redis: RedisServer) -> None:
    """Neither account nor address is to be seen in Redis, and nothing stays there for ever."""
    counts = RedisCounts(redis.url)
    async with counts.opened(KEY):
        guesses = Guesses("guesses", counts, is_limited=True)
        for number in range(FREE_GUESSES + 1):
            await guess(guesses, OFFICE, is_right=number == 0)
    keys = [line.strip() for line in redis.ask("KEYS *").splitlines() if line.startswith("leadintake:")]

    assert {key.split("/")[0].rpartition(":")[2] for key in keys} >= {"known", "guesses", "wait"}
    assert not any(ACCOUNT in key or OFFICE in key for key in keys)
    assert all(int(redis.ask(f"TTL {key}").strip(":\r\n")) > 0 for key in keys)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that limits guesses, behind a proxy that says where they come from."""
    settings: dict[str, Any] = {"RATE_LIMIT_LOGIN": "1000/second", "TRUSTED_PROXIES": "127.0.0.1"}
    with running(tmp_path_factory.mktemp("limited") / "data", **settings) as service:
        for name in ("api", "page", "free", "own", "desk"):
            service.add_user(f"{name}@example.org", Role.ATTORNEY)
        yield service


def by_api(client: httpx.Client, email: str, password: str, address: str) -> httpx.Response:
    """Sign in over the API."""
    return client.post(
        "/auth/token", data={"username": email, "password": password}, headers={"X-Forwarded-For": address}
    )


def by_page(client: httpx.Client, email: str, password: str, address: str) -> httpx.Response:
    """Sign in on the page."""
    headers = {"X-Forwarded-For": address, "Sec-Fetch-Site": "same-origin"}
    return client.post("/inbox/sign-in", data={"email": email, "password": password}, headers=headers)


class TestSigningIn:
    """Over the API and on the page, with one count for both."""

    @pytest.mark.attack(120)
    def test_both_ways_are_one(self, limited: Service) -> None:
        """Guesses on the page count for the API, in whatever spelling of the address."""
        client = limited.client()
        spellings = ["api@example.org", "API@example.org", " api@example.org", "api@EXAMPLE.org", "api@example.org "]
        pages = [by_page(client, email, "wrong", elsewhere(n)).status_code for n, email in enumerate(spellings)]
        refused = by_api(client, "api@example.org", PASSWORD, elsewhere(9))

        assert pages == [400] * FREE_GUESSES
        assert (refused.status_code, refused.json()["error"]) == (429, "temporarily_unavailable")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert "Try again in 1 minute." in refused.json()["error_description"]

    def test_the_page_says_how_long(self, limited: Service) -> None:
        """Who waits is told so above the form, with what was typed."""
        client = limited.client()
        for number in range(FREE_GUESSES):
            by_api(client, "page@example.org", "wrong", elsewhere(number))
        answer = by_page(client, "page@example.org", PASSWORD, elsewhere(9))

        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        assert "The password was wrong too often. Try again in 1 minute." in text_of(answer.text)
        assert 'value="page@example.org"' in answer.text

    @pytest.mark.asvs("V6.3.1")
    @pytest.mark.attack(120)
    def test_the_owner_gets_in_meanwhile(self, limited: Service) -> None:
        """An attacker keeps nobody out of where they have been before."""
        client = limited.client()
        first = by_page(client, "free@example.org", PASSWORD, OFFICE)
        attack = [by_api(client, "free@example.org", "wrong", elsewhere(n)).status_code for n in range(10)]
        again = [way(limited.client(), "free@example.org", PASSWORD, OFFICE).status_code for way in (by_api, by_page)]

        assert first.status_code == 303
        assert attack == [400] * FREE_GUESSES + [429] * 5
        assert again == [200, 303]

    def test_nobody_learns_who_has_an_account(self, limited: Service) -> None:
        """What there is not is counted and refused in the same words and after the same number of guesses."""
        limited.add_user("there@example.org")
        told = [
            [
                (answer.status_code, answer.content, answer.headers.get("retry-after"))
                for answer in [by_api(limited.client(), email, "wrong", elsewhere(n)) for n in range(FREE_GUESSES + 1)]
            ]
            for email in ("there@example.org", "not-there@example.org")
        ]

        assert told[0] == told[1]


class TestOwnPassword:
    """Who has somebody's session does not have the password yet."""

    def test_over_the_api(self, limited: Service) -> None:
        """A new password that is refused is no guess; a wrong current one is."""
        client = limited.sign_in("own@example.org")
        weak = [change(client, "wrong", "short").status_code for _ in range(10)]
        wrong = [change(client, "wrong", "Another long password 1").status_code for _ in range(FREE_GUESSES)]
        refused = change(client, PASSWORD, "Another long password 1")

        assert (weak, wrong) == ([422] * 10, [422] * FREE_GUESSES)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 60

    def test_on_the_page(self, limited: Service) -> None:
        """The form says so at the field."""
        client = limited.client()
        by_page(client, "desk@example.org", PASSWORD, OFFICE)
        form = {"current_password": "wrong", "new_password": "Another long password 1"}
        headers = {"Sec-Fetch-Site": "same-origin"}
        answers = [client.post("/inbox/account/password", data=form, headers=headers) for _ in range(FREE_GUESSES + 1)]

        assert [answer.status_code for answer in answers] == [422] * FREE_GUESSES + [429]
        assert "The password was wrong too often. Try again in 1 minute." in text_of(answers[-1].text)
        assert answers[-1].headers["retry-after"]


def change(client: httpx.Client, current: str, new: str) -> httpx.Response:
    """Change one's password over the API."""
    return client.post("/me/password", json={"current_password": current, "new_password": new})


async def test_a_network_is_known_and_not_one_address(guesses: Guesses) -> None:
    """The owner's device takes another IPv6 address of its network each day, and is not locked out for it."""
    await guess(guesses, "2001:db8:1:2::1", is_right=True)
    for number in range(20):
        await guess(guesses, elsewhere(number))

    assert await guess(guesses, "2001:db8:1:2:ffff::9", is_right=True) == "in"
    assert await guess(guesses, "2001:db8:1:3::1", is_right=True) == "wait"


class Leaving(MemoryCounts):
    """Counts that are out of reach from the second question on."""

    asked = 0

    async def ask(self, work: Callable[[Storage], Awaitable[T]]) -> T:
        self.asked += 1
        if self.asked > 1:
            raise Unavailable
        return await super().ask(work)


async def test_who_was_let_in_stays_in() -> None:
    """The right password opens the door also where it cannot be noted any more that it was right."""
    assert await guess(Guesses("guesses", Leaving(), is_limited=True), OFFICE, is_right=True) == "in"


async def test_guesses_that_are_refused_are_in_the_log() -> None:
    """With the address they come from, for whoever bans it; not with the account."""
    guesses = Guesses("guesses", MemoryCounts(), is_limited=True)
    with capture_logs() as logs:
        for _ in range(FREE_GUESSES + 1):
            await guess(guesses, OFFICE)

    assert logs == [
        {"event": "excess_rate_limit_exceeded", "log_level": "warning", "limit": "guesses", "client": OFFICE}
    ]
