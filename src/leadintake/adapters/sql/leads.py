"""Leads: stored, changed and erased."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leadintake.adapters.sql import listing
from leadintake.adapters.sql.hot import insert
from leadintake.adapters.sql.lead_views import fetch_views, select_views
from leadintake.adapters.sql.tables import (
    CONFIRMED,
    IN_QUARANTINE,
    NOT_IN_QUARANTINE,
    deliveries,
    lead_words,
    leads,
    submissions,
)
from leadintake.application.ports.database import LeadQuery
from leadintake.application.views import LeadView
from leadintake.domain.errors import NotFound, ReferenceTaken
from leadintake.domain.lead import Handled, Lead, Resume, State
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.search import words
from leadintake.domain.suspicion import Reason

IS_IT = (leads.c.firm_id == sa.bindparam("firm"), leads.c.id == sa.bindparam("lead"))
ONE = select_views(leads).where(*IS_IT)
WORDS = sa.select(leads.c.words).where(*IS_IT)
OF_MAILBOX = (
    select_views(leads.join(deliveries, deliveries.c.lead_id == leads.c.id))
    .where(deliveries.c.firm_id == sa.bindparam("firm"), deliveries.c.mailbox == sa.bindparam("mailbox"), CONFIRMED)
    .order_by(deliveries.c.created_at.desc())
    .limit(sa.bindparam("most"))
)


class SqlLeads:
    """The leads of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID, *, locks: bool) -> None:
        self._connection = connection
        self._firm_id = firm_id
        self._locks = locks

    def add(self, *new: Lead) -> None:
        """Store new leads, and their search words unless they are in quarantine; raises ReferenceTaken."""
        found = [(lead, _words(lead)) for lead in new]
        rows = [
            _columns(lead) | {"id": lead.id, "firm_id": self._firm_id, "words": _joined(words)} for lead, words in found
        ]
        try:
            insert(self._connection, leads, rows)
        except IntegrityError as error:
            if "reference" in str(error.orig):
                raise ReferenceTaken from error
            raise
        self._index((lead, words) for lead, words in found if not lead.quarantine)

    def get(self, lead_id: UUID) -> Lead:
        """Load a lead to change it, locked until a writing transaction ends; raises NotFound.

        Locked first: having waited for a lock, PostgreSQL joins the changed row with what belonged to the old one.
        """
        if self._locks:
            self._connection.execute(sa.select(leads.c.id).where(self._is(lead_id)).with_for_update())
        row = self._one(ONE, lead_id)
        resume = Resume(
            path=row.resume_path,
            name=row.resume_name,
            kind=Kind(row.resume_kind),
            size=row.resume_size,
            sha256=row.resume_sha256,
            flags=frozenset(map(Flag, row.resume_flags.split())),
        )
        by, at = row.reached_out_by, row.reached_out_at
        return Lead(
            id=row.id,
            reference=row.reference,
            first_name=row.first_name,
            last_name=row.last_name,
            email=row.email,
            resume=resume,
            created_at=row.created_at,
            updated_at=row.updated_at,
            state=State(row.state),
            notes=row.notes,
            reached_out=Handled(by, row.reached_out_name, at) if by else None,
            version=row.version,
            quarantine=tuple(map(Reason, (row.quarantine or "").split())),
        )

    def save(self, lead: Lead) -> None:
        """Store what changed."""
        self._connection.execute(sa.update(leads).where(self._is(lead.id)), _columns(lead))

    def release(self, lead: Lead) -> None:
        """Store a lead that was in quarantine until now, and the search words that it was stored with."""
        self.save(lead)
        self._index([(lead, self._one(WORDS, lead.id).words.split())])

    def remove(self, lead: Lead) -> None:
        """Delete the lead with its notes, search words, deliveries and submission key. Its events stay.

        The words are those it was stored with: folded by a newer Python, others might come out and some stay behind.
        """
        for word in self._one(WORDS, lead.id).words.split():
            self._connection.execute(sa.delete(lead_words).filter_by(**self._word(lead, word)))
        self._connection.execute(sa.delete(submissions).where(submissions.c.lead_id == lead.id))
        self._connection.execute(sa.delete(deliveries).where(deliveries.c.lead_id == lead.id))
        self._connection.execute(sa.delete(leads).where(self._is(lead.id)))

    def view(self, lead_id: UUID) -> LeadView:
        """One lead as shown; raises NotFound."""
        found = fetch_views(self._connection, ONE, {"firm": self._firm_id, "lead": lead_id})
        if not found:
            raise NotFound
        return found[0]

    def page(self, query: LeadQuery) -> list[LeadView]:
        """The leads of a query, at most its limit."""
        return listing.page(self._connection, self._firm_id, query)

    def count(self, query: LeadQuery) -> int:
        """How many leads a query has, counted up to its limit."""
        return listing.count(self._connection, self._firm_id, query)

    def of_mailbox(self, mailbox: str, limit: int) -> list[LeadView]:
        """The newest leads whose confirmation is for this domain.values.mailbox, unless it is held."""
        return fetch_views(self._connection, OF_MAILBOX, {"firm": self._firm_id, "mailbox": mailbox, "most": limit})

    def expired(self, unchanged_since: datetime, limit: int) -> list[UUID]:
        """Some that were reached out to, or are in quarantine, and that nobody has changed since that moment.

        What has not changed since is as old at least, and that is what the lists have indexes for.
        """
        times = (leads.c.created_at < unchanged_since, leads.c.updated_at < unchanged_since)
        old = sa.select(leads.c.id).where(leads.c.firm_id == self._firm_id, *times)
        answered = old.where(NOT_IN_QUARANTINE, leads.c.state == State.REACHED_OUT)
        return list(self._connection.scalars(sa.union_all(answered, old.where(IN_QUARANTINE)).limit(limit)))

    def paths_in_use(self, paths: Collection[str]) -> set[str]:
        """Which of these resume paths some lead refers to, of whatever firm."""
        used = sa.select(leads.c.resume_path).where(leads.c.resume_path.in_(paths))
        return set(self._connection.scalars(used))

    def _one(self, statement: sa.Select[tuple[object, ...]], lead_id: UUID) -> sa.Row[tuple[object, ...]]:
        row = self._connection.execute(statement, {"firm": self._firm_id, "lead": lead_id}).one_or_none()
        if row is None:
            raise NotFound
        return row

    def _is(self, lead_id: UUID) -> sa.ColumnElement[bool]:
        return sa.and_(leads.c.firm_id == self._firm_id, leads.c.id == lead_id)

    def _index(self, found: Iterable[tuple[Lead, list[str]]]) -> None:
        insert(self._connection, lead_words, [self._word(lead, word) for lead, words in found for word in words])

    def _word(self, lead: Lead, word: str) -> dict[str, object]:
        return {"firm_id": self._firm_id, "word": word, "created_at": lead.created_at, "lead_id": lead.id}


def _words(lead: Lead) -> list[str]:
    """What a lead is found by."""
    return words(f"{lead.first_name} {lead.last_name} {lead.email} {lead.reference}")


def _joined(found: list[str]) -> str:
    """All words in one text, each behind a space, so that " ab" is in it exactly when some word begins with ab."""
    return "".join(f" {word}" for word in found)


def _columns(lead: Lead) -> dict[str, object]:
    resume, handled = lead.resume, lead.reached_out
    return {
        "reference": lead.reference,
        "first_name": lead.first_name,
        "last_name": lead.last_name,
        "email": lead.email,
        "state": lead.state,
        "notes": lead.notes,
        "resume_path": resume.path,
        "resume_name": resume.name,
        "resume_kind": resume.kind,
        "resume_size": resume.size,
        "resume_sha256": resume.sha256,
        "resume_flags": " ".join(sorted(resume.flags)),
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
        "reached_out_at": handled.at if handled else None,
        "reached_out_by": handled.by if handled else None,
        "version": lead.version,
        "quarantine": " ".join(lead.quarantine) or None,
    }
