"""A submission becomes a lead that is durable, confirmed and announced, or nothing at all."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count, repeat
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.practice import OPERATOR, Practice
from tests.records import FIRST_FIRM

from leadintake.application.intake import EMPTY_FILE, KEY_LIFETIME, NO_FILE
from leadintake.application.owing import Limit
from leadintake.application.ports.database import Database, Transaction, by_itself
from leadintake.application.staff import Update
from leadintake.application.views import EventView
from leadintake.domain.delivery import Purpose, Status
from leadintake.domain.errors import Invalid, KeyReused, Refused, Unavailable, WrongKind
from leadintake.domain.events import PROSPECT, EventKind
from leadintake.domain.lead import Notice
from leadintake.domain.people import Operator, Role
from leadintake.domain.resume import Finding, Flag, Kind
from leadintake.domain.values import EMPTY

A = TypeVar("A")
T = TypeVar("T")

PORTS = ("leads", "events", "outbox", "submissions", "people")
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
DEACTIVATED = Update(is_active=False)


class Fault(Exception):
    """What goes wrong in the middle of a submission."""


async def is_empty(practice: Practice) -> bool:
    """Whether nothing at all is stored but files."""

    def count_rows(tx: Transaction) -> int:
        counts = tx.deliveries.count_unsettled()
        return sum(counts.values()) + len(tx.leads.paths_in_use(practice.files.kept))

    return not await practice.database.read(FIRST_FIRM, count_rows) and not await practice.leads()


async def events_of(practice: Practice) -> list[EventView]:
    """The timeline of the only lead."""
    [lead] = await practice.leads()
    return await practice.database.read(FIRST_FIRM, lambda tx: tx.events.of_lead(lead.id))


async def test_a_submission_is_stored(practice: Practice) -> None:
    """Fields are stored as they are parsed, the file under a name of its own, and the timeline begins."""
    practice.files.inspect = lambda _: Finding(Kind.PDF, frozenset({Flag.ENCRYPTED}))
    receipt, is_repeat = await practice.submit(
        b"content", first_name=" Zoe\u0308 ", email=" zoe@client.example ", file_name="C:\\Zoë.pdf"
    )
    [lead] = await practice.leads()
    [event] = await events_of(practice)

    assert (receipt.id, receipt.reference, receipt.created_at) == (lead.id, lead.reference, practice.clock.at)
    assert not is_repeat
    assert (lead.first_name, lead.last_name, lead.email) == ("Zoë", "Lovelace", "zoe@client.example")
    assert (lead.resume_name, lead.resume_size, lead.resume_flags) == ("Zoë.pdf", 7, [Flag.ENCRYPTED])
    assert practice.files.kept.keys() == {lead.resume_path}
    assert lead.resume_path.endswith(".pdf")
    assert str(lead.id) not in lead.resume_path
    assert (event.kind, event.actor, event.at) == (EventKind.SUBMITTED, PROSPECT, practice.clock.at)


async def test_who_is_told(practice: Practice) -> None:
    """The prospect gets a confirmation and every active user a notification, and the worker is woken once."""
    await practice.user(Role.ADMIN, "ada")
    await practice.user(Role.ATTORNEY, "bea")
    gone = await practice.user(Role.ATTORNEY, "cleo")
    await practice.staff.update(OPERATOR, gone.id, DEACTIVATED)
    receipt, _ = await practice.submit()
    owed = await practice.deliveries(receipt.id)

    assert [(each.purpose, each.recipient, each.status) for each in owed] == [
        (Purpose.CONFIRMATION, "ada@client.example", Status.PENDING),
        (Purpose.NOTIFICATION, "ada@firm.example", Status.PENDING),
        (Purpose.NOTIFICATION, "bea@firm.example", Status.PENDING),
    ]
    assert practice.wakes == 1


async def test_one_address_is_told(practice: Practice) -> None:
    """Where the firm has one address for enquiries, that is told and nobody else."""
    await practice.user()
    practice.rules = replace(practice.rules, attorney_email="desk@firm.example")
    receipt, _ = await practice.submit()

    assert [each.recipient for each in await practice.deliveries(receipt.id)] == [
        "ada@client.example",
        "desk@firm.example",
    ]


async def test_message_ids(practice: Practice) -> None:
    """Each delivery has a Message-ID of its own, in the firm's domain, before it is tried."""
    await practice.user()
    await practice.submit()
    letters = await practice.dispatch.claim(100)

    assert [letter.message_id for letter in letters] == [f"<{letter.delivery_id}@firm.example>" for letter in letters]
    assert len({letter.message_id for letter in letters}) == 2


