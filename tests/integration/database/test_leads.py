"""What every Database promises of leads: stored, changed, listed, erased."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.records import FIRST_FIRM, NOW, delivery, lead, user

from leadintake.application.ports.database import Database, LeadQuery, Position, Submission, Transaction
from leadintake.application.record import record
from leadintake.application.views import LeadView, ReachedOutBy, Receipt
from leadintake.domain.errors import NotFound, ReferenceTaken
from leadintake.domain.lead import Lead, Resume, State
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.search import words
from leadintake.domain.suspicion import Reason

MICROSECOND = timedelta(microseconds=1)


class TakenBack(Exception):
    """What ends a transaction of a test, so that the next begins with the same rows."""


async def store(database: Database, *leads: Lead) -> None:
    """Store leads."""

    def work(tx: Transaction) -> None:
        for each in leads:
            tx.leads.add(each)

    await database.write(FIRST_FIRM, work)


async def listed(database: Database, **query: Any) -> list[int]:
    """The numbers of the leads that a query returns."""
    found = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(**query)))
    return [view.id.int for view in found]


async def test_a_lead_comes_back_as_it_was(database: Database) -> None:
    """All of a new lead is kept, to be changed and to be shown."""
    resume = Resume("a.docx", "Zoë 李.docx", Kind.DOCX, 10, "cd" * 32, frozenset({Flag.ENCRYPTED, Flag.TRAILING_DATA}))
    stored = lead(
        first_name="Zoë", last_name="عبد الله 𠮷", email="zoë@bücher.example", notes="a\r\n\tb", resume=resume
    )
    await store(database, stored)

    loaded, shown = await database.read(FIRST_FIRM, lambda tx: (tx.leads.get(stored.id), tx.leads.view(stored.id)))

    assert loaded == stored
    assert shown == LeadView(
        stored.id, stored.reference, "Zoë", "عبد الله 𠮷", "zoë@bücher.example", State.PENDING, "a\r\n\tb",
        "a.docx", "Zoë 李.docx", Kind.DOCX, 10, "cd" * 32, [Flag.ENCRYPTED, Flag.TRAILING_DATA],
        NOW, NOW, None, None, 1, [],
    )  # fmt: skip


async def test_changes_come_back(database: Database) -> None:
    """So is all of a lead that was worked on, with who reached out."""
    changed = lead()
    await store(database, changed)
    changed.move(State.REACHED_OUT, by=user(), at=NOW + MICROSECOND)
    changed.annotate("called", by=user().actor, at=NOW + 2 * MICROSECOND)

    def work(tx: Transaction) -> None:
        tx.people.add(user(), "hash")
        tx.leads.save(changed)

    await database.write(FIRST_FIRM, work)
    loaded, shown = await database.read(FIRST_FIRM, lambda tx: (tx.leads.get(changed.id), tx.leads.view(changed.id)))

    assert loaded == changed
    assert shown.reached_out_by == ReachedOutBy(user().id, "Grace Hopper")
    assert (shown.reached_out_at, shown.updated_at) == (NOW + MICROSECOND, NOW + 2 * MICROSECOND)
    assert (shown.version, shown.notes) == (3, "called")


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2025, 3, 30, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
async def test_moments(database: Database, at: datetime) -> None:
    """Every moment comes back to the microsecond, in UTC, whatever zone it was given in."""
    await store(database, lead(created_at=at, updated_at=at))
    shown = await database.read(FIRST_FIRM, lambda tx: tx.leads.view(lead().id))

    assert (shown.created_at, shown.created_at.tzinfo) == (at, UTC)


@pytest.mark.asvs("V1.4.2")
async def test_large_numbers(database: Database) -> None:
    """Sizes of 64 bits and long texts are kept."""
    resume = replace(lead().resume, size=2**63 - 1)
    await store(database, lead(resume=resume, notes="😀" * 10_000))
    loaded = await database.read(FIRST_FIRM, lambda tx: tx.leads.get(lead().id))

    assert loaded == lead(resume=resume, notes="😀" * 10_000)


@pytest.mark.parametrize("number", [0, 10**31, 0xFFFFFFFF_FFFF_4FFF_BFFF_FFFFFFFFFFFF])
async def test_ids_stay_ids(database: Database, number: int) -> None:
    """An id of nothing but digits is still an id."""
    stored = lead(number, reference="LD-1")
    await store(database, stored)

    assert (await database.read(FIRST_FIRM, lambda tx: tx.leads.get(stored.id))).id == UUID(int=number)


async def test_unknown_lead(database: Database) -> None:
    """There is nothing under an id that nobody gave."""
    for find in (lambda tx: tx.leads.get(lead().id), lambda tx: tx.leads.view(lead().id)):
        with pytest.raises(NotFound):
            await database.read(FIRST_FIRM, find)


async def test_a_reference_is_unique(database: Database) -> None:
    """A second lead with the same reference is refused, and nothing of it stays."""
    await store(database, lead(1))

    with pytest.raises(ReferenceTaken):
        await store(database, lead(2, reference=lead(1).reference))

    assert await listed(database) == [1]
    assert await listed(database, words=["lovelace"]) == [1]


async def test_a_file_is_of_one_lead(database: Database) -> None:
    """Two leads cannot refer to one file; that is our fault, and another reference would not help."""
    await store(database, lead(1))
    with pytest.raises(sa.exc.IntegrityError):
        await store(database, lead(2, resume=lead(1).resume))

    assert await listed(database) == [1]


async def test_erasing(database: Database) -> None:
    """Nothing of an erased lead is left but its events: no row, search word, delivery or key, and none of another's."""

    def arrange(tx: Transaction) -> None:
        for number in (1, 2):
            tx.leads.add(lead(number))
            receipt = Receipt(lead(number).id, lead(number).reference, NOW)
            tx.submissions.claim(Submission(f"key {number}", "", receipt), NOW)
            record(tx, lead(number).submitted(), owed=[delivery(number)])

    def erase(tx: Transaction) -> None:
        tx.leads.remove(tx.leads.get(lead(1).id))

    def key_is_free(number: int) -> Any:
        receipt = Receipt(lead(number).id, "", NOW)
        return lambda tx: tx.submissions.claim(Submission(f"key {number}", "", receipt), NOW) is None

    await database.write(FIRST_FIRM, arrange)
    await database.write(FIRST_FIRM, erase)

    def left(tx: Transaction) -> list[tuple[int, int]]:
        return [(len(tx.events.of_lead(each.id)), len(tx.deliveries.of_lead(each.id))) for each in (lead(1), lead(2))]

    assert await database.read(FIRST_FIRM, left) == [(1, 0), (1, 1)]
    assert await listed(database, words=["ada"]) == await listed(database) == [2]
    assert await database.write(FIRST_FIRM, key_is_free(1))
    assert not await database.write(FIRST_FIRM, key_is_free(2))
    with pytest.raises(NotFound):
        await database.read(FIRST_FIRM, lambda tx: tx.leads.get(lead(1).id))


