"""What is known of the files that tasks ask about, and which responses were not understood completely.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("content_type", sa.Text),
        sa.Column("path", sa.Text),
        sa.Column("checked_at", instant),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_attachments")),
    )
    op.create_table(
        "unread_responses",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_unread_responses")),
    )


def downgrade() -> None:
    op.drop_table("unread_responses")
    op.drop_table("attachments")
