"""Intake: a submission becomes a lead that is durable, confirmed and announced, or nothing at all."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from leadintake.application.owing import Owing
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, Submission, Transaction
from leadintake.application.ports.files import FileStore, Received, Upload
from leadintake.application.record import record
from leadintake.application.views import Receipt
from leadintake.domain import values
from leadintake.domain.errors import (
    FieldError,
    Invalid,
    KeyReused,
    ReferenceTaken,
    Refused,
    Unavailable,
    WrongKind,
    parsed,
)
from leadintake.domain.events import Event
from leadintake.domain.lead import Lead, Notice, Resume
from leadintake.domain.resume import Kind, accept, display_name
from leadintake.domain.suspicion import FormTrace, Reason, suspicion

KEY_LIFETIME = timedelta(hours=24)
"""How long an Idempotency-Key is remembered."""

NO_FILE = "Choose a file."
EMPTY_FILE = "The file is empty. Choose another one."

IN_DOUBT = (
    "The service cannot do this right now, and it may or may not have been stored. "
    "Send it again in a moment, with the same Idempotency-Key: then it is stored once."
)
"""A transaction that fails is nearly always taken back; but one whose commit was under way may have succeeded."""

REFERENCE_TRIES = 5
"""A million leads make one collision in a million submissions; five in a row are a broken random source."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a prospect typed, unparsed, empty where a field is missing; and the notice above the form, if it is known.

    `trap` is what is in the hidden field of the page, its honeypot; None for a submission that came by the API.
    """

    first_name: str
    last_name: str
    email: str
    file_name: str
    notice: Notice | None = None
    trap: str | None = None

    def trace(self, now: datetime) -> FormTrace | None:
        """How the form was filled in, if it is the page's."""
        if self.trap is None:
            return None
        return FormTrace(bool(self.trap.strip()), now - self.notice.shown_at if self.notice else None)


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A lead to be stored, the notice that its prospect saw, and its Idempotency-Key."""

    lead: Lead
    notice: Notice | None
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Takes submissions of these kinds of files. What comes back within `fastest_person` is suspicious.

    `wake` tells the worker that there is something to send; `on_quarantine` hears of what went to quarantine, and why.
    """

    firm_id: UUID
    database: Database
    files: FileStore
    kinds: frozenset[Kind]
    fastest_person: timedelta
    owing: Owing
    address: Callable[[str], str]
    now: Clock
    new_id: Callable[[], UUID]
    random_bits: Callable[[int], int]
    wake: Callable[[], None]
    on_quarantine: Callable[[UUID, tuple[Reason, ...]], None]

    async def submit(self, form: Form, upload: Upload, key: str | None = None) -> tuple[Receipt, bool]:
        """Store a submission and return its receipt once that is durable, and whether it is a repeat of an earlier one.

        Raises Invalid, WrongKind, TooLarge or KeyReused, and nothing is stored then; or Unavailable, and it may be.
        Invalid names all that is wrong, the file too; a file of the wrong kind alone is WrongKind.
        """
        (first_name, last_name, email), wrong = self._prospect(form)
        resume = await upload.keep(partial(self._resume, form.file_name, wrong))

        now = self.now()
        lead = Lead(
            id=self.new_id(),
            reference="",  # Drawn anew with each attempt to store it.
            first_name=first_name,
            last_name=last_name,
            email=email,
            resume=resume,
            created_at=now,
            updated_at=now,
            quarantine=suspicion(first_name, last_name, form.trace(now), self.fastest_person),
        )
        try:
            receipt = await self._store(Enquiry(lead, form.notice, key))
        except Unavailable as error:
            raise Unavailable(IN_DOUBT) from error  # So the file stays; the sweep removes it if it is nobody's.
        except Refused:
            await self.files.remove(resume.path)
            raise
        if receipt.id != lead.id:
            await self.files.remove(resume.path)
            return receipt, True
        if lead.quarantine:
            self.on_quarantine(receipt.id, lead.quarantine)
        else:
            self.wake()
        return receipt, False

    def faults(self, form: Form) -> list[FieldError]:
        """What is wrong with the texts of a form whose file does not matter any more."""
        return self._prospect(form)[1]

    def _prospect(self, form: Form) -> tuple[tuple[str, str, str], list[FieldError]]:
        """Names and address, and all that is wrong with them."""
        (first_name, last_name, email), wrong = parsed(
            lambda: values.name(form.first_name, "first_name"),
            lambda: values.name(form.last_name, "last_name"),
            lambda: self.address(values.filled(form.email, "email")),
        )
        return (first_name, last_name, email), wrong

    def _resume(self, file_name: str, wrong: list[FieldError], received: Received) -> Resume:
        """What the file is called from now on; raises Invalid with all that is wrong, or WrongKind."""
        if not file_name or not received.size:
            raise Invalid(*wrong, FieldError("resume", EMPTY_FILE if file_name else NO_FILE))
        try:
            kind = accept(file_name, received.finding, self.kinds)
        except WrongKind as error:
            if wrong:
                raise Invalid(*wrong, FieldError("resume", error.detail)) from None
            raise
        if wrong:
            raise Invalid(*wrong)
        path = f"{UUID(int=self.random_bits(128), version=4)}.{kind}"
        return Resume(path, display_name(file_name), kind, received.size, received.sha256, received.finding.flags)

    async def _store(self, enquiry: Enquiry) -> Receipt:
        for _ in range(REFERENCE_TRIES):
            enquiry.lead.reference = values.reference(self.random_bits(values.REFERENCE_BITS))
            try:
                return await self.database.write_together(self.firm_id, self._add, enquiry)
            except ReferenceTaken:
                continue
        raise Unavailable

    def _add(self, tx: Transaction, enquiries: Sequence[Enquiry]) -> list[Receipt | KeyReused]:
        """Store what arrived at the same moment, with as many statements as one takes."""
        now = self.now()  # Taken in the order of the commits, so that no lead appears behind a page already read.
        answers: list[Receipt | KeyReused] = []
        leads: list[Lead] = []
        events: list[Event] = []
        for enquiry in enquiries:
            lead = enquiry.lead
            lead.created_at = lead.updated_at = now
            answer = self._claim_key(tx, enquiry.key, lead)
            answers.append(answer or Receipt(lead.id, lead.reference, now))
            if answer is None:
                leads.append(lead)
                events.append(lead.submitted(enquiry.notice))
        tx.leads.add(*leads)
        record(tx, *events, owed=self.owing.owed(tx, [lead for lead in leads if not lead.quarantine], now))
        return answers

    def _claim_key(self, tx: Transaction, key: str | None, lead: Lead) -> Receipt | KeyReused | None:
        """What to answer where the key was used before; None where it was not."""
        if key is None:
            return None
        receipt = Receipt(lead.id, lead.reference, lead.created_at)
        submission = Submission(key, fingerprint(lead), receipt)
        earlier = tx.submissions.claim(submission, expired_before=lead.created_at - KEY_LIFETIME)
        if earlier is None:
            return None
        return earlier.receipt if earlier.fingerprint == submission.fingerprint else KeyReused()


def fingerprint(lead: Lead) -> str:
    """What makes two submissions the same: the fields and the file's hash, not how they were framed."""
    content = f"{lead.first_name}\0{lead.last_name}\0{lead.email}\0{lead.resume.sha256}"
    return hashlib.sha256(content.encode()).hexdigest()
