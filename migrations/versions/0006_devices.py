"""Sessions say on which device they are.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Nobody knows where the sessions are that are there already."""
    op.add_column("sessions", sa.Column("device", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop it; then sessions are told apart by their times only."""
    op.drop_column("sessions", "device")
