"""The first schema, and the first firm.

Revision ID: 0001
Revises:
"""

import time
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FIRST_FIRM = UUID("00000000-0000-4000-8000-000000000001")
ID = sa.Uuid().with_variant(sa.LargeBinary(16), "sqlite")
UNSETTLED = sa.text("status <> 'sent'")
CONFIRMED = sa.text("purpose = 'confirmation' AND status <> 'held'")


def upgrade() -> None:
    """Make all tables, and the one firm there is."""
    op.create_table(
        "firms",
        sa.Column("id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_firms"),
    )
    op.create_table(
        "lead_words",
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("word", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_lead_words_firm_id"),
        sa.PrimaryKeyConstraint("firm_id", "word", "created_at", "lead_id", name="pk_lead_words"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "submissions",
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_submissions_firm_id"),
        sa.PrimaryKeyConstraint("firm_id", "key", name="pk_submissions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_submissions_lead_id", "submissions", ["lead_id"])
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_users_firm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("firm_id", "email_key", name="uq_users_firm_id_email_key"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_events_actor_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_events_firm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_lead_id_id", "events", ["lead_id", "id"])
    op.create_table(
        "leads",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("resume_path", sa.Text(), nullable=False),
        sa.Column("resume_name", sa.Text(), nullable=False),
        sa.Column("resume_kind", sa.Text(), nullable=False),
        sa.Column("resume_size", sa.BigInteger(), nullable=False),
        sa.Column("resume_sha256", sa.Text(), nullable=False),
        sa.Column("resume_flags", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("reached_out_at", sa.BigInteger(), nullable=True),
        sa.Column("reached_out_by", ID, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_leads_firm_id"),
        sa.ForeignKeyConstraint(["reached_out_by"], ["users.id"], name="fk_leads_reached_out_by"),
        sa.PrimaryKeyConstraint("id", name="pk_leads"),
        sa.UniqueConstraint("firm_id", "reference", name="uq_leads_firm_id_reference"),
        sa.UniqueConstraint("resume_path", name="uq_leads_resume_path"),
    )
    op.create_index("ix_leads_firm_id_created_at_id", "leads", ["firm_id", "created_at", "id"])
    op.create_index("ix_leads_firm_id_state_created_at_id", "leads", ["firm_id", "state", "created_at", "id"])
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=False),
        sa.Column("refresh_hash", sa.Text(), nullable=False),
        sa.Column("replaced_hash", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_sessions_firm_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("firm_id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claim_token", ID, nullable=True),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_deliveries_event_id"),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name="fk_deliveries_firm_id"),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name="fk_deliveries_lead_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_lead_id", "deliveries", ["lead_id"])
    op.create_index(
        "ix_deliveries_confirmed",
        "deliveries",
        ["firm_id", "mailbox", "created_at"],
        sqlite_where=CONFIRMED,
        postgresql_where=CONFIRMED,
    )
    op.create_index(
        "ix_deliveries_unsettled",
        "deliveries",
        ["firm_id", "due_at"],
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    )

    firms = sa.table("firms", sa.column("id", ID), sa.column("created_at", sa.BigInteger))
    first = FIRST_FIRM.bytes if op.get_bind().dialect.name == "sqlite" else FIRST_FIRM
    op.bulk_insert(firms, [{"id": first, "created_at": time.time_ns() // 1000}])


def downgrade() -> None:
    """Take everything away."""
    for table in ("submissions", "deliveries", "events", "lead_words", "leads", "sessions", "users", "firms"):
        op.drop_table(table)
