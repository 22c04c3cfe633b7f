"""When the mirror was held against the API, over what, and what came of it.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

# Frozen here: a later change of the tables in scalesync.db must not change what this migration does.
instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "verifications",
        sa.Column("id", serial, nullable=False),
        sa.Column("as_of", instant, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("scope", json, nullable=False),
        sa.Column("everything", sa.Boolean, nullable=False),
        sa.Column("deep", sa.Boolean, nullable=False),
        sa.Column("drift", sa.BigInteger, nullable=False),
        sa.Column("unproven", sa.Text),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.CheckConstraint("state IN ('proven', 'drift', 'unproven')", name=op.f("ck_verifications_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("verifications")
