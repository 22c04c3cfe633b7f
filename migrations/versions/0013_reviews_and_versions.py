"""Audits and attempts as rows, replaced responses, and what differs between two responses of a task.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None

# Frozen here: a later change of the tables in scalesync.db must not change what this migration does.
instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
KINDS = "'added', 'removed', 'relabelled', 'moved', 'changed', 'not_compared'"


def upgrade() -> None:
    op.create_table(
        "task_audits",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("source", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("comments", sa.Text),
        sa.Column("at", instant),
        sa.Column("audited_by", sa.Text),
        sa.Column("seconds", sa.Double),
        sa.Column("extra", json),
        sa.PrimaryKeyConstraint("task_id", "ordinal", name=op.f("pk_task_audits")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_attempts",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("response", json),
        sa.Column("extra", json),
        sa.PrimaryKeyConstraint("task_id", "ordinal", name=op.f("pk_task_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "replaced_responses",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("response_digest", sa.Text, nullable=False),
        sa.Column("first_seen_at", instant, nullable=False),
        sa.Column("replaced_at", instant, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("response", json, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "response_digest", name=op.f("pk_replaced_responses")),
    )
    _create_differences()


def _create_differences() -> None:
    op.create_table(
        "annotation_differences",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("before_digest", sa.Text, nullable=False),
        sa.Column("after_digest", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("before_ordinal", sa.BigInteger),
        sa.Column("after_ordinal", sa.BigInteger),
        sa.Column("uuid", sa.Text),
        sa.Column("geometry", sa.Text),
        sa.Column("frame", sa.BigInteger),
        sa.Column("label_before", sa.Text),
        sa.Column("label_after", sa.Text),
        sa.Column("iou", sa.Double),
        sa.Column("seen_at", instant, nullable=False),
        sa.PrimaryKeyConstraint(
            "task_id", "before_digest", "after_digest", "ordinal", name=op.f("pk_annotation_differences")
        ),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_annotation_differences_kind")),
    )
    op.create_index(op.f("ix_annotation_differences_seen_at"), "annotation_differences", ["seen_at"])


def downgrade() -> None:
    for table in ("annotation_differences", "replaced_responses", "task_attempts", "task_audits"):
        op.drop_table(table)
