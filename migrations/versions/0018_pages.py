"""Two indexes in the order of creation, so that a page of one project's or batch's tasks reads nothing else.

That of batches replaces the one without times, which answered nothing more.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_tasks_project_created_at"), "tasks", ["project", "created_at"])
    op.create_index(op.f("ix_tasks_batch_created_at"), "tasks", ["batch", "created_at"])
    op.drop_index(op.f("ix_tasks_batch"), "tasks")


def downgrade() -> None:
    op.create_index(op.f("ix_tasks_batch"), "tasks", ["batch"])
    op.drop_index(op.f("ix_tasks_batch_created_at"), "tasks")
    op.drop_index(op.f("ix_tasks_project_created_at"), "tasks")
