"""Leads may be in quarantine, and every list of leads has an index of its own.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IN_QUARANTINE = sa.text("quarantine IS NOT NULL")
NOT_IN_QUARANTINE = sa.text("quarantine IS NULL")
BY_TIME = ["firm_id", "created_at", "id"]
BY_STATE = ["firm_id", "state", "created_at", "id"]


def upgrade() -> None:
    """Add the column, and put indexes of those that are not in quarantine in place of those of all leads."""
    op.add_column("leads", sa.Column("quarantine", sa.Text(), nullable=True))
    for name, columns, condition in (
        ("ix_leads_listed", BY_TIME, NOT_IN_QUARANTINE),
        ("ix_leads_listed_by_state", BY_STATE, NOT_IN_QUARANTINE),
        ("ix_leads_quarantined", BY_TIME, IN_QUARANTINE),
    ):
        op.create_index(name, "leads", columns, sqlite_where=condition, postgresql_where=condition)
    op.drop_index("ix_leads_firm_id_created_at_id", "leads")
    op.drop_index("ix_leads_firm_id_state_created_at_id", "leads")


def downgrade() -> None:
    """Back to indexes of all leads. Those in quarantine are leads like any other then, with no mail owed."""
    op.create_index("ix_leads_firm_id_created_at_id", "leads", BY_TIME)
    op.create_index("ix_leads_firm_id_state_created_at_id", "leads", BY_STATE)
    for name in ("ix_leads_listed", "ix_leads_listed_by_state", "ix_leads_quarantined"):
        op.drop_index(name, "leads")
    op.drop_column("leads", "quarantine")
