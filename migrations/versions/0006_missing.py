"""What is gone at the API is found without reading what is not.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

is_missing = sa.text("missing_since IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        op.f("ix_tasks_missing"), "tasks", ["status"], sqlite_where=is_missing, postgresql_where=is_missing
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_tasks_missing"), "tasks")
