"""Search, whichever plan the database takes, finds what a look at every lead finds."""

from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.names import real_names
from tests.records import FIRST_FIRM, NOW, SECOND_FIRM, lead

from leadintake.adapters.sql.listing import FEW, NEAREST
from leadintake.application.ports.database import Database, LeadQuery, Position, Transaction
from leadintake.application.views import LeadView
from leadintake.domain.lead import Lead, State
from leadintake.domain.search import query_words, words
from leadintake.domain.suspicion import Reason

MATCHES = {"x": FEW + 10, "y": FEW + 10, "z": NEAREST + 10}
OFTEN = [
    lead(number, first_name=" ".join(f"{word}{number}{n}" for word in MATCHES for n in range(MATCHES[word] // 10)))
    for number in range(101, 111)
]
"""Ten leads of so many words that more than FEW begin with an x, and with a y, and more than NEAREST with a z."""


class TakenBack(Exception):
    """What ends a transaction of a test, so that the next begins with the same rows."""


words_of = cache(words)


def matches(each: Lead, query: LeadQuery) -> bool:
    """Whether a query means a lead."""
    text = words_of(f"{each.first_name} {each.last_name} {each.email} {each.reference}")
    return (
        all(any(word.startswith(part) for word in text) for part in query.words)
        and query.state in {None, each.state}
        and query.quarantined is bool(each.quarantine)
        and (query.created_from is None or query.created_from <= each.created_at)
        and (query.created_to is None or each.created_at < query.created_to)
    )


def oracle(leads: list[Lead], query: LeadQuery) -> list[UUID]:
    """What a query should return, found by looking at every lead."""
    keys = sorted((each.created_at, each.id) for each in leads if matches(each, query))
    if query.after is not None:
        after = (query.after.created_at, query.after.id)
        keys = [key for key in keys if (key > after if query.oldest_first else key < after)]
    ids = [lead_id for _, lead_id in (keys if query.oldest_first else reversed(keys))]
    return ids[: query.limit]


hours = st.integers(0, 3).map(lambda n: NOW + timedelta(hours=n))
states = st.sampled_from(State)
names = st.lists(st.text("xyzXéłß0'_%", min_size=1, max_size=3), min_size=1, max_size=3).map(" ".join)
reasons = st.sampled_from([(), (), (Reason.TRAP,)])
some_leads = st.lists(st.tuples(names, names, hours, states, reasons), min_size=1, max_size=8).map(
    lambda drawn: [
        lead(number, first_name=first, last_name=last, created_at=at, state=state, quarantine=quarantine)
        for number, (first, last, at, state, quarantine) in enumerate(drawn, 1)
    ]
)
queries = st.builds(
    LeadQuery,
    words=st.lists(st.text("xyzéł0", min_size=1, max_size=2), min_size=1, max_size=3).map(
        lambda parts: query_words(" ".join(parts))
    ),
    state=st.none() | states,
    created_from=st.none() | hours,
    created_to=st.none() | hours,
    oldest_first=st.booleans(),
    limit=st.integers(1, 10),
    after=st.none() | st.builds(Position, hours, st.integers(0, 9).map(lambda number: UUID(int=number))),
)


@pytest.fixture
async def searched(database: Database) -> Database:
    """A database whose first firm has words that are frequent."""

    def work(tx: Transaction) -> None:
        for each in OFTEN:
            tx.leads.add(each)

    await database.write(FIRST_FIRM, work)
    return database


@pytest.mark.long
@pytest.mark.parametrize(("firm", "there"), [(FIRST_FIRM, OFTEN), (SECOND_FIRM, [])], ids=["frequent", "rare"])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leads=some_leads, asked=st.lists(queries, min_size=1, max_size=4))
async def test_search_finds_what_is_there(
    searched: Database, firm: UUID, there: list[Lead], leads: list[Lead], asked: list[LeadQuery]
) -> None:
    """Random names, random queries, in words that are frequent, rare or both."""

    def work(tx: Transaction) -> None:
        for each in leads:
            tx.leads.add(each)
        for query in asked:
            assert [view.id for view in tx.leads.page(query)] == oracle(leads + there, query)
        raise TakenBack

    with pytest.raises(TakenBack):
        await searched.write(firm, work)


async def test_names_of_every_script_are_found(database: Database) -> None:
    """A real name is found by its first letters, and by all of them."""
    names = [name for name in real_names()[::17] if words(name)]
    stored = [lead(number, first_name=name) for number, name in enumerate(names, 1)]

    def work(tx: Transaction) -> None:
        for each in stored:
            tx.leads.add(each)
        for each in stored:
            for typed in (each.first_name[:3], each.first_name):
                found = tx.leads.page(LeadQuery(words=query_words(typed), limit=len(stored)))

                assert each.id in {view.id for view in found}

    await database.write(FIRST_FIRM, work)


def page_and_count(tx: Transaction, query: LeadQuery) -> tuple[list[LeadView], int]:
    """What a search finds, and how many."""
    return tx.leads.page(query), tx.leads.count(query)


@pytest.mark.parametrize("quarantine", [(), (Reason.TRAP,)], ids=["listed", "quarantined"])
async def test_a_reference_is_found_as_it_was_heard(database: Database, quarantine: tuple[Reason, ...]) -> None:
    """O for 0 and I or L for 1, with or without dash and LD; but words that somebody has mean that."""
    listed = LeadQuery(quarantined=bool(quarantine))

    def work(tx: Transaction) -> None:
        tx.leads.add(lead(1, reference="LD-VASS0YV1", quarantine=quarantine))
        tx.leads.add(lead(2, reference="LD-ADAM1000", quarantine=quarantine))
        tx.leads.add(lead(3, reference="LD-00000003", last_name="Adamiooo", quarantine=quarantine))

    await database.write(FIRST_FIRM, work)

    for typed, found in {
        "LD-VASSOYVL": [1], "vassoyvi": [1], "ldvass0yv1": [1], "LD VASS OYVI": [1],
        "adamiooo": [3], "adamlooo": [2], "LD-VASSOYVO": [],
    }.items():  # fmt: skip
        query = replace(listed, words=query_words(typed))
        page, count = await database.read(FIRST_FIRM, partial(page_and_count, query=query))

        assert ([view.id.int for view in page], count) == (found, len(found)), typed


@pytest.mark.asvs("V1.2.4")
@pytest.mark.attack(55)
@pytest.mark.parametrize("text", ["\0", "\ud800", "%", "_", "\\", "'; DROP TABLE leads; --", "a" * 64 + "b", "ſﬁ½"])
async def test_strange_names(database: Database, text: str) -> None:
    """A name that means something to a database, or that no database could keep as it is, does no harm as a query."""
    plain = text.replace("\0", "").replace("\ud800", "")
    await database.write(FIRST_FIRM, lambda tx: tx.leads.add(lead(1, first_name=f"{plain} a")))
    await database.write(FIRST_FIRM, lambda tx: tx.leads.add(lead(2, first_name="Zoë")))

    found = await database.read(FIRST_FIRM, lambda tx: tx.leads.page(LeadQuery(words=words(f"{text} a"))))

    assert lead(1).id in {view.id for view in found}
    assert (lead(2).id in {view.id for view in found}) == (words(f"{text} a") == ["a"])
