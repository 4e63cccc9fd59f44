"""The tables, as the migrations make them. Every one carries firm_id."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from leadintake.domain.delivery import Purpose

FIRST_FIRM = UUID("00000000-0000-4000-8000-000000000001")
"""The practice that the first migration makes."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC: whole microseconds since 1970, which every database compares, sorts and indexes alike."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base's signature
        """Raises TypeError for a naive datetime."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base's signature
        """The moment as an aware datetime."""
        return None if value is None else EPOCH + value * MICROSECOND


class Id(sa.types.TypeDecorator[UUID]):
    """A UUID: 16 bytes in SQLite, where text of 32 would make the indexes half as large again; native elsewhere."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """BLOB or the database's own type."""
        return dialect.type_descriptor(sa.LargeBinary(16) if dialect.name == "sqlite" else sa.Uuid())

    def bind_processor(self, dialect: Dialect) -> Callable[[UUID | None], bytes | UUID | None] | None:
        """The bytes of a UUID in network order, which sort as it does. A lead with its mails has thirty of them."""
        return (lambda value: value and value.bytes) if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: bytes | UUID | None, dialect: Dialect) -> UUID | None:  # noqa: ARG002 - the base's signature
        """The UUID."""
        return UUID(bytes=value) if isinstance(value, bytes) else value


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _firm() -> sa.Column[UUID]:
    return sa.Column("firm_id", Id, sa.ForeignKey("firms.id"), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcDateTime, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _partial(name: str, condition: sa.TextClause, *columns: str) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


firms = sa.Table("firms", metadata, sa.Column("id", Id, primary_key=True), _moment("created_at"))

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _firm(),
    _text("email"),
    _text("email_key"),
    _text("full_name"),
    _text("role"),
    _text("password_hash"),
    sa.Column("is_active", sa.Boolean, nullable=False),
    _moment("created_at"),
    _moment("password_expires_at", nullable=True),
    sa.UniqueConstraint("firm_id", "email_key"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _firm(),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False, index=True),
    _moment("created_at"),
    _moment("refreshed_at"),
    _text("refresh_hash"),
    _text("replaced_hash", nullable=True),
    _text("device", nullable=True),
)

IN_QUARANTINE = sa.text("quarantine IS NOT NULL")
NOT_IN_QUARANTINE = sa.text("quarantine IS NULL")
UNSETTLED = sa.text("status <> 'sent'")
SENDING = sa.text("status = 'sending'")
FOR_A_PERSON = sa.text("status IN ('failed', 'held')")
CONFIRMED = sa.text("purpose = 'confirmation' AND status <> 'held'")
"""Conditions of partial indexes; queries repeat them word for word, or the index is not used."""

leads = sa.Table(
    "leads",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _firm(),
    _text("reference"),
    _text("first_name"),
    _text("last_name"),
    _text("email"),
    _text("words"),
    _text("state"),
    _text("notes"),
    sa.Column("resume_path", sa.Text, nullable=False, unique=True),
    _text("resume_name"),
    _text("resume_kind"),
    sa.Column("resume_size", sa.BigInteger, nullable=False),
    _text("resume_sha256"),
    _text("resume_flags"),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("reached_out_at", nullable=True),
    sa.Column("reached_out_by", Id, sa.ForeignKey("users.id"), nullable=True),
    sa.Column("version", sa.Integer, nullable=False),
    _text("quarantine", nullable=True),
    sa.UniqueConstraint("firm_id", "reference"),
    _partial("ix_leads_listed", NOT_IN_QUARANTINE, "firm_id", "created_at", "id"),
    _partial("ix_leads_listed_by_state", NOT_IN_QUARANTINE, "firm_id", "state", "created_at", "id"),
    _partial("ix_leads_quarantined", IN_QUARANTINE, "firm_id", "created_at", "id"),
)
"""`quarantine` has the reasons, separated by spaces, or NULL for a lead that is not in it: each list has an index."""

lead_words = sa.Table(
    "lead_words",
    metadata,
    _firm(),
    sa.Column("word", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
    _moment("created_at"),
    sa.Column("lead_id", Id, nullable=False),
    sa.PrimaryKeyConstraint("firm_id", "word", "created_at", "lead_id"),
    sqlite_with_rowid=False,
)
"""The search index: one row for each folded word of a lead. It is its own B-tree, so that a prefix is a range of it."""

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    _firm(),
    sa.Column("lead_id", Id, nullable=False),  # No foreign key: events outlive an erased lead.
    _text("kind"),
    _moment("at"),
    _text("actor_kind"),
    sa.Column("actor_id", Id, sa.ForeignKey("users.id"), nullable=True),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Index(None, "lead_id", "id"),
    sqlite_autoincrement=True,
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _firm(),
    sa.Column("lead_id", Id, sa.ForeignKey("leads.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("event_id", sa.BigInteger, sa.ForeignKey("events.id"), nullable=False),
    _text("channel"),
    _text("purpose"),
    _text("recipient"),
    _text("mailbox"),
    _text("status"),
    _text("message_id"),
    sa.Column("attempts", sa.Integer, nullable=False),
    _moment("due_at", nullable=True),
    sa.Column("claim_token", Id, nullable=True),
    _moment("give_up_at"),
    _moment("sent_at", nullable=True),
    _text("last_error", nullable=True),
    _moment("created_at"),
    _partial("ix_deliveries_unsettled", UNSETTLED, "firm_id", "due_at"),
    _partial("ix_deliveries_sending", SENDING, "firm_id", "due_at"),
    _partial("ix_deliveries_for_a_person", FOR_A_PERSON, "firm_id", "status", "created_at", "id"),
    _partial("ix_deliveries_confirmed", CONFIRMED, "firm_id", "mailbox", "created_at"),
)
"""The outbox. `due_at` is when a pending delivery is to go out and when the claim of a sending one runs out."""

OF_FIRM = deliveries.c.firm_id == sa.bindparam("firm")
"""For every statement about deliveries; whoever runs one names the firm."""

RECIPIENT_LEFT = sa.and_(
    deliveries.c.purpose == Purpose.NOTIFICATION.value,
    sa.exists().where(
        users.c.firm_id == deliveries.c.firm_id, users.c.email == deliveries.c.recipient, sa.not_(users.c.is_active)
    ),
)
"""Whether a delivery would notify a user who was deactivated."""

submissions = sa.Table(
    "submissions",
    metadata,
    _firm(),
    _text("key"),
    _text("fingerprint"),
    sa.Column("lead_id", Id, nullable=False, index=True),
    _text("reference"),
    _moment("created_at"),
    sa.PrimaryKeyConstraint("firm_id", "key"),
    sqlite_with_rowid=False,
)
"""Idempotency-Keys. No foreign key: a key is claimed before its lead is there."""
