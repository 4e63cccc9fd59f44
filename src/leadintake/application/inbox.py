"""Inbox: what attorneys see of the leads before and while they work on one."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, LeadQuery, Position, Transaction, page_of
from leadintake.application.views import DeliveryView, EventView, LeadView, MailStatus, OwedMail
from leadintake.domain.delivery import Status
from leadintake.domain.lead import State
from leadintake.domain.people import Permission, Principal, User
from leadintake.domain.values import mailbox

COUNT_MAX = 1_000
"""Nothing is counted beyond, so that a count is as quick among ten million leads; it means "so many or more"."""

EVENTS_SHOWN = 100
"""So many of a timeline are shown at once. Notes save themselves, so a lead may have thousands of events."""

OTHERS_MAX = 10
"""So many leads of one mailbox are told of, beside the one that is shown."""

LATE_AFTER = timedelta(minutes=10)
"""What is due goes out within seconds, and a claim holds for five minutes; after ten, nobody is sending."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps mail from going out: how many deliveries failed, and since when the longest-waiting one is late."""

    failed: int
    late_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxPage:
    """One page of leads, the status of the mails of each, and figures about the inbox as a whole.

    `counts` and `quarantined` end at COUNT_MAX; `counts` and `newest` leave out the leads in quarantine. Where all that
    a search finds in its list is on this page, `elsewhere` is how many leads it would find outside that list, and
    `hidden` how many in quarantine.
    """

    items: list[LeadView]
    has_more: bool
    mails: dict[UUID, MailStatus]
    counts: dict[State, int]
    quarantined: int
    elsewhere: int
    hidden: int
    newest: Position | None
    trouble: Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadPage:
    """One lead with all that belongs to it, and its neighbours in the list that it was opened from.

    `events` are EVENTS_SHOWN at most, the oldest of them first; `has_earlier` says that there are some before them.
    `others` are the newest from the same mailbox, OTHERS_MAX at most.
    """

    lead: LeadView
    others: list[LeadView]
    events: list[EventView]
    has_earlier: bool
    deliveries: list[DeliveryView]
    previous: UUID | None
    next: UUID | None
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Inbox:
    """Each question is answered from one snapshot of the user's firm."""

    database: Database
    now: Clock

    async def page(self, user: User, query: LeadQuery) -> InboxPage:
        """The leads of a query, and what a page tells beside them."""
        user.require(Permission.WORK_LEADS)
        now = self.now()

        def work(tx: Transaction) -> InboxPage:
            items, has_more = page_of(tx, query)
            newest = tx.leads.page(LeadQuery(limit=1))
            quarantined = tx.leads.count(LeadQuery(quarantined=True, limit=COUNT_MAX))
            is_whole = bool(query.words) and query.after is None and not has_more
            return InboxPage(
                items=items,
                has_more=has_more,
                mails=_mails(tx, [lead.id for lead in items]),
                counts={state: tx.leads.count(LeadQuery(state=state, limit=COUNT_MAX)) for state in State},
                quarantined=quarantined,
                elsewhere=_elsewhere(tx, query, len(items)) if is_whole else 0,
                hidden=_hidden(tx, query) if is_whole and quarantined < COUNT_MAX else 0,
                newest=Position(newest[0].created_at, newest[0].id) if newest else None,
                trouble=_trouble(tx, now),
            )

        return await self.database.read(user.firm_id, work)

    async def lead(self, user: User, lead_id: UUID, query: LeadQuery, before: int | None = None) -> LeadPage:
        """One lead, and what comes before and after it in the list of a query; raises NotFound.

        Its last events are shown, or the last of those `before` one. The neighbours are found by where the lead
        stands, so there are some also when the list no longer has it. The query's `limit` and `after` do not matter.
        """
        user.require(Permission.WORK_LEADS)
        now = self.now()

        def work(tx: Transaction) -> LeadPage:
            lead = tx.leads.view(lead_id)
            events = tx.events.latest(lead_id, EVENTS_SHOWN + 1, before=before)
            onwards = replace(query, limit=1, after=Position(lead.created_at, lead.id))
            backwards = replace(onwards, oldest_first=not query.oldest_first)
            of_mailbox = tx.leads.of_mailbox(mailbox(lead.email), OTHERS_MAX + 1)
            return LeadPage(
                lead=lead,
                others=[other for other in of_mailbox if other.id != lead_id][:OTHERS_MAX],
                events=events[-EVENTS_SHOWN:],
                has_earlier=len(events) > EVENTS_SHOWN,
                deliveries=tx.deliveries.of_lead(lead_id),
                previous=_first(tx, backwards),
                next=_first(tx, onwards),
                trouble=_trouble(tx, now),
            )

        return await self.database.read(user.firm_id, work)

    async def arrived_since(self, user: User, position: Position | None, at_most: int = 100) -> int:
        """How many leads came after a position, or at all; counted up to `at_most`."""
        user.require(Permission.WORK_LEADS)
        newer = LeadQuery(oldest_first=True, limit=at_most, after=position)
        return await self.database.read(user.firm_id, lambda tx: tx.leads.count(newer))

    async def unsettled(self, user: User, limit: int = 200) -> list[OwedMail]:
        """What has not gone out: first what waits for a person, failed before held, then what is due first."""
        user.require(Permission.WORK_LEADS)
        return await self.database.read(user.firm_id, lambda tx: tx.deliveries.unsettled(limit))

    async def trouble(self, user: Principal) -> Trouble:
        """What keeps mail from going out."""
        user.require(Permission.WORK_LEADS)
        now = self.now()
        return await self.database.read(user.firm_id, lambda tx: _trouble(tx, now))


def _elsewhere(tx: Transaction, query: LeadQuery, found: int) -> int:
    if query.state is None and not query.quarantined:
        return 0
    everywhere = tx.leads.count(LeadQuery(words=query.words, limit=COUNT_MAX))
    return everywhere if query.quarantined else everywhere - found


def _hidden(tx: Transaction, query: LeadQuery) -> int:
    """Walks all of the quarantine, so not where that is flooded."""
    return 0 if query.quarantined else tx.leads.count(LeadQuery(words=query.words, quarantined=True, limit=COUNT_MAX))


def _mails(tx: Transaction, lead_ids: list[UUID]) -> dict[UUID, MailStatus]:
    statuses = tx.deliveries.statuses(lead_ids)
    return {lead_id: _worst(statuses.get(lead_id, set())) for lead_id in lead_ids}


def _worst(statuses: set[Status]) -> MailStatus:
    shown = {MailStatus.PENDING if status is Status.SENDING else MailStatus(status.value) for status in statuses}
    return next((mails for mails in MailStatus if mails in shown), MailStatus.NONE)


def _first(tx: Transaction, query: LeadQuery) -> UUID | None:
    return next((lead.id for lead in tx.leads.page(query)), None)


def _trouble(tx: Transaction, now: datetime) -> Trouble:
    since = tx.deliveries.waiting_since()
    return Trouble(
        tx.deliveries.count_failed(COUNT_MAX), since if since is not None and since < now - LATE_AFTER else None
    )
