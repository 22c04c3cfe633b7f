"""What the database does not give back is counted, and so is what was only behind.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (("runs", "values_replaced"), ("verifications", "behind")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("verifications", "behind")
    op.drop_column("runs", "values_replaced")
