"""Leads: stored, changed, listed and searched."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leadintake.adapters.sql.tables import deliveries, lead_words, leads, submissions, users
from leadintake.application.ports import LeadQuery
from leadintake.application.views import LeadView, ReachedOutBy
from leadintake.domain.errors import NotFound, ReferenceTaken
from leadintake.domain.lead import Handled, Lead, Resume, State
from leadintake.domain.resume import Flag, Kind
from leadintake.domain.search import words

FEW = 5_000
"""So many matches of a word are fetched and sorted; above, walking the newest leads and filtering is faster."""

CHUNK = 200

ADD = sa.insert(leads)
ADD_WORDS = sa.insert(lead_words)
SHOWN = sa.select(leads, users.c.full_name.label("reached_out_name")).select_from(
    leads.outerjoin(users, leads.c.reached_out_by == users.c.id)
)
ONE = SHOWN.where(leads.c.firm_id == sa.bindparam("firm"), leads.c.id == sa.bindparam("lead"))


class SqlLeads:
    """The leads of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID) -> None:
        self._connection = connection
        self._firm_id = firm_id

    def add(self, lead: Lead) -> None:
        """Store a new lead and its search words; raises ReferenceTaken."""
        found = _words(lead)
        row = _columns(lead) | {"id": lead.id, "firm_id": self._firm_id, "words": _joined(found)}
        try:
            self._connection.execute(ADD, row)
        except IntegrityError as error:
            if "reference" in str(error.orig):
                raise ReferenceTaken from error
            raise
        self._connection.execute(ADD_WORDS, [self._word(lead, word) for word in found])

    def get(self, lead_id: UUID) -> Lead:
        """Load a lead to change it, locked until the transaction ends; raises NotFound."""
        row = self._one(ONE.with_for_update(of=leads), lead_id)
        by, at = row.reached_out_by, row.reached_out_at
        flags = frozenset(_flags(row))
        return Lead(
            row.id, row.reference, row.first_name, row.last_name, row.email,
            Resume(row.resume_path, row.resume_name, Kind(row.resume_kind), row.resume_size, row.resume_sha256, flags),
            row.created_at, row.updated_at, State(row.state), row.notes,
            Handled(by, row.reached_out_name, at) if by else None, row.version,
        )  # fmt: skip

    def save(self, lead: Lead) -> None:
        """Store what changed."""
        self._connection.execute(sa.update(leads).where(self._is(lead.id)), _columns(lead))

    def remove(self, lead: Lead) -> None:
        """Delete the lead with its notes, search words, deliveries and submission key. Its events stay."""
        for word in _words(lead):
            self._connection.execute(sa.delete(lead_words).filter_by(**self._word(lead, word)))
        self._connection.execute(sa.delete(submissions).where(submissions.c.lead_id == lead.id))
        self._connection.execute(sa.delete(deliveries).where(deliveries.c.lead_id == lead.id))
        self._connection.execute(sa.delete(leads).where(self._is(lead.id)))

    def view(self, lead_id: UUID) -> LeadView:
        """One lead as shown; raises NotFound."""
        return _view(self._one(ONE, lead_id))

    def page(self, query: LeadQuery) -> list[LeadView]:
        """The leads of a query, at most its limit; keyset paging, so that every page costs the same."""
        key = (leads.c.created_at, leads.c.id)
        conditions = [leads.c.firm_id == self._firm_id]
        if query.state is not None:
            conditions.append(leads.c.state == query.state)
        if query.words:
            rare = self._rarest(query)
            conditions += [leads.c.words.contains(f" {word}", autoescape=True) for word in query.words]
            if rare is not None:
                return self._of(rare, conditions, query.limit)
        if query.created_from is not None:
            conditions.append(leads.c.created_at >= query.created_from)
        if query.created_to is not None:
            conditions.append(leads.c.created_at < query.created_to)
        if query.after is not None:
            here, there = (
                sa.tuple_(*key),
                sa.tuple_(sa.literal(query.after.created_at, leads.c.created_at.type), query.after.id),
            )
            conditions.append(here > there if query.oldest_first else here < there)
        order = [column.asc() if query.oldest_first else column.desc() for column in key]
        rows = self._connection.execute(SHOWN.where(*conditions).order_by(*order).limit(query.limit))
        return [_view(row) for row in rows]

    def paths_in_use(self, paths: Collection[str]) -> set[str]:
        """Which of these resume paths some lead refers to."""
        used = sa.select(leads.c.resume_path).where(leads.c.resume_path.in_(paths))
        return set(self._connection.scalars(used))

    def _rarest(self, query: LeadQuery) -> list[UUID] | None:
        """The leads of the rarest word in the order asked for, or None when every word has more than FEW."""
        rarest: Sequence[sa.Row[datetime, UUID]] | None = None
        for word in query.words:
            prefix = lead_words.c.word.between(word, word + "\U0010ffff")
            matches = sa.select(lead_words.c.created_at, lead_words.c.lead_id).where(
                lead_words.c.firm_id == self._firm_id, prefix
            )
            if query.created_from is not None:
                matches = matches.where(lead_words.c.created_at >= query.created_from)
            if query.created_to is not None:
                matches = matches.where(lead_words.c.created_at < query.created_to)
            found = self._connection.execute(matches.limit(FEW + 1)).all()
            if len(found) <= FEW and (rarest is None or len(found) < len(rarest)):
                rarest = found
        if rarest is None:
            return None
        keys = {(created_at, lead_id) for created_at, lead_id in rarest}
        if query.after is not None:
            after = (query.after.created_at, query.after.id)
            keys = {key for key in keys if (key > after if query.oldest_first else key < after)}
        return [lead_id for _, lead_id in sorted(keys, reverse=not query.oldest_first)]

    def _of(self, ids: list[UUID], conditions: list[sa.ColumnElement[bool]], limit: int) -> list[LeadView]:
        """The first of these leads, in this order, that meet all conditions."""
        page: list[LeadView] = []
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            rows = self._connection.execute(SHOWN.where(leads.c.id.in_(chunk), *conditions))
            found = {row.id: row for row in rows}
            page += [_view(found[lead_id]) for lead_id in chunk if lead_id in found]
            if len(page) >= limit:
                break
        return page[:limit]

    def _one(self, statement: sa.Select[tuple[object, ...]], lead_id: UUID) -> sa.Row[tuple[object, ...]]:
        row = self._connection.execute(statement, {"firm": self._firm_id, "lead": lead_id}).one_or_none()
        if row is None:
            raise NotFound
        return row

    def _is(self, lead_id: UUID) -> sa.ColumnElement[bool]:
        return sa.and_(leads.c.firm_id == self._firm_id, leads.c.id == lead_id)

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
    }


def _flags(row: sa.Row[tuple[object, ...]]) -> list[Flag]:
    return [Flag(flag) for flag in row.resume_flags.split()]


def _view(row: sa.Row[tuple[object, ...]]) -> LeadView:
    by = row.reached_out_by
    return LeadView(
        row.id, row.reference, row.first_name, row.last_name, row.email, State(row.state), row.notes,
        row.resume_path, row.resume_name, Kind(row.resume_kind), row.resume_size, row.resume_sha256, _flags(row),
        row.created_at, row.updated_at, row.reached_out_at, ReachedOutBy(by, row.reached_out_name) if by else None,
        row.version,
    )  # fmt: skip
