"""Intake: a submission becomes a lead that is durable, confirmed and announced, or nothing at all."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from leadintake.application.database import Database, Submission, Transaction
from leadintake.application.ports import Clock, FileStore, Upload
from leadintake.application.record import record
from leadintake.application.views import Receipt
from leadintake.domain import values
from leadintake.domain.delivery import Channel, Delivery, Purpose, Status
from leadintake.domain.errors import FieldError, Invalid, KeyReused, ReferenceTaken, Refused, Unavailable
from leadintake.domain.lead import Lead, Resume
from leadintake.domain.resume import Kind, accept, display_name

KEY_LIFETIME = timedelta(hours=24)
"""How long an Idempotency-Key is remembered."""

REFERENCE_TRIES = 5
"""A million leads make one collision in a million submissions; five in a row are a broken random source."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a prospect typed, as it came."""

    first_name: str
    last_name: str
    email: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` within `period`."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What a firm has settled about its submissions. `attorney_email` None tells every active attorney."""

    kinds: frozenset[Kind]
    mail_domain: str
    attorney_email: str | None = None
    confirmations_per_mailbox: Limit | None = None
    confirmations_total: Limit | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes submissions. `wake` tells the worker that there is something to send."""

    firm_id: UUID
    database: Database
    files: FileStore
    rules: IntakeRules
    address: Callable[[str], str]
    now: Clock
    new_id: Callable[[], UUID]
    random_bits: Callable[[int], int]
    wake: Callable[[], None]

    async def submit(self, form: Form, upload: Upload, key: str | None = None) -> tuple[Receipt, bool]:
        """Store a submission and return its receipt once that is durable, and whether it is a repeat of an earlier one.

        Raises Invalid, WrongKind, TooLarge, KeyReused or Unavailable; then nothing is stored.
        """
        first_name, last_name, email = self._prospect(form)
        received = await upload.finish()
        if not received.size:
            raise Invalid(FieldError("resume", "The file is empty. Choose another one."))
        kind = accept(form.file_name, received.finding, self.rules.kinds)
        path = f"{UUID(int=self.random_bits(128), version=4)}.{kind}"
        resume = Resume(
            path, display_name(form.file_name), kind, received.size, received.sha256, received.finding.flags
        )
        await upload.keep(resume)

        now = self.now()
        lead = Lead(self.new_id(), "", first_name, last_name, email, resume, created_at=now, updated_at=now)
        try:
            receipt = await self._store(lead, key)
        except Unavailable:
            raise  # It may have been stored all the same, so the file stays; the sweep removes it if not.
        except Refused:
            await self.files.remove(path)
            raise
        if receipt.id != lead.id:
            await self.files.remove(path)
            return receipt, True
        self.wake()
        return receipt, False

    def _prospect(self, form: Form) -> tuple[str, str, str]:
        """Parse all fields, so that one answer names everything that is wrong."""
        wrong: list[FieldError] = []

        def parsed(parse: Callable[[], str]) -> str:
            try:
                return parse()
            except Invalid as error:
                wrong.extend(error.errors)
                return ""

        first_name = parsed(lambda: values.name(form.first_name, "first_name"))
        last_name = parsed(lambda: values.name(form.last_name, "last_name"))
        email = parsed(lambda: self.address(form.email))
        if wrong:
            raise Invalid(*wrong)
        return first_name, last_name, email

    async def _store(self, lead: Lead, key: str | None) -> Receipt:
        for _ in range(REFERENCE_TRIES):
            named = replace(lead, reference=values.reference(self.random_bits(values.REFERENCE_BITS)))
            try:
                return await self.database.write(self.firm_id, partial(self._add, lead=named, key=key))
            except ReferenceTaken:
                continue
        raise Unavailable

    def _add(self, tx: Transaction, *, lead: Lead, key: str | None) -> Receipt:
        now = self.now()  # Taken in the order of the commits, so that no lead appears behind a page already read.
        lead = replace(lead, created_at=now, updated_at=now)
        receipt = Receipt(lead.id, lead.reference, now)
        if key is not None:
            submission = Submission(key, fingerprint(lead), receipt)
            earlier = tx.submissions.claim(submission, expired_before=now - KEY_LIFETIME)
            if earlier is not None:
                if earlier.fingerprint != submission.fingerprint:
                    raise KeyReused
                return earlier.receipt
        tx.leads.add(lead)
        record(tx, lead.submitted(), self._owed(tx, lead))
        return receipt

    def _owed(self, tx: Transaction, lead: Lead) -> list[Delivery]:
        """One confirmation for the prospect, and one notification for each attorney to be told."""
        told = [self.rules.attorney_email] if self.rules.attorney_email else tx.people.told_of_leads()
        held = self._is_over_cap(tx, lead.email, lead.created_at)
        confirmation = self._delivery(lead, Purpose.CONFIRMATION, lead.email, Status.HELD if held else Status.PENDING)
        return [confirmation, *(self._delivery(lead, Purpose.NOTIFICATION, email, Status.PENDING) for email in told)]

    def _delivery(self, lead: Lead, purpose: Purpose, recipient: str, status: Status) -> Delivery:
        delivery_id = self.new_id()
        message_id = f"<{delivery_id}@{self.rules.mail_domain}>"
        return Delivery(delivery_id, lead.id, Channel.EMAIL, purpose, recipient, status, message_id, lead.created_at)

    def _is_over_cap(self, tx: Transaction, email: str, now: datetime) -> bool:
        """Whether another confirmation could be somebody using the form to fill a stranger's mailbox."""
        caps = ((self.rules.confirmations_per_mailbox, values.mailbox(email)), (self.rules.confirmations_total, None))
        return any(
            cap and tx.outbox.confirmations(now - cap.period, mailbox, cap.count) >= cap.count for cap, mailbox in caps
        )


def fingerprint(lead: Lead) -> str:
    """What makes two submissions the same: the fields and the file's hash, not how they were framed."""
    content = f"{lead.first_name}\0{lead.last_name}\0{lead.email}\0{lead.resume.sha256}"
    return hashlib.sha256(content.encode()).hexdigest()
