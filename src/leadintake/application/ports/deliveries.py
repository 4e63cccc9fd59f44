"""What the use cases need for deliveries: what is owed, claimed and settled, how that is seen, and the way out."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from leadintake.application.views import DeliveryView, OwedMail
from leadintake.domain.delivery import Delivery, Purpose, Status


@dataclass(frozen=True, slots=True)
class Letter:
    """One claimed delivery, with the token that settles it and the facts its text is made from.

    `attempt` is 1 for the first try; `message_id` and `created_at` are the same in every attempt. `is_rescued`
    says that an earlier claim ran out: the letter may be what ended the process that had claimed it. `recipient_left`
    says that it would notify a user who was deactivated.
    """

    delivery_id: UUID
    token: UUID
    purpose: Purpose
    recipient: str
    attempt: int
    message_id: str
    created_at: datetime
    give_up_at: datetime
    event_id: str
    lead_id: UUID
    reference: str
    first_name: str
    last_name: str
    email: str
    resume_name: str
    is_rescued: bool = False
    recipient_left: bool = False


class Outbox(Protocol):
    """What one firm owes, and has sent. A claim is fenced by its token: whoever lost it can no longer settle it."""

    def add(self, owed: Iterable[tuple[Delivery, int]]) -> None:
        """Owe deliveries, each because of an event, of which this is the id."""

    def count_confirmations(self, since: datetime, mailbox: str | None, at_most: int) -> int:
        """Count up to `at_most` confirmations owed since then, to one mailbox or to all; held ones do not count."""

    def claim(
        self, now: datetime, limit: int, token: UUID, *, rescue: bool = True, is_idle: bool = False
    ) -> list[Letter]:
        """Take due deliveries for domain.delivery.LEASE, and with `rescue` one whose claim ran out; counts attempts.

        `is_idle` says that the caller is sending nothing. Where it is the only worker, any claim there is was left
        behind by a process that ended.
        """

    def mark_sent(self, delivery_ids: Sequence[UUID], token: UUID, at: datetime) -> int:
        """Mark deliveries as sent that were claimed together; returns how many, without those whose claim was lost."""

    def postpone(self, delivery_id: UUID, token: UUID, until: datetime, error: str) -> bool:
        """Let a claimed delivery wait for its next attempt until then; False when the claim was lost."""

    def give_back(self, delivery_id: UUID, token: UUID, at: datetime, error: str | None) -> bool:
        """Undo a claim: due again at `at`, the attempt not counted; False when it was lost. None keeps the error."""

    def fail(self, delivery_id: UUID, token: UUID, error: str) -> bool:
        """Give a claimed delivery up; False when the claim was lost."""

    def next_due(self) -> datetime | None:
        """When the next delivery is due or the next claim runs out."""

    def retry(self, delivery_id: UUID, now: datetime) -> None:
        """Owe it again from now on, for another domain.delivery.GIVE_UP_AFTER."""


class Deliveries(Protocol):
    """The deliveries of one firm as people see them. Nothing here changes one."""

    def of_lead(self, lead_id: UUID) -> list[DeliveryView]:
        """The deliveries of a lead, in the order they were owed."""

    def find(self, delivery_id: UUID) -> tuple[DeliveryView, UUID]:
        """One delivery, locked until a writing transaction ends, and its lead; raises NotFound."""

    def unsettled(self, limit: int, status: Status | None = None) -> list[OwedMail]:
        """Deliveries in one status, or in every one but `sent`: failed first, then held, then by when they are due."""

    def count_unsettled(self) -> dict[Status, int]:
        """How many deliveries are in each status but `sent`."""

    def count_failed(self, at_most: int, purpose: Purpose | None = None) -> int:
        """Count up to `at_most` failed deliveries that somebody may miss: of leads that nobody has reached out to yet.

        Users who were deactivated miss none.
        """

    def statuses(self, lead_ids: Collection[UUID]) -> dict[UUID, set[Status]]:
        """The statuses among the deliveries of each of these leads; a lead to which none belong is left out."""

    def waiting_since(self) -> datetime | None:
        """Since when a delivery is due. One that was claimed but never tried is due since it was owed."""


class Mailer(Protocol):
    """The way out for deliveries by e-mail."""

    @property
    def at_once(self) -> int:
        """How many letters may be under way together. Of more, some would only wait while their claims run out."""

    async def send(self, letter: Letter) -> str:
        """Return, once the other side has taken responsibility, how it put that; raises DeliveryFailed, ChannelDown."""
