"""Desk: what attorneys do with leads."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from leadintake.application.owing import Owing
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, LeadQuery, Position, Transaction, page_of
from leadintake.application.ports.files import FileStore
from leadintake.application.record import record
from leadintake.application.removal import remove
from leadintake.application.views import DeliveryView, EventView, LeadView
from leadintake.domain.delivery import RETRYABLE
from leadintake.domain.errors import NotFound, NotRetryable, Stale
from leadintake.domain.events import Event, EventKind
from leadintake.domain.lead import Lead, Resume, State, notes_seen
from leadintake.domain.people import Permission, Principal, User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Some leads, and where the next page starts if there is one."""

    items: list[LeadView]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of a lead; None leaves it. `versions` are those the change was made for, None means any.

    `seen_notes` is domain.lead.notes_seen of the notes that the writer saw; None lets the last writer win.
    """

    state: State | None = None
    notes: str | None = None
    versions: frozenset[int] | None = None
    seen_notes: str | None = None

    def is_stale(self, lead: Lead) -> bool:
        """Whether it was made for another version or other notes. Notes saved once more are no conflict."""
        if self.versions is not None and lead.version not in self.versions:
            return True
        return self.seen_notes not in {None, notes_seen(lead.notes)} and self.notes != lead.notes


@dataclass(frozen=True, slots=True)
class Desk:
    """Every verb is done by a user, in the user's firm."""

    database: Database
    files: FileStore
    owing: Owing
    now: Clock
    wake: Callable[[], None]

    async def page(self, user: User, query: LeadQuery, show: Callable[[Page], T]) -> T:
        """The leads of a query, rendered by `show` in the thread that reads them.

        Objects that another thread has made are slow to go through: rendered by the caller, a list of 50 takes 5 % more
        time.
        """
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> T:
            items, has_more = page_of(tx, query)
            return show(Page(items, Position(items[-1].created_at, items[-1].id) if has_more else None))

        return await self.database.read(user.firm_id, work)

    async def view(self, user: User, lead_id: UUID) -> LeadView:
        """One lead; raises NotFound."""
        user.require(Permission.WORK_LEADS)
        return await self.database.read(user.firm_id, lambda tx: tx.leads.view(lead_id))

    async def change(self, user: User, lead_id: UUID, change: Change) -> LeadView:
        """Change state, notes or both, or nothing: raises NotFound, Stale, IllegalTransition or Invalid."""
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> LeadView:
            lead = tx.leads.get(lead_id)
            if change.is_stale(lead):
                raise Stale
            now = self.now()
            events: list[Event | None] = []
            if change.state is not None:
                events.append(lead.move(change.state, by=user, at=now))
            if change.notes is not None:
                events.append(lead.annotate(change.notes, by=user.actor, at=now))
            tx.leads.save(lead)
            record(tx, *filter(None, events))
            return tx.leads.view(lead_id)

        return await self.database.write(user.firm_id, work)

    async def release(self, user: User, lead_id: UUID) -> LeadView:
        """Take a lead out of quarantine, and owe its mails from now on; raises NotFound or NotQuarantined."""
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> LeadView:
            lead, now = tx.leads.get(lead_id), self.now()
            event = lead.release(by=user, at=now)
            tx.leads.release(lead)
            record(tx, event, owed=self.owing.owed(tx, [lead], now))
            return tx.leads.view(lead_id)

        view = await self.database.write(user.firm_id, work)
        self.wake()
        return view

    async def discard(self, user: User, lead_id: UUID) -> None:
        """Delete a lead in quarantine as `erase` does; an event stays. Raises NotFound or NotQuarantined."""
        user.require(Permission.WORK_LEADS)
        await self._remove(user, lead_id, lambda lead: lead.discarded(by=user.actor, at=self.now()))

    async def open_resume(
        self, user: User, lead_id: UUID, *, by_link: bool = False
    ) -> tuple[Resume, str | AsyncIterator[bytes]]:
        """The resume and its bytes; or `by_link` an address that hands them out, where the store makes one.

        Writes down first who opened it. Raises NotFound or FileUnavailable.
        """
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> Resume:
            lead = tx.leads.get(lead_id)
            record(tx, lead.opened(by=user.actor, at=self.now()))
            return lead.resume

        resume = await self.database.write(user.firm_id, work)
        link = await self.files.link(resume) if by_link else None
        return resume, link or await self.files.open(resume)

    async def events(self, user: User, lead_id: UUID, *, after: int = 0, limit: int | None = None) -> list[EventView]:
        """The timeline of a lead, also of one that was erased, from behind an event. Raises NotFound."""
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> list[EventView]:
            timeline = tx.events.of_lead(lead_id, after=after, limit=limit)
            if not timeline and not tx.events.latest(lead_id, 1):
                raise NotFound
            return timeline

        return await self.database.read(user.firm_id, work)

    async def deliveries(self, user: User, lead_id: UUID) -> list[DeliveryView]:
        """The notifications of a lead; raises NotFound."""
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> list[DeliveryView]:
            tx.leads.view(lead_id)
            return tx.deliveries.of_lead(lead_id)

        return await self.database.read(user.firm_id, work)

    async def retry(self, user: Principal, delivery_id: UUID) -> DeliveryView:
        """Send a failed or held delivery again; raises NotFound or NotRetryable."""
        user.require(Permission.WORK_LEADS)

        def work(tx: Transaction) -> DeliveryView:
            delivery, lead_id = tx.deliveries.find(delivery_id)
            if delivery.status not in RETRYABLE:
                raise NotRetryable
            now = self.now()
            tx.outbox.retry(delivery_id, now)
            record(tx, Event(lead_id, EventKind.DELIVERY_RETRIED, now, user.actor, {"delivery_id": str(delivery_id)}))
            return tx.deliveries.find(delivery_id)[0]

        delivery = await self.database.write(user.firm_id, work)
        self.wake()
        return delivery

    async def erase(self, user: Principal, lead_id: UUID) -> None:
        """Delete a lead with its file, notes and owed mail; an event without content stays. Raises NotFound."""
        user.require(Permission.ERASE_LEADS)
        await self._remove(user, lead_id, lambda lead: lead.erased(by=user.actor, at=self.now()))

    async def _remove(self, user: Principal, lead_id: UUID, last_event: Callable[[Lead], Event]) -> None:
        await remove(self.database, self.files, user.firm_id, lead_id, last_event)
