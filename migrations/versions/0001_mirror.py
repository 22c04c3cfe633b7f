"""The mirror: what Scale sent, and the ledger of reading it.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

# Frozen here: a later change of scalesync.db.schema.mirror must not change what this migration does.
instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_mirror()
    _create_tasks()
    _create_batches()
    _create_projects()
    _create_runs()
    _create_windows()
    op.create_table(
        "watermarks",
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_watermarks")),
    )


def _create_mirror() -> None:
    op.create_table(
        "mirror",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("account_fingerprint", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("api_url", sa.Text, nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_mirror_one_row")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_mirror_mode")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirror")),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("batch", sa.Text),
        sa.Column("type", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("unique_id", sa.Text),
        sa.Column("instruction", sa.Text),
        sa.Column("is_test", sa.Boolean),
        sa.Column("priority", sa.BigInteger),
        sa.Column("customer_review_status", sa.Text),
        sa.Column("created_at", instant),
        sa.Column("updated_at", instant),
        sa.Column("completed_at", instant),
        sa.Column("params", json),
        sa.Column("metadata", json),
        sa.Column("tags", json),
        sa.Column("response", json),
        sa.Column("extra", json),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("synced_at", instant, nullable=False),
        sa.Column("missing_since", instant),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_project_status"), "tasks", ["project", "status"])
    op.create_index(op.f("ix_tasks_batch"), "tasks", ["batch"])
    op.create_index(op.f("ix_tasks_unique_id"), "tasks", ["unique_id"])
    op.create_index(op.f("ix_tasks_created_at"), "tasks", ["created_at"])
    op.create_index(op.f("ix_tasks_updated_at"), "tasks", ["updated_at"])


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("callback", sa.Text),
        sa.Column("created_at", instant),
        sa.Column("completed_at", instant),
        sa.Column("metadata", json),
        sa.Column("extra", json),
        sa.Column("tasks_pending", sa.BigInteger),
        sa.Column("tasks_completed", sa.BigInteger),
        sa.Column("tasks_error", sa.BigInteger),
        sa.Column("tasks_canceled", sa.BigInteger),
        sa.Column("counted_at", instant),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("synced_at", instant, nullable=False),
        sa.Column("missing_since", instant),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_project_status"), "batches", ["project", "status"])
    op.create_index(op.f("ix_batches_created_at"), "batches", ["created_at"])


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("version", sa.BigInteger),
        sa.Column("created_at", instant),
        sa.Column("archived", sa.Boolean),
        sa.Column("params", json),
        sa.Column("extra", json),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("synced_at", instant, nullable=False),
        sa.Column("missing_since", instant),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.create_table(
        "project_versions",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", instant),
        sa.Column("params", json),
        sa.PrimaryKeyConstraint("project", "version", name=op.f("pk_project_versions")),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", serial, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("watermark_at", instant),
        sa.Column("requests", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("pages", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("rows_received", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("rows_written", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("texts_replaced", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("kind IN ('full', 'incremental', 'backfill')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint("state IN ('open', 'complete', 'incomplete')", name=op.f("ck_runs_state")),
        sa.CheckConstraint("(state = 'open') = (finished_at IS NULL)", name=op.f("ck_runs_finished")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        op.f("ix_runs_open"), "runs", ["state"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )


def _create_windows() -> None:
    op.create_table(
        "windows",
        sa.Column("id", serial, nullable=False),
        sa.Column("run_id", sa.BigInteger, nullable=False),
        sa.Column("parent_id", sa.BigInteger),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("created_from", instant),
        sa.Column("created_to", instant),
        sa.Column("updated_from", instant),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("next_token", sa.Text),
        sa.Column("api_total", sa.BigInteger),
        sa.Column("rows_received", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("failures", sa.Integer, server_default="0", nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("leased_until", instant),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("state IN ('open', 'closed', 'split', 'failed')", name=op.f("ck_windows_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_windows")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_windows_run_id_state"), "windows", ["run_id", "state"])
    op.create_index(op.f("ix_windows_state_owner"), "windows", ["state", "owner"])
    op.create_table(
        "window_pages",
        sa.Column("window_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("keys", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("window_id", "number", name=op.f("pk_window_pages")),
    )


def downgrade() -> None:
    for table in (
        "watermarks",
        "window_pages",
        "windows",
        "runs",
        "project_versions",
        "projects",
        "batches",
        "tasks",
        "mirror",
    ):
        op.drop_table(table)
