"""The schema. Table and column names are a public contract: people's SQL depends on them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
)

from scalesync.db.types import Instant, Json, Serial, metadata, one_of
from scalesync.models.sync import RunKind, RunState, VerificationState, WindowState

mirror = Table(
    "mirror",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("account_fingerprint", Text, nullable=False),
    Column("mode", Text, CheckConstraint("mode IN ('live', 'test')", name="mode"), nullable=False),
    Column("api_url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("project", Text),
    Column("batch", Text),
    Column("type", Text),
    Column("status", Text),
    Column("unique_id", Text),
    Column("instruction", Text),
    Column("is_test", Boolean),
    Column("priority", BigInteger),
    Column("customer_review_status", Text),
    Column("created_at", Instant),
    Column("updated_at", Instant),
    Column("completed_at", Instant),
    Column("params", Json),
    Column("metadata", Json),
    Column("tags", Json),
    Column("response", Json),
    Column("extra", Json),
    Column("digest", Text, nullable=False),
    Column("synced_at", Instant, nullable=False),
    Column("missing_since", Instant),
    Column("response_digest", Text),
    Index(None, "project", "status"),
    Index(None, "batch"),
    Index(None, "unique_id"),
    Index(None, "created_at"),
    Index(None, "updated_at"),
)

batches = Table(
    "batches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("project", Text),
    Column("status", Text),
    Column("callback", Text),
    Column("created_at", Instant),
    Column("completed_at", Instant),
    Column("metadata", Json),
    Column("extra", Json),
    Column("tasks_pending", BigInteger),
    Column("tasks_completed", BigInteger),
    Column("tasks_error", BigInteger),
    Column("tasks_canceled", BigInteger),
    Column("counted_at", Instant),
    Column("digest", Text, nullable=False),
    Column("synced_at", Instant, nullable=False),
    Column("missing_since", Instant),
    Index(None, "project", "status"),
    Index(None, "created_at"),
)

projects = Table(
    "projects",
    metadata,
    Column("name", Text, primary_key=True),
    Column("type", Text),
    Column("version", BigInteger),
    Column("created_at", Instant),
    Column("archived", Boolean),
    Column("params", Json),
    Column("extra", Json),
    Column("digest", Text, nullable=False),
    Column("synced_at", Instant, nullable=False),
    Column("missing_since", Instant),
)

project_versions = Table(
    "project_versions",
    metadata,
    Column("project", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant),
    Column("params", Json),
    PrimaryKeyConstraint("project", "version"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("state", Text, nullable=False),
    Column("watermark_at", Instant),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    Column("pages", BigInteger, nullable=False, server_default="0"),
    Column("rows_received", BigInteger, nullable=False, server_default="0"),
    Column("rows_written", BigInteger, nullable=False, server_default="0"),
    Column("texts_replaced", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
    Column("responses_unread", BigInteger, nullable=False, server_default="0"),
    Column("values_replaced", BigInteger, nullable=False, server_default="0"),
    one_of("kind", RunKind),
    one_of("state", RunState),
    CheckConstraint("(state = 'open') = (finished_at IS NULL)", name="finished"),
    sqlite_autoincrement=True,
)

windows = Table(
    "windows",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("run_id", BigInteger, nullable=False),
    Column("parent_id", BigInteger),
    Column("stream", Text, nullable=False),
    Column("project", Text),
    Column("created_from", Instant),
    Column("created_to", Instant),
    Column("updated_from", Instant),
    Column("state", Text, nullable=False),
    Column("next_token", Text),
    Column("api_total", BigInteger),
    Column("rows_received", BigInteger, nullable=False, server_default="0"),
    Column("rows_within", BigInteger),
    Column("divided_at", Instant),
    Column("undivided", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("owner", Text),
    Column("leased_until", Instant),
    Column("error", Text),
    one_of("state", WindowState),
    Index(None, "run_id", "state"),
    Index(None, "state", "owner"),
    sqlite_autoincrement=True,
)

window_pages = Table(
    "window_pages",
    metadata,
    Column("window_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("keys", LargeBinary, nullable=False),
    PrimaryKeyConstraint("window_id", "number"),
)
"""Eight-byte digests of the keys on each page of an open window: distinct rows can be counted after a crash.
Removed when the window closes."""

watermarks = Table(
    "watermarks",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)

verifications = Table(
    "verifications",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("as_of", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("scope", Json, nullable=False),
    Column("everything", Boolean, nullable=False),
    Column("deep", Boolean, nullable=False),
    Column("drift", BigInteger, nullable=False),
    Column("unproven", Text),
    Column("requests", BigInteger, nullable=False),
    Column("behind", BigInteger, nullable=False, server_default="0"),
    one_of("state", VerificationState),
    sqlite_autoincrement=True,
)
