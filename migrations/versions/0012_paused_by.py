"""Who paused the queue is a column, and no longer how the reason begins.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dispatch_gate", sa.Column("paused_by", sa.Text()))
    op.execute(
        "UPDATE dispatch_gate SET paused_by = CASE WHEN pause_reason LIKE 'paused by a person%'"
        " THEN 'person' ELSE 'api' END WHERE pause_reason IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("dispatch_gate", "paused_by")
