"""Numbers of tasks that are kept, and indexes from which tasks and files are counted without reading rows.

Those of tasks replace indexes of which each is the beginning of the new one. To build them, every task is
read twice.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels = None
depends_on = None

_COVERING = (
    ("created_at", "project", "status", "missing_since"),
    ("batch", "created_at", "status", "updated_at", "missing_since"),
)
_FORMER = (("created_at",), ("batch", "created_at"))
_PARTIAL = (
    ("ix_result_files_unfetched", "result_files", ["url"], "fetched_at IS NULL"),
    ("ix_result_files_unread", "result_files", ["fetched_at"], "read_at IS NULL"),
    ("ix_batches_uncounted", "batches", ["name"], "counted_at IS NULL"),
    ("ix_batches_unfinished", "batches", ["created_at"], "coalesce(status, '') <> 'completed'"),
)


def upgrade() -> None:
    op.create_table(
        "task_counts",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_task_counts")),
    )
    for columns in _COVERING:
        op.create_index(_name(columns), "tasks", list(columns))
    op.create_index(op.f("ix_replaced_responses_bytes"), "replaced_responses", ["bytes"])
    for name, table, named, condition in _PARTIAL:
        where = sa.text(condition)
        op.create_index(name, table, named, sqlite_where=where, postgresql_where=where)
    # Last: on Postgres it keeps readers out, too, until the upgrade is committed.
    for columns in _FORMER:
        op.drop_index(_name(columns), "tasks")


def downgrade() -> None:
    for name, table, _, _ in reversed(_PARTIAL):
        op.drop_index(name, table)
    op.drop_index(op.f("ix_replaced_responses_bytes"), "replaced_responses")
    for former, columns in zip(_FORMER, _COVERING, strict=True):
        op.drop_index(_name(columns), "tasks")
        op.create_index(_name(former), "tasks", list(former))
    op.drop_table("task_counts")


def _name(columns: tuple[str, ...]) -> str:
    return op.f(f"ix_tasks_{'_'.join(columns)}")
