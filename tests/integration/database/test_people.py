"""What every Database promises of users, their sessions and Idempotency-Keys."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from tests.records import FIRST_FIRM, NOW, session, user

from leadintake.application.ports.database import Database, Submission, Transaction
from leadintake.application.views import Receipt
from leadintake.domain.errors import EmailTaken, NotFound
from leadintake.domain.people import Role, User

MOMENT = timedelta(microseconds=1)
LATER = NOW + timedelta(days=3)
UNKNOWN = UUID(int=404)


async def add(database: Database, *users: User) -> None:
    """Store users, each with a session."""

    def work(tx: Transaction) -> None:
        for each in users:
            tx.people.add(each, f"hash of {each.id.int}")
            tx.people.open_session(session(each.id.int))

    await database.write(FIRST_FIRM, work)


async def test_a_user_comes_back(database: Database) -> None:
    """A user is found by id, and by address with the password's hash."""
    ada = user(full_name="Zoë 李", role=Role.ADMIN, password_expires_at=LATER)
    await add(database, ada)
    got, found = await database.read(
        FIRST_FIRM, lambda tx: (tx.people.get(ada.id), tx.people.with_password("ATTORNEY1@firm.example "))
    )

    assert got == ada
    assert found == (ada, "hash of 1")


@pytest.mark.parametrize("email", ["", "nobody@firm.example", "a\0b", "\ud800@firm.example", "x" * 10_000, "%", "'"])
async def test_nobody_is_found(database: Database, email: str) -> None:
    """An address that is nobody's finds nobody, even one that no database could keep."""
    await add(database, user())

    assert await database.read(FIRST_FIRM, lambda tx: tx.people.with_password(email)) is None


async def test_unknown_user(database: Database) -> None:
    """There is nobody under an id that nobody gave."""
    with pytest.raises(NotFound):
        await database.read(FIRST_FIRM, lambda tx: tx.people.get(UNKNOWN))


@pytest.mark.attack(123)
@pytest.mark.parametrize("email", ["attorney1@firm.example", "ATTORNEY1@FIRM.example", "\uff41ttorney1@firm.example"])
async def test_one_address_is_one_account(database: Database, email: str) -> None:
    """A second account under another spelling of the same address is refused."""
    await add(database, user(1))

    with pytest.raises(EmailTaken):
        await add(database, user(2, email=email))

    assert len(await database.read(FIRST_FIRM, lambda tx: tx.people.everybody())) == 1


async def test_users_change(database: Database) -> None:
    """Name, role, activity and password change, with when it runs out, and of nobody else."""
    await add(database, user(1), user(2))
    changed = user(1, full_name="Joan Clarke", role=Role.ADMIN, is_active=False)

    def work(tx: Transaction) -> None:
        tx.people.save(changed)
        tx.people.set_password(changed.id, "new hash", LATER)

    await database.write(FIRST_FIRM, work)
    found = await database.read(
        FIRST_FIRM, lambda tx: [tx.people.with_password(user(number).email) for number in (1, 2)]
    )

    assert found == [(replace(changed, password_expires_at=LATER), "new hash"), (user(2), "hash of 2")]


async def test_everybody(database: Database) -> None:
    """All users are listed as they came; only the active are told of leads, and only active admins count as admins."""
    await add(
        database,
        user(1, created_at=NOW + MOMENT),
        user(2, role=Role.ADMIN),
        user(3, role=Role.ADMIN, is_active=False),
    )
    everybody, told, admins = await database.read(
        FIRST_FIRM, lambda tx: (tx.people.everybody(), tx.people.told_of_leads(), tx.people.active_admins())
    )

    assert everybody == [
        user(2, role=Role.ADMIN),
        user(3, role=Role.ADMIN, is_active=False),
        user(1, created_at=NOW + MOMENT),
    ]
    assert told == [user(2).email, user(1).email]
    assert admins == [user(2).email]


async def test_sessions(database: Database) -> None:
    """A session comes back with its user, and takes what a refresh changes."""
    await add(database, user())
    renewed = replace(session(), refreshed_at=NOW + MOMENT, refresh_hash="new", replaced_hash="hash 1")
    before = await database.read(FIRST_FIRM, lambda tx: tx.people.session(session().id))
    listed = await database.read(FIRST_FIRM, lambda tx: tx.people.sessions_of(user().id))
    await database.write(FIRST_FIRM, lambda tx: tx.people.save_session(renewed))
    after = await database.read(FIRST_FIRM, lambda tx: tx.people.session(session().id))

    assert (before, after) == ((session(), user()), (renewed, user()))
    assert listed == [session()]
    assert await database.read(FIRST_FIRM, lambda tx: tx.people.session(UNKNOWN)) is None


