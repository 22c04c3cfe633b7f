"""Tables for publishing: which partitions changed, what was published, and the mirror's name in its tables.

Revision ID: 0019
Revises: 0018
"""

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "partition_changes",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("change_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "month", name=op.f("pk_partition_changes")),
    )
    op.create_index(op.f("ix_partition_changes_change_number"), "partition_changes", ["change_number"])
    op.create_table(
        "publications",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("change_id", sa.BigInteger, nullable=False),
        sa.Column("as_of", instant),
        sa.Column("version", sa.BigInteger),
        sa.Column("published_at", instant),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
    )
    publisher = op.create_table(
        "publisher",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publisher")),
        sa.CheckConstraint("id = 1", name=op.f("ck_publisher_one_row")),
    )
    op.execute(sa.insert(publisher).values(id=1, name=secrets.token_hex(8)))


def downgrade() -> None:
    op.drop_table("publisher")
    op.drop_table("publications")
    op.drop_table("partition_changes")
