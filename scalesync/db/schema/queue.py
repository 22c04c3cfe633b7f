"""The write queue's part of the schema: a public contract like the rest of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    false,
)

from scalesync.db.types import Instant, Json, Serial, metadata, one_of
from scalesync.models.commands import CommandState, Outcome

OPEN = "state IN ('queued', 'sending', 'in_doubt')"
"""Commands that are not ended. Literal, like all conditions here: SQLite matches a partial index by text."""
UNSETTLED = "state IN ('queued', 'sending', 'in_doubt', 'dead')"
"""Commands whose effect is missing: open ones, and those given up that a person may still retry."""
WAITING = "state IN ('queued', 'in_doubt')"
"""Commands that a claim may take."""
UNHELD = "hold_reason IS NULL"
HELD = "hold_reason IS NOT NULL"
TIMED = "not_before IS NOT NULL"
UNTIMED = "not_before IS NULL"
IN_DOUBT = "state = 'in_doubt'"
SENDING = "state = 'sending'"
IN_FLIGHT = "state IN ('sending', 'in_doubt')"
CREATES = "kind IN ('create_task', 'create_batch', 'create_project')"
CONTAINERS = "kind IN ('create_batch', 'create_project')"
"""Creates that commands on other resources wait for."""
KEYED = "state NOT IN ('dead', 'discarded')"
"""Commands whose idempotency key is taken."""


commands = Table(
    "commands",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("cid", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    Column("resource", Text, nullable=False),
    Column("scope", Text),
    Column("depends_on", Text),
    Column("payload", Json, nullable=False),
    Column("idempotency_key", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("hold_reason", Text),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("sends", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("max_failures", Integer, nullable=False, server_default="25"),
    Column("ambiguous", Boolean, nullable=False, server_default=false()),
    Column("sent_at", Instant),
    Column("not_before", Instant),
    Column("owner", Text),
    Column("leased_until", Instant),
    Column("base", BigInteger),
    Column("discard_requested", Boolean, nullable=False, server_default=false()),
    Column("result", Json),
    Column("error_code", Integer),
    Column("error", Text),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("target", Text),
    one_of("state", CommandState),
    one_of("outcome", Outcome),
    CheckConstraint("(state = 'sending') = (leased_until IS NOT NULL)", name="leased"),
    CheckConstraint(
        "(state IN ('delivered', 'dead', 'discarded')) = (finished_at IS NOT NULL)", name="finished"
    ),
    Index(None, "resource", "kind"),
    Index(None, "state"),
    sqlite_autoincrement=True,
)

command_attempts = Table(
    "command_attempts",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("command_id", BigInteger, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("step", Text, nullable=False),
    Column("http_status", Integer),
    Column("outcome", Text, nullable=False),
    Column("detail", Text),
    Index(None, "command_id"),
    sqlite_autoincrement=True,
)
"""Append-only: every step that was taken with a command, a person's included."""

dispatch_gate = Table(
    "dispatch_gate",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("paused_until", Instant),
    Column("pause_reason", Text),
    Column("paused_by", Text),
)
"""One row, made by the migration. Nothing is claimed before `paused_until`; a reason without it: not before
somebody resumes. `paused_by` is a PausedBy; NULL where nothing was paused, or
where it was done by hand in SQL."""

batch_seals = Table(
    "batch_seals",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("sealed_by", BigInteger),
)
"""A row for each batch that was queued for; with `sealed_by`, the finalize that closed it to new creates."""
