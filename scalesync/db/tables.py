"""The schema. Table and column names are a public contract: people's SQL depends on them."""

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)
from sqlalchemy.types import TypeEngine

from scalesync.errors import DatabaseError
from scalesync.model import RunKind, RunState, WindowState, format_instant, parse_instant


class Instant(TypeDecorator[datetime]):
    """A point in time: `timestamptz` on Postgres, `YYYY-MM-DDTHH:MM:SS.mmmZ` text on SQLite."""

    impl = String(24)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the column type of each database."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import TIMESTAMP

            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(String(24))  # type: ignore[arg-type]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Return what the driver stores."""
        return value if value is None or dialect.name == "postgresql" else format_instant(value)

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware datetime from either database."""
        if not isinstance(value, str):
            return value  # type: ignore[return-value]
        try:
            return parse_instant(value)
        except (ValueError, OverflowError) as error:
            msg = f"The database holds a time that is none: {value!r}."
            advice = "Correct or delete that row; `scalesync verify --repair` reads it again."
            raise DatabaseError(msg, advice=advice) from error


class Json(TypeDecorator[str]):
    """JSON that travels as text, so that no number is rounded: `jsonb` on Postgres, text on SQLite.

    On Postgres, writing needs an engine with `json_as_text` as JSON serializer, as ours are; reading does
    not, for a connection that somebody lends us.
    """

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[object], str | None] | None:
        """Return what makes text again of what the engine's own deserializer made."""
        load = super().result_processor(dialect, coltype)
        if dialect.name != "postgresql" or getattr(dialect, "_json_serializer", None) is json_as_text:
            return load
        return lambda value: None if value is None else json.dumps(load(value) if load else value)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the column type of each database."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())


def json_as_text(text: str) -> str:
    """Return the text itself: the JSON serializer of our engines on Postgres."""
    return text


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives; SQLite counts by itself in a column of type INTEGER only."""


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the CHECK by which a column holds nothing but the values of an enum."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)


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
