"""Whether a result file was read is another fact than whether it came.

The upgrade that runs this makes the annotations anew, by what can be read now: a file that is not read then
has its error, and no `read_at`.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("result_files", sa.Column("read_at", instant))
    op.execute(
        "UPDATE result_files SET read_at = coalesce(tried_at, fetched_at) WHERE fetched_at IS NOT NULL"
    )


def downgrade() -> None:
    # The older schema knows no file that came and could not be read: such a one is still to be fetched.
    op.execute("UPDATE result_files SET fetched_at = NULL WHERE read_at IS NULL")
    op.drop_column("result_files", "read_at")
