"""A window that was divided is held against what its parts received.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("windows", sa.Column("rows_within", sa.BigInteger))
    op.add_column("windows", sa.Column("divided_at", instant))
    op.add_column("windows", sa.Column("undivided", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("windows", "undivided")
    op.drop_column("windows", "divided_at")
    op.drop_column("windows", "rows_within")