async def test_the_notice_is_recorded(practice: Practice) -> None:
    """What the prospect was told is in the event; a submission without it has none."""
    await practice.submit(notice=Notice("No relationship.", practice.clock.at))
    [event] = await events_of(practice)

    assert event.data["notice"] == "No relationship."
    assert datetime.fromisoformat(str(event.data["notice_shown_at"])) == practice.clock.at


async def test_the_file_is_judged_with_the_fields(practice: Practice) -> None:
    """One answer names a file that is missing, empty or of the wrong kind beside the fields that are wrong."""
    practice.files.inspect = lambda _: Finding(None, why="is a picture")
    told = []
    for content, file_name in ((b"", ""), (b"x", ""), (b"", "cv.pdf"), (b"x", "cv.pdf")):
        with pytest.raises(Invalid) as refused:
            await practice.submit(content, first_name="", file_name=file_name)
        told.append([(error.field, error.message) for error in refused.value.errors])

    assert told == [
        [("first_name", EMPTY), ("resume", NO_FILE)],
        [("first_name", EMPTY), ("resume", NO_FILE)],
        [("first_name", EMPTY), ("resume", EMPTY_FILE)],
        [("first_name", EMPTY), ("resume", "The file cv.pdf is a picture. Send a PDF file.")],
    ]
    assert await is_empty(practice)


async def test_every_wrong_field_is_named(practice: Practice) -> None:
    """One answer names all the fields that are wrong, and nothing is kept."""
    with pytest.raises(Invalid) as refused:
        await practice.submit(first_name="", last_name="\0", email="nobody")

    assert [error.field for error in refused.value.errors] == ["first_name", "last_name", "email"]
    assert await is_empty(practice)
    assert not practice.files.kept
    assert not practice.wakes


@pytest.mark.attack(82)
async def test_empty_file(practice: Practice) -> None:
    """An empty file is a field that is wrong."""
    with pytest.raises(Invalid) as refused:
        await practice.submit(b"")

    assert [error.field for error in refused.value.errors] == ["resume"]
    assert not practice.files.kept


@pytest.mark.parametrize("finding", [Finding(None, why="is a picture"), Finding(Kind.DOCX), Finding(Kind.TXT)])
async def test_wrong_kind_of_file(practice: Practice, finding: Finding) -> None:
    """A file of another kind is refused and not kept."""
    practice.files.inspect = lambda _: finding
    with pytest.raises(WrongKind):
        await practice.submit()

    assert await is_empty(practice)
    assert not practice.files.kept


@pytest.mark.attack(144)
async def test_a_repeat_has_no_effect(practice: Practice) -> None:
    """The same content under the same key again, however framed: the same receipt, no further effect."""
    first = await practice.submit(key="key", first_name="Zoë")
    practice.clock.advance(KEY_LIFETIME)
    again = await practice.submit(key="key", first_name=" Zoe\u0308", file_name="other name.pdf")
    [lead] = await practice.leads()

    assert (first, again) == ((first[0], False), (first[0], True))
    assert practice.files.kept.keys() == {lead.resume_path}
    assert len(await practice.deliveries(lead.id)) == len(await events_of(practice)) == practice.wakes == 1


@pytest.mark.parametrize(
    "change",
    [
        {"first_name": "Bea"},
        {"last_name": "Bea"},
        {"first_name": "AdaL", "last_name": "ovelace"},
        {"email": "b@client.example"},
        {"content": b"other"},
    ],
)
async def test_other_content_under_the_same_key(practice: Practice, change: dict[str, str]) -> None:
    """A key that was used for something else is refused, and nothing of the second is kept."""
    await practice.submit(key="key")
    with pytest.raises(KeyReused):
        await practice.submit(key="key", **change)  # type: ignore[arg-type] # content is bytes

    [lead] = await practice.leads()
    assert practice.files.kept.keys() == {lead.resume_path}


async def test_fields_do_not_run_into_each_other(practice: Practice) -> None:
    """What moves from one field to the next is other content."""
    await practice.submit(key="key", first_name="Ada M", last_name="King")
    with pytest.raises(KeyReused):
        await practice.submit(key="key", first_name="Ada", last_name="M King")


async def test_without_a_key_each_is_its_own(practice: Practice) -> None:
    """The same twice without a key, or under two keys, is two leads."""
    receipts = [await practice.submit(key=key) for key in (None, None, "one", "two")]

    assert len({receipt.id for receipt, _ in receipts}) == len(await practice.leads()) == 4


