"""Idempotency-Keys: the same submission twice has one effect."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from leadintake.adapters.sql.tables import submissions
from leadintake.application.ports.database import Submission
from leadintake.application.views import Receipt


class SqlSubmissions:
    """The Idempotency-Keys of one firm, in one transaction."""

    def __init__(self, connection: sa.Connection, firm_id: UUID) -> None:
        self._connection = connection
        self._firm_id = firm_id

    def claim(self, submission: Submission, expired_before: datetime) -> Submission | None:
        """Remember a submission, or return the one that has its key already, unless that is older.

        The insert decides, not a look beforehand, so that of two at once exactly one wins.
        """
        here = sa.and_(submissions.c.firm_id == self._firm_id, submissions.c.key == submission.key)
        self._connection.execute(sa.delete(submissions).where(here, submissions.c.created_at < expired_before))
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        receipt = submission.receipt
        claim = dialect.insert(submissions).values(
            firm_id=self._firm_id,
            key=submission.key,
            fingerprint=submission.fingerprint,
            lead_id=receipt.id,
            reference=receipt.reference,
            created_at=receipt.created_at,
        )
        if self._connection.execute(claim.on_conflict_do_nothing()).rowcount:
            return None
        row = self._connection.execute(sa.select(submissions).where(here)).one()
        return Submission(row.key, row.fingerprint, Receipt(row.lead_id, row.reference, row.created_at))

    def prune(self, expired_before: datetime) -> None:
        """Forget the keys older than that."""
        expired = sa.and_(submissions.c.firm_id == self._firm_id, submissions.c.created_at < expired_before)
        self._connection.execute(sa.delete(submissions).where(expired))
