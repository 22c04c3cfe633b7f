"""Annotations as rows, the files behind them, and the history of changes.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

# Frozen here: a later change of the tables in scalesync.db must not change what this migration does.
instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("tasks", sa.Column("response_digest", sa.Text))
    op.add_column("runs", sa.Column("responses_unread", sa.BigInteger, server_default="0", nullable=False))
    _create_annotations()
    _create_files()
    op.create_table(
        "task_changes",
        sa.Column("id", serial, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.BigInteger),
        sa.Column("seen_at", instant, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_task_changes_task_id"), "task_changes", ["task_id"])
    op.create_index(op.f("ix_task_changes_seen_at"), "task_changes", ["seen_at"])


def _create_annotations() -> None:
    op.create_table(
        "annotations",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("uuid", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("geometry", sa.Text),
        sa.Column("frame", sa.BigInteger),
        sa.Column("left", sa.Double),
        sa.Column("top", sa.Double),
        sa.Column("width", sa.Double),
        sa.Column("height", sa.Double),
        sa.Column("rotation", sa.Double),
        sa.Column("vertices", json),
        sa.Column("text_start", sa.BigInteger),
        sa.Column("text_end", sa.BigInteger),
        sa.Column("text", sa.Text),
        sa.Column("attributes", json),
        sa.Column("extra", json),
        sa.PrimaryKeyConstraint("task_id", "ordinal", name=op.f("pk_annotations")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "annotation_links",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("extra", json),
        sa.PrimaryKeyConstraint("task_id", "ordinal", name=op.f("pk_annotation_links")),
        sqlite_with_rowid=False,
    )


def _create_files() -> None:
    op.create_table(
        "result_files",
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("fetched_at", instant),
        sa.Column("tried_at", instant),
        sa.Column("content", sa.LargeBinary),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_result_files")),
    )
    op.create_table(
        "task_files",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "url", name=op.f("pk_task_files")),
    )
    op.create_index(op.f("ix_task_files_url"), "task_files", ["url"])


def downgrade() -> None:
    for table in ("task_changes", "task_files", "result_files", "annotation_links", "annotations"):
        op.drop_table(table)
    op.drop_column("runs", "responses_unread")
    op.drop_column("tasks", "response_digest")
