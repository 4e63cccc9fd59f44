"""Owing: which mails a lead brings with it, unless it is in quarantine, and which replace one that failed."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from leadintake.application.ports.database import Transaction
from leadintake.application.ports.deliveries import Letter
from leadintake.domain import values
from leadintake.domain.delivery import Channel, Delivery, Purpose, Status, message_id
from leadintake.domain.lead import Lead
from leadintake.domain.people import account_key


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` within `period`."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class MailRules:
    """What a firm has settled about its mails. `attorney_email` None tells every active attorney."""

    domain: str
    attorney_email: str | None = None
    confirmations_per_mailbox: Limit | None = None
    confirmations_total: Limit | None = None


@dataclass(frozen=True, slots=True)
class Owing:
    """Makes the deliveries of a lead."""

    rules: MailRules
    new_id: Callable[[], UUID]

    def owed(self, tx: Transaction, leads: Sequence[Lead], now: datetime) -> list[Delivery]:
        """For each lead one confirmation for the prospect, and one notification for each attorney to be told."""
        told = [self.rules.attorney_email] if self.rules.attorney_email else tx.people.told_of_leads()
        held = self._over_cap(tx, leads, now)
        owed: list[Delivery] = []
        for lead in leads:
            status = Status.HELD if lead.id in held else Status.PENDING
            owed.append(self._delivery(lead.id, Purpose.CONFIRMATION, lead.email, status, now))
            owed += [self._delivery(lead.id, Purpose.NOTIFICATION, email, Status.PENDING, now) for email in told]
        return owed

    def owed_instead(self, tx: Transaction, failed: Letter, now: datetime) -> list[Delivery]:
        """When an attorney cannot be told of a lead, every admin is, unless told of it anyway."""
        if failed.purpose is not Purpose.NOTIFICATION:
            return []
        told = {
            account_key(delivery.recipient)
            for delivery in tx.deliveries.of_lead(failed.lead_id)
            if delivery.purpose is Purpose.NOTIFICATION
        }
        return [
            self._delivery(failed.lead_id, Purpose.NOTIFICATION, admin, Status.PENDING, now)
            for admin in tx.people.active_admins()
            if account_key(admin) not in told
        ]

    def _delivery(self, lead_id: UUID, purpose: Purpose, recipient: str, status: Status, now: datetime) -> Delivery:
        delivery_id = self.new_id()
        name = message_id(delivery_id, self.rules.domain)
        return Delivery(delivery_id, lead_id, Channel.EMAIL, purpose, recipient, status, name, now)

    def _over_cap(self, tx: Transaction, leads: Sequence[Lead], now: datetime) -> set[UUID]:
        """The leads whose confirmation could be somebody using the form to fill a stranger's mailbox."""
        per_mailbox, total = self.rules.confirmations_per_mailbox, self.rules.confirmations_total
        mailboxes = [values.mailbox(lead.email) for lead in leads]
        to_one: Counter[str] = Counter()
        to_all = 0
        # Always in this order, as counting may take a lock: else two would each wait for what the other has.
        if per_mailbox:
            for mailbox in sorted(set(mailboxes)):
                to_one[mailbox] = tx.outbox.count_confirmations(now - per_mailbox.period, mailbox, per_mailbox.count)
        if total and leads:
            to_all = tx.outbox.count_confirmations(now - total.period, None, total.count)
        over: set[UUID] = set()
        for lead, mailbox in zip(leads, mailboxes, strict=True):
            if (per_mailbox and to_one[mailbox] >= per_mailbox.count) or (total and to_all >= total.count):
                over.add(lead.id)
            else:
                to_one[mailbox] += 1
                to_all += 1
        return over
