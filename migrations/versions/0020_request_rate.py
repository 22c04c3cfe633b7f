"""One row with the request rate that all processes of one Postgres share.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    rate = op.create_table(
        "request_rate",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("interval_seconds", sa.Double),
        sa.Column("next_at", instant),
        sa.Column("paused_until", instant),
        sa.Column("slowed_at", instant),
        sa.CheckConstraint("id = 1", name=op.f("ck_request_rate_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_rate")),
    )
    op.bulk_insert(rate, [{"id": 1}])


def downgrade() -> None:
    op.drop_table("request_rate")
