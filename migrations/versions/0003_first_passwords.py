"""Passwords that somebody else set run out.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Passwords that are there already do not run out, whoever set them."""
    op.add_column("users", sa.Column("password_expires_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop it; then no password runs out."""
    op.drop_column("users", "password_expires_at")
