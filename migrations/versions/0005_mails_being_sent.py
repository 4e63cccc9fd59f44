"""Mails that are being sent are found by an index of their own, however many wait.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SENDING = sa.text("status = 'sending'")


def upgrade() -> None:
    """Make the index. It is tiny: a process sends so many at once at most."""
    op.create_index(
        "ix_deliveries_sending", "deliveries", ["firm_id", "due_at"], sqlite_where=SENDING, postgresql_where=SENDING
    )


def downgrade() -> None:
    """Drop it; then whoever looks for claims that ran out looks through all mails that are due."""
    op.drop_index("ix_deliveries_sending", "deliveries")
