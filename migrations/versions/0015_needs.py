"""A task may wait for queued files, whose addresses its body refers to.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels = None
depends_on = None

INDEX = "ix_commands_needing"
WHERE = "needs IS NOT NULL AND state IN ('queued', 'sending', 'in_doubt', 'dead')"


def upgrade() -> None:
    json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
    op.add_column("commands", sa.Column("needs", json))
    where = sa.text(WHERE)
    op.create_index(op.f(INDEX), "commands", ["id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index(op.f(INDEX), "commands")
    op.drop_column("commands", "needs")