@pytest.mark.attack(151)
async def test_a_key_lasts_a_day(practice: Practice) -> None:
    """After a day the key is free for anything."""
    first, _ = await practice.submit(key="key")
    practice.clock.advance(KEY_LIFETIME + MOMENT)
    second, is_repeat = await practice.submit(key="key", first_name="Bea")

    assert first.id != second.id
    assert not is_repeat


@pytest.mark.attack(149)
async def test_a_refusal_leaves_the_key_free(practice: Practice) -> None:
    """What was refused has not used its key."""
    for wrong in ({"first_name": ""}, {"file_name": "cv.exe"}):
        with pytest.raises(Refused):
            await practice.submit(key="key", **wrong)  # type: ignore[arg-type] # no content among them
    _, is_repeat = await practice.submit(key="key")

    assert not is_repeat


async def test_erasing_frees_the_key(practice: Practice) -> None:
    """A key does not lead to a lead that was erased."""
    first, _ = await practice.submit(key="key")
    await practice.desk.erase(Operator(FIRST_FIRM), first.id)
    second, is_repeat = await practice.submit(key="key")

    assert first.id != second.id
    assert not is_repeat


@pytest.mark.asvs("V2.3.4")
@pytest.mark.attack(147)
async def test_many_at_once_with_one_key(practice: Practice) -> None:
    """Fifty of the same at once are one lead, one file, one set of deliveries; all get the same receipt (P13)."""
    await practice.user()
    answers = await asyncio.gather(*(practice.submit(key="key") for _ in range(50)))
    [lead] = await practice.leads()

    assert {receipt.id for receipt, _ in answers} == {lead.id}
    assert [is_repeat for _, is_repeat in answers].count(False) == 1
    assert practice.files.kept.keys() == {lead.resume_path}
    assert len(await practice.deliveries(lead.id)) == 2
    assert len(await events_of(practice)) == practice.wakes == 1


async def test_each_at_once_gets_its_own_answer(practice: Practice) -> None:
    """Of several that wait together, be they new, repeated, misused or suspicious, each is told what became of it."""
    await practice.user()
    practice.rules = replace(practice.rules, confirmations_per_mailbox=Limit(1, DAY))
    before, _ = await practice.submit(key="before")
    submissions = (
        practice.submit(email="new@client.example", key="new"),
        practice.submit(email="bot@client.example", trap="filled in"),
        practice.submit(key="before"),
        practice.submit(b"%PDF-1.7 other", key="before"),
        practice.submit(email="new@client.example"),
    )
    answers: list[Any] = [*await asyncio.gather(*submissions, return_exceptions=True)]
    new, suspicious, repeated, misused, over = answers

    assert repeated == (before, True)
    assert isinstance(misused, KeyReused)
    assert [lead.id for lead in await practice.leads()] == [before.id, new[0].id, over[0].id]
    assert [told for told, _ in practice.told] == [suspicious[0].id]
    assert {lead.resume_path for lead in await practice.leads()} < practice.files.kept.keys()
    assert len(practice.files.kept) == 4
    owed = {receipt.id: await practice.deliveries(receipt.id) for receipt, _ in (new, over, suspicious)}
    assert {lead: [each.status for each in mails] for lead, mails in owed.items()} == {
        new[0].id: [Status.PENDING, Status.PENDING],
        over[0].id: [Status.HELD, Status.PENDING],
        suspicious[0].id: [],
    }


async def test_a_reference_is_not_given_twice_at_once(practice: Practice) -> None:
    """When chance says the same for two that wait together, one of them gets another reference, and nobody loses."""
    practice.random = chain([1, 2, 7, 7, 3, 4], count(9))
    answers = await asyncio.gather(*(practice.submit(email=f"{number}@client.example") for number in range(2)))

    assert len({receipt.reference for receipt, _ in answers}) == 2
    assert [lead.id for lead in await practice.leads()] == sorted(receipt.id for receipt, _ in answers)


async def test_a_reference_is_not_given_twice(practice: Practice) -> None:
    """When chance repeats itself, another reference is drawn, and the key is the same one's still."""
    practice.random = chain([1, 7, 2, 7, 7, 8], count(9))
    first, _ = await practice.submit(key="one")
    second, _ = await practice.submit(key="two")

    assert (first.reference, second.reference) == ("LD-00000007", "LD-00000008")
    assert await practice.submit(key="two") == (second, True)


async def test_chance_is_broken(practice: Practice) -> None:
    """A source of chance that always says the same is a service that is not available."""
    practice.random = chain([1, 7, 2], repeat(7))
    await practice.submit()
    with pytest.raises(Unavailable):
        await practice.submit(key="key")

    assert len(await practice.leads()) == 1


