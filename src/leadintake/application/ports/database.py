"""What the use cases need from a database.

Work is a plain function, so that nothing slow is awaited while its transaction is open. Where it runs, how often, and
with how many others in one commit is up to the database; so it changes nothing but through its transaction.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from leadintake.application.ports.deliveries import Deliveries, Outbox
from leadintake.application.ports.people import People
from leadintake.application.views import EventView, LeadView, Receipt
from leadintake.domain.events import Event
from leadintake.domain.lead import Lead, State

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a lead stands in a list: a page ends there, or what is new begins."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class LeadQuery:
    """Which leads, in which order. Each of `words` has to be the beginning of a word of the lead.

    `created_from` is inclusive, `created_to` exclusive. With `quarantined` all of them are in quarantine, else none is.
    """

    state: State | None = None
    words: Sequence[str] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
    oldest_first: bool = False
    limit: int = 50
    after: Position | None = None
    quarantined: bool = False


class Leads(Protocol):
    """The leads of one firm."""

    def add(self, *new: Lead) -> None:
        """Store new leads; raises ReferenceTaken."""

    def get(self, lead_id: UUID) -> Lead:
        """Load a lead to change it, locked until a writing transaction ends; raises NotFound."""

    def save(self, lead: Lead) -> None:
        """Store what changed."""

    def release(self, lead: Lead) -> None:
        """Store a lead that was in quarantine until now, and let it be found like any other."""

    def remove(self, lead: Lead) -> None:
        """Delete the lead with its notes, search words, deliveries and submission key. Its events stay."""

    def view(self, lead_id: UUID) -> LeadView:
        """One lead as shown; raises NotFound."""

    def page(self, query: LeadQuery) -> list[LeadView]:
        """The leads of a query, at most its limit."""

    def count(self, query: LeadQuery) -> int:
        """How many leads a query has, counted up to its limit."""

    def of_mailbox(self, mailbox: str, limit: int) -> list[LeadView]:
        """The newest leads whose confirmation is for this domain.values.mailbox, unless it is held."""

    def expired(self, unchanged_since: datetime, limit: int) -> list[UUID]:
        """Some that were reached out to, or are in quarantine, and that nobody has changed since that moment."""

    def paths_in_use(self, paths: Collection[str]) -> set[str]:
        """Which of these resume paths some lead refers to, of whatever firm."""


class Events(Protocol):
    """The audit trail of one firm; events are added and read, never changed."""

    def add(self, *new: Event) -> list[int]:
        """Store events and return their ids, in their order."""

    def of_lead(self, lead_id: UUID, *, after: int = 0, limit: int | None = None) -> list[EventView]:
        """The timeline of a lead behind an event, oldest first; at most `limit`, or all. Empty when there is none."""

    def latest(self, lead_id: UUID, limit: int, *, before: int | None = None) -> list[EventView]:
        """The last `limit` events of a lead, or of those before one; the oldest of them first."""

    def removed(self, reference: str) -> UUID | None:
        """The lead that had this reference until it was erased or discarded. Looks through all events."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An Idempotency-Key with what was submitted under it."""

    key: str
    fingerprint: str
    receipt: Receipt


class Submissions(Protocol):
    """The Idempotency-Keys of one firm."""

    def claim(self, submission: Submission, expired_before: datetime) -> Submission | None:
        """Remember a submission, or return the one that has its key already, unless that is older."""

    def prune(self, expired_before: datetime) -> None:
        """Forget the keys older than that."""


class Transaction(Protocol):
    """One transaction, opened for a firm; it sees no other."""

    @property
    def leads(self) -> Leads: ...
    @property
    def events(self) -> Events: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def submissions(self) -> Submissions: ...
    @property
    def people(self) -> People: ...

    def database_created_at(self) -> datetime:
        """When the database was made, for whatever firm; a copy or a restored one is as old as what it came from."""


class Database(Protocol):
    """Runs work in a transaction. Raises Unavailable when it cannot; what the work raises passes through."""

    async def read(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        """Run work that changes nothing, on one consistent snapshot."""

    async def glance(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        """Run work that looks up a row or two by their keys, with one statement."""

    async def write(self, firm_id: UUID, work: Callable[[Transaction], T]) -> T:
        """Run work and return once its changes are durable. When it raises, none of them happened.

        Only after Unavailable they may have: the connection was lost, or the disk failed, while they were committed.
        It may be run more than once before it counts, so it changes nothing but what the transaction stores.
        """

    async def write_together(
        self, firm_id: UUID, work: Callable[[Transaction, Sequence[A]], Sequence[T | Exception]], task: A
    ) -> T:
        """Like `write`, for a task that may share its transaction with other waiting tasks of the same work.

        `work` is given all of them, and returns one outcome for each: a result, or an exception, which is raised for
        whoever asked; that task has changed nothing then. Where `work` itself raises, each task is tried alone.
        """

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""


def page_of(tx: Transaction, query: LeadQuery) -> tuple[list[LeadView], bool]:
    """The leads of a query, and whether there are more. For that, one more than its limit is looked up."""
    found = tx.leads.page(replace(query, limit=query.limit + 1))
    return found[: query.limit], len(found) > query.limit


async def by_itself(
    database: Database, firm_id: UUID, work: Callable[[Transaction, Sequence[A]], Sequence[T | Exception]], task: A
) -> T:
    """`write_together` with a transaction for each task."""
    (outcome,) = await database.write(firm_id, lambda tx: work(tx, [task]))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