async def test_no_session_without_an_active_user(database: Database) -> None:
    """The session of a user who is not active is none."""
    await add(database, user())
    await database.write(FIRST_FIRM, lambda tx: tx.people.save(user(is_active=False)))

    assert await database.read(FIRST_FIRM, lambda tx: tx.people.session(session().id)) is None


async def test_ending_sessions(database: Database) -> None:
    """One session ends, or all but one; only the user's own."""
    await add(database, user(1), user(2))
    more = [session(number, user_id=user(1).id, created_at=NOW + number * MOMENT) for number in (11, 12, 13)]

    def work(tx: Transaction) -> None:
        for each in more:
            tx.people.open_session(each)

    def left(tx: Transaction) -> list[list[int]]:
        return [[each.id.int for each in tx.people.sessions_of(user(number).id)] for number in (1, 2)]

    await database.write(FIRST_FIRM, work)
    assert await database.read(FIRST_FIRM, left) == [[13, 12, 11, 1], [2]]
    assert not await database.write(FIRST_FIRM, lambda tx: tx.people.end_session(user(2).id, more[0].id))
    assert await database.write(FIRST_FIRM, lambda tx: tx.people.end_session(user(1).id, more[0].id))
    assert not await database.write(FIRST_FIRM, lambda tx: tx.people.end_session(user(1).id, more[0].id))
    assert await database.write(FIRST_FIRM, lambda tx: tx.people.end_sessions(user(1).id, keep=more[1].id)) == 2
    assert await database.read(FIRST_FIRM, left) == [[12], [2]]
    assert await database.write(FIRST_FIRM, lambda tx: tx.people.end_sessions(user(1).id)) == 1
    assert await database.read(FIRST_FIRM, left) == [[], [2]]


async def test_old_sessions_are_forgotten(database: Database) -> None:
    """Sessions from before a moment go; one from that moment stays."""
    await add(database, user(1), user(2))
    await database.write(FIRST_FIRM, lambda tx: tx.people.prune_sessions(NOW))
    kept = await database.read(FIRST_FIRM, lambda tx: tx.people.session(session(1).id))
    await database.write(FIRST_FIRM, lambda tx: tx.people.prune_sessions(NOW + MOMENT))

    assert kept
    assert await database.read(FIRST_FIRM, lambda tx: tx.people.session(session(1).id)) is None


def submission(number: int, key: str = "key") -> Submission:
    """A submission with a key."""
    return Submission(key, f"fingerprint {number}", Receipt(UUID(int=number), f"LD-{number}", NOW + number * MOMENT))


async def claim(database: Database, claimed: Submission, after: int = 0) -> Submission | None:
    """Claim a key, when those older than that many moments have expired."""
    return await database.write(FIRST_FIRM, lambda tx: tx.submissions.claim(claimed, NOW + after * MOMENT))


@pytest.mark.parametrize("key", ["key", "x" * 255, "'\"%_\\"])
async def test_the_first_claim_of_a_key_stands(database: Database, key: str) -> None:
    """The first to use a key has it, and whoever comes after gets what the first one stored."""
    assert await claim(database, submission(1, key)) is None
    assert await claim(database, submission(2, key)) == submission(1, key)
    assert await claim(database, submission(3, key.upper() + "?")) is None


async def test_one_of_many_claims_wins(database: Database) -> None:
    """Of fifty at once one has the key, and the others are all told of that one."""
    answers = await asyncio.gather(*(claim(database, submission(number)) for number in range(1, 51)))

    [winner] = {answer.receipt.id for answer in answers if answer}
    assert answers.count(None) == 1
    assert answers[winner.int - 1] is None


async def test_keys_expire(database: Database) -> None:
    """A key is forgotten when it is older than the limit, and not when it is just as old."""
    await claim(database, submission(1))

    assert await claim(database, submission(2), after=1) == submission(1)
    assert await claim(database, submission(3), after=2) is None
    assert await claim(database, submission(4), after=2) == submission(3)


async def test_old_keys_are_forgotten(database: Database) -> None:
    """Pruning forgets the keys from before a moment, and no others."""
    await claim(database, submission(1, "old"))
    await claim(database, submission(2, "new"))
    await database.write(FIRST_FIRM, lambda tx: tx.submissions.prune(NOW + 2 * MOMENT))

    assert await claim(database, submission(3, "old")) is None
    assert await claim(database, submission(3, "new")) == submission(2, "new")


async def test_a_key_is_not_held_by_what_was_refused(database: Database) -> None:
    """When the submission that claimed a key fails, the key is free."""

    def work(tx: Transaction) -> None:
        tx.submissions.claim(submission(1), NOW)
        raise NotFound

    with pytest.raises(NotFound):
        await database.write(FIRST_FIRM, work)

    assert await claim(database, submission(2)) is None
