"""The write queue: commands, the log of their attempts, the gate, and the seals of batches.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

# Frozen here: a later change of the tables in scalesync.db must not change what this migration does.
instant = sa.String(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
json = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

CLAIMABLE = "state IN ('queued', 'in_doubt') AND hold_reason IS NULL"
UNSETTLED = "state IN ('queued', 'sending', 'in_doubt', 'dead')"


def upgrade() -> None:
    _create_commands()
    _create_indexes()
    op.create_table(
        "command_attempts",
        sa.Column("id", serial, nullable=False),
        sa.Column("command_id", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command_attempts")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_command_attempts_command_id"), "command_attempts", ["command_id"])
    gate = op.create_table(
        "dispatch_gate",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("paused_until", instant),
        sa.Column("pause_reason", sa.Text),
        sa.CheckConstraint("id = 1", name=op.f("ck_dispatch_gate_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_gate")),
    )
    op.bulk_insert(gate, [{"id": 1}])
    op.create_table(
        "batch_seals",
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("sealed_by", sa.BigInteger),
        sa.PrimaryKeyConstraint("batch", name=op.f("pk_batch_seals")),
    )


def _create_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", serial, nullable=False),
        sa.Column("cid", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("depends_on", sa.Text),
        sa.Column("payload", json, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("priority", sa.Integer, server_default="0", nullable=False),
        sa.Column("hold_reason", sa.Text),
        sa.Column("fence", sa.Integer, server_default="0", nullable=False),
        sa.Column("sends", sa.Integer, server_default="0", nullable=False),
        sa.Column("failures", sa.Integer, server_default="0", nullable=False),
        sa.Column("max_failures", sa.Integer, server_default="25", nullable=False),
        sa.Column("ambiguous", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("sent_at", instant),
        sa.Column("not_before", instant),
        sa.Column("owner", sa.Text),
        sa.Column("leased_until", instant),
        sa.Column("base", sa.BigInteger),
        sa.Column("discard_requested", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("result", json),
        sa.Column("error_code", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'in_doubt', 'delivered', 'dead', 'discarded')",
            name=op.f("ck_commands_state"),
        ),
        sa.CheckConstraint(
            "outcome IN ('applied', 'already_applied', 'no_op', 'rejected', 'conflict', 'exhausted', "
            "'withdrawn', 'dependency_failed')",
            name=op.f("ck_commands_outcome"),
        ),
        sa.CheckConstraint(
            "(state = 'sending') = (leased_until IS NOT NULL)", name=op.f("ck_commands_leased")
        ),
        sa.CheckConstraint(
            "(state IN ('delivered', 'dead', 'discarded')) = (finished_at IS NOT NULL)",
            name=op.f("ck_commands_finished"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sa.UniqueConstraint("cid", name=op.f("uq_commands_cid")),
        sqlite_autoincrement=True,
    )


def _create_indexes() -> None:
    _create_partial(
        "ux_commands_resource_in_flight", ["resource"], "state IN ('sending', 'in_doubt')", unique=True
    )
    _create_partial(
        "ux_commands_idempotency_key", ["idempotency_key"], "state NOT IN ('dead', 'discarded')", unique=True
    )
    _create_partial("ix_commands_waiting", ["priority", "id"], CLAIMABLE)
    _create_partial(
        "ix_commands_ready", ["depends_on", "priority", "id"], f"{CLAIMABLE} AND not_before IS NULL"
    )
    _create_partial("ix_commands_timed", ["not_before"], f"{CLAIMABLE} AND not_before IS NOT NULL")
    _create_partial("ix_commands_held", ["id"], "state IN ('queued', 'in_doubt') AND hold_reason IS NOT NULL")
    _create_partial("ix_commands_in_doubt", ["priority", "id"], "state = 'in_doubt'")
    _create_partial("ix_commands_leases", ["leased_until", "owner"], "state = 'sending'")
    _create_partial("ix_commands_unsettled", ["resource", "id"], UNSETTLED)
    _create_partial(
        "ix_commands_containers",
        ["resource", "id"],
        f"kind IN ('create_batch', 'create_project') AND {UNSETTLED}",
    )
    _create_partial("ix_commands_scope", ["scope", "id"], f"kind = 'create_task' AND {UNSETTLED}")
    op.create_index(op.f("ix_commands_resource_kind"), "commands", ["resource", "kind"])
    op.create_index(op.f("ix_commands_state"), "commands", ["state"])


def _create_partial(name: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(
        op.f(name), "commands", columns, unique=unique, sqlite_where=where, postgresql_where=where
    )


def downgrade() -> None:
    for table in ("batch_seals", "dispatch_gate", "command_attempts", "commands"):
        op.drop_table(table)
