"""A cancel keeps the task that it was armed for.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commands", sa.Column("target", sa.Text()))


def downgrade() -> None:
    op.drop_column("commands", "target")