async def test_filters(database: Database) -> None:
    """By state, from a moment on, before another; newest first unless asked otherwise, ids deciding between equals."""
    times = [0, 1, 1, 2, 3]
    states = [State.PENDING, State.PENDING, State.REACHED_OUT, State.REACHED_OUT, State.PENDING]
    stored = [
        lead(number, created_at=NOW + hours * MICROSECOND, state=state)
        for number, (hours, state) in enumerate(zip(times, states, strict=True), 1)
    ]
    await store(database, *stored)
    one, three = NOW + MICROSECOND, NOW + 3 * MICROSECOND

    assert await listed(database) == [5, 4, 3, 2, 1]
    assert await listed(database, oldest_first=True) == [1, 2, 3, 4, 5]
    assert await listed(database, state=State.PENDING) == [5, 2, 1]
    assert await listed(database, created_from=one) == [5, 4, 3, 2]
    assert await listed(database, created_to=three) == [4, 3, 2, 1]
    assert await listed(database, created_from=one, created_to=three, state=State.REACHED_OUT) == [4, 3]
    assert await listed(database, created_from=three, created_to=one) == []
    assert await listed(database, limit=2, after=Position(one, UUID(int=3))) == [2, 1]
    assert await listed(database, limit=2, after=Position(one, UUID(int=2)), oldest_first=True) == [3, 4]


