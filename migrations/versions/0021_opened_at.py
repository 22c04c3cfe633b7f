"""When a run began, by the database's clock: a sync that was asked for earlier takes it for its own.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("runs", sa.Column("opened_at", instant))


def downgrade() -> None:
    op.drop_column("runs", "opened_at")