@pytest.mark.asvs("V2.3.2", "V2.4.1")
@pytest.mark.attack(70)
async def test_confirmations_to_one_mailbox(practice: Practice) -> None:
    """Three a day go out to one mailbox, however its address is spelled; what is over is held, and all are stored."""
    practice.rules = replace(practice.rules, confirmations_per_mailbox=Limit(3, DAY))
    spellings = ["ada@client.example", "ADA@client.example", "ada+1@client.example", "Ada+2@client.example"]
    statuses = []
    for email in (*spellings, "bea@client.example"):
        receipt, _ = await practice.submit(email=email)
        statuses += [each.status for each in await practice.deliveries(receipt.id)]
    practice.clock.advance(DAY + MOMENT)
    receipt, _ = await practice.submit()

    assert statuses == [Status.PENDING] * 3 + [Status.HELD, Status.PENDING]
    assert [each.status for each in await practice.deliveries(receipt.id)] == [Status.PENDING]


@pytest.mark.asvs("V2.3.2")
@pytest.mark.attack(70)
async def test_confirmations_in_total(practice: Practice) -> None:
    """Of many at once to whomever no more go out than the firm allows; attorneys are told of all."""
    await practice.user()
    practice.rules = replace(practice.rules, confirmations_total=Limit(3, DAY))
    answers = await asyncio.gather(*(practice.submit(email=f"{number}@client.example") for number in range(10)))
    owed = [each for receipt, _ in answers for each in await practice.deliveries(receipt.id)]

    confirmations = [each.status for each in owed if each.purpose is Purpose.CONFIRMATION]
    assert (confirmations.count(Status.PENDING), confirmations.count(Status.HELD)) == (3, 7)
    assert [each.status for each in owed if each.purpose is Purpose.NOTIFICATION] == [Status.PENDING] * 10


@dataclass
class FaultyDatabase:
    """A database whose transactions fail at some call of a repository, or at the end of their work."""

    database: Database
    error: Exception
    at: int
    calls: int = 0

    async def read(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        return await self.database.read(firm_id, work)

    async def glance(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        return await self.database.glance(firm_id, work)

    async def write(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        def faulty(tx: Transaction) -> T:
            guarded: Any = SimpleNamespace(**{port: Guarded(self, getattr(tx, port)) for port in PORTS})
            result = work(guarded)
            self.count()
            return result

        return await self.database.write(firm_id, faulty)

    async def write_together(
        self, firm_id: UUID, work: Callable[[Transaction, Sequence[A]], Sequence[T | Exception]], task: A
    ) -> T:
        return await by_itself(self, firm_id, work, task)

    async def ping(self) -> None:
        await self.database.ping()

    def count(self) -> None:
        """Fail when it is time to, and from then on."""
        self.calls += 1
        if self.calls >= self.at:
            raise self.error


@dataclass
class Guarded:
    """A repository of such a transaction."""

    faults: FaultyDatabase
    repository: object

    def __getattr__(self, name: str) -> object:
        self.faults.count()
        return getattr(self.repository, name)


@pytest.mark.asvs("V2.3.3")
@pytest.mark.attack(18, 149)
@pytest.mark.parametrize(
    ("error", "expected"),
    [(Fault(), Fault), (sa.exc.OperationalError("", None, Exception("disk I/O error")), Unavailable)],
)
async def test_a_fault_leaves_nothing(practice: Practice, error: Exception, expected: type[Exception]) -> None:
    """Wherever a submission fails, nothing of it is stored, and the same again is stored whole (P1)."""
    await practice.user()
    practice.rules = replace(practice.rules, confirmations_per_mailbox=Limit(3, DAY), confirmations_total=Limit(3, DAY))
    working = practice.database
    for at in count(1):
        practice.database = faulty = FaultyDatabase(working, error, at)
        [answer] = await asyncio.gather(practice.submit(key="key"), return_exceptions=True)
        practice.database = working
        if faulty.calls < at:
            break
        assert isinstance(answer, expected)
        assert await is_empty(practice)
        assert practice.wakes == 0
    [lead] = await practice.leads()

    assert at > 8
    assert len(await practice.deliveries(lead.id)) == 2
    assert len(await events_of(practice)) == practice.wakes == 1


async def test_an_uncertain_end_keeps_the_file(practice: Practice) -> None:
    """When it is not known whether the lead was stored its file stays, because a lead must never lack it (P4)."""
    practice.database = FaultyDatabase(practice.database, Unavailable(), at=1)
    with pytest.raises(Unavailable):
        await practice.submit()

    assert len(practice.files.kept) == 1