async def test_filters_and_search(database: Database) -> None:
    """All filters hold for a search too."""
    stored = [
        lead(1, first_name="Zoë"),
        lead(2, first_name="Zoe", state=State.REACHED_OUT),
        lead(3, first_name="Zora Zoya", last_name="Lovelace-Zorn", created_at=NOW + MICROSECOND),
    ]
    await store(database, *stored)

    assert await listed(database, words=words("zo LOVE client")) == [3, 2, 1]
    assert await listed(database, words=words("zoé"), oldest_first=True) == [1, 2]
    assert await listed(database, words=words("zo"), limit=2) == [3, 2]
    assert await listed(database, words=words("zo"), state=State.PENDING) == [3, 1]
    assert await listed(database, words=words("zo"), created_from=NOW + MICROSECOND) == [3]
    assert await listed(database, words=words("zo"), created_to=NOW + MICROSECOND, limit=1) == [2]
    assert await listed(database, words=words("zo"), after=Position(NOW, UUID(int=2))) == [1]
    assert await listed(database, words=words("zo oe")) == []
    assert await listed(database, words=words(lead(2).reference.lower())) == [2]


offsets = st.integers(0, 3)
moments = st.none() | offsets.map(lambda n: NOW + n * MICROSECOND)
queries = st.builds(
    LeadQuery,
    state=st.none() | st.sampled_from(State),
    words=st.sampled_from([(), ("ada",), ("lo", "ada")]),
    created_from=moments,
    created_to=moments,
    oldest_first=st.booleans(),
    limit=st.integers(1, 4),
    quarantined=st.booleans(),
)
reasons = st.sampled_from([(), (Reason.TRAP,)])
arrivals = st.lists(st.tuples(offsets, st.sampled_from(State), reasons), max_size=6)


@pytest.mark.long
@pytest.mark.attack(134)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries, st.lists(arrivals, min_size=1, max_size=6), st.randoms())
async def test_paging_skips_and_repeats_nothing(
    database: Database, query: LeadQuery, waves: list[Any], chance: Any
) -> None:
    """While leads arrive between pages, at whatever time, those there before come once each, and none comes twice."""
    numbers = [*range(1, 100)]
    chance.shuffle(numbers)

    def work(tx: Transaction) -> None:
        def arrive(wave: list[tuple[int, State, tuple[Reason, ...]]]) -> None:
            for offset, state, quarantine in wave:
                at = NOW + offset * MICROSECOND
                tx.leads.add(lead(numbers.pop(), created_at=at, state=state, quarantine=quarantine))

        first, *later = waves
        arrive(first)
        expected = [view.id for view in tx.leads.page(replace(query, limit=100))]
        seen: list[LeadView] = []
        after: Position | None = None
        while page := tx.leads.page(replace(query, after=after)):
            assert len(page) <= query.limit
            seen += page
            after = Position(page[-1].created_at, page[-1].id)
            arrive(later.pop() if later else [])
        keys = [(view.created_at, view.id) for view in seen]

        assert keys == sorted(set(keys), reverse=not query.oldest_first)
        assert set(expected) <= {view.id for view in seen}
        raise TakenBack

    with pytest.raises(TakenBack):
        await database.write(FIRST_FIRM, work)


@pytest.mark.long
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries, arrivals, st.none() | st.builds(Position, offsets.map(lambda n: NOW + n * MICROSECOND), st.uuids()))
async def test_counting(database: Database, query: LeadQuery, wave: list[Any], after: Position | None) -> None:
    """As many are counted as are listed, whatever is asked for."""
    asked = replace(query, after=after)

    def work(tx: Transaction) -> None:
        for number, (offset, state, quarantine) in enumerate(wave, 1):
            at = NOW + offset * MICROSECOND
            tx.leads.add(lead(number, created_at=at, state=state, quarantine=quarantine))

        assert tx.leads.count(asked) == len(tx.leads.page(asked))
        raise TakenBack

    with pytest.raises(TakenBack):
        await database.write(FIRST_FIRM, work)


async def test_paths_in_use(database: Database) -> None:
    """Tells the files of leads from others."""
    await store(database, lead(1), lead(2))
    [one, two] = lead(1).resume.path, lead(2).resume.path

    used = await database.read(FIRST_FIRM, lambda tx: tx.leads.paths_in_use([one, two, "other.pdf"]))

    assert used == {one, two}
    assert await database.read(FIRST_FIRM, lambda tx: tx.leads.paths_in_use([])) == set()
