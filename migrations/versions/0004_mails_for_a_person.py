"""Mails that wait for a person are found by an index of their own, failed ones before held ones.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FOR_A_PERSON = sa.text("status IN ('failed', 'held')")


def upgrade() -> None:
    """Make the index. It is small: nearly all mails are sent."""
    op.create_index(
        "ix_deliveries_for_a_person",
        "deliveries",
        ["firm_id", "status", "created_at", "id"],
        sqlite_where=FOR_A_PERSON,
        postgresql_where=FOR_A_PERSON,
    )


def downgrade() -> None:
    """Drop it; then all mails that were not sent are looked through."""
    op.drop_index("ix_deliveries_for_a_person", "deliveries")
