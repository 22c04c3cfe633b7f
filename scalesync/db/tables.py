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
    Column(
        "id",
        Integer,
        CheckConstraint("id = 1", name="one_row"),
        primary_key=True,
        autoincrement=False,
        doc="always 1",
    ),
    Column("account_fingerprint", Text, nullable=False, doc="a fingerprint of the key, never the key"),
    Column(
        "mode",
        Text,
        CheckConstraint("mode IN ('live', 'test')", name="mode"),
        nullable=False,
        doc="`live` or `test`",
    ),
    Column("api_url", Text, nullable=False, doc="the API's address"),
    Column("created_at", Instant, nullable=False, doc="when the mirror was made"),
    info={"doc": "one row: the account that this mirror copies"},
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True, doc="the id that Scale gave it"),
    Column("project", Text, doc="the name of its project"),
    Column("batch", Text, doc="the name of its batch"),
    Column("type", Text, doc="such as `imageannotation`"),
    Column("status", Text, doc="`pending`, `completed`, `canceled` or `error`"),
    Column("unique_id", Text, doc="the name that its creator gave it; unique in the account"),
    Column("instruction", Text, doc="what annotators are asked to do"),
    Column("is_test", Boolean, doc="whether a test key made it"),
    Column("priority", BigInteger, doc="as the API shows it"),
    Column("customer_review_status", Text, doc="`accepted`, `fixed`, `commented`, `rejected` or `pending`"),
    Column("created_at", Instant, doc="when it was created"),
    Column("updated_at", Instant, doc="when it last changed"),
    Column("completed_at", Instant, doc="when it was completed"),
    Column("params", Json, doc="what it was created with"),
    Column("metadata", Json, doc="its creator's own data"),
    Column("tags", Json, doc="a list of texts"),
    Column("response", Json, doc="the annotations as the API sent them"),
    Column("extra", Json, doc="what has no column, or would not come back from it exactly"),
    Column("digest", Text, nullable=False, doc="of the document, without links that differ at each read"),
    Column("synced_at", Instant, nullable=False, doc="the API's clock when this content was read"),
    Column("missing_since", Instant, doc="since when the API has answered 404 for it; the row stays"),
    Column("response_digest", Text, doc="of the response, without signatures in its links"),
    Index(None, "project", "status"),
    Index(None, "batch"),
    Index(None, "unique_id"),
    Index(None, "created_at"),
    Index(None, "updated_at"),
    info={"doc": "one row for each task"},
)

batches = Table(
    "batches",
    metadata,
    Column("name", Text, primary_key=True, doc="names it in the whole account"),
    Column("project", Text, doc="the name of its project"),
    Column("status", Text, doc="such as `staging`, `in_progress` or `completed`"),
    Column("callback", Text, doc="where Scale reports its completion to"),
    Column("created_at", Instant, doc="when it was created"),
    Column("completed_at", Instant, doc="when it was completed"),
    Column("metadata", Json, doc="its creator's own data"),
    Column("extra", Json, doc="as in `tasks`"),
    Column("tasks_pending", BigInteger, doc="how many of its tasks here are pending, at `counted_at`"),
    Column("tasks_completed", BigInteger, doc="how many are completed"),
    Column("tasks_error", BigInteger, doc="how many are in error"),
    Column("tasks_canceled", BigInteger, doc="how many are canceled"),
    Column("counted_at", Instant, doc="when its tasks were counted; empty until all of them are here"),
    Column("digest", Text, nullable=False, doc="of the document, without links that differ at each read"),
    Column("synced_at", Instant, nullable=False, doc="the API's clock when this content was read"),
    Column("missing_since", Instant, doc="since when the API has answered 404 for it; the row stays"),
    Index(None, "project", "status"),
    Index(None, "created_at"),
    info={"doc": "one row for each batch"},
)

projects = Table(
    "projects",
    metadata,
    Column("name", Text, primary_key=True, doc="names it in the whole account"),
    Column("type", Text, doc="the type of its tasks"),
    Column("version", BigInteger, doc="number of the latest version of its parameters"),
    Column("created_at", Instant, doc="when it was created"),
    Column("archived", Boolean, doc="whether it is archived"),
    Column("params", Json, doc="the parameters of the latest version"),
    Column("extra", Json, doc="as in `tasks`"),
    Column("digest", Text, nullable=False, doc="of the document, without links that differ at each read"),
    Column("synced_at", Instant, nullable=False, doc="the API's clock when this content was read"),
    Column("missing_since", Instant, doc="since when the API has answered 404 for it; the row stays"),
    info={"doc": "one row for each project"},
)

project_versions = Table(
    "project_versions",
    metadata,
    Column("project", Text, nullable=False, doc="the name of the project"),
    Column("version", BigInteger, nullable=False, doc="its number"),
    Column("created_at", Instant, doc="when this version was made"),
    Column("params", Json, doc="the parameters of this version"),
    PrimaryKeyConstraint("project", "version"),
    info={"doc": "one row for each version of a project's parameters"},
)

runs = Table(
    "runs",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order in which they began"),
    Column("kind", Text, nullable=False, doc="`full`, `incremental` or `backfill`, which moves no watermark"),
    Column("started_at", Instant, nullable=False, doc="when it began"),
    Column("finished_at", Instant, doc="when it ended; empty while it is open"),
    Column("state", Text, nullable=False, doc="`open`, `complete` or `incomplete`"),
    Column("watermark_at", Instant, doc="the watermark that it sets if it becomes complete"),
    Column("requests", BigInteger, nullable=False, server_default="0", doc="how many requests it sent"),
    Column("pages", BigInteger, nullable=False, server_default="0", doc="how many pages came"),
    Column("rows_received", BigInteger, nullable=False, server_default="0", doc="how many rows came"),
    Column("rows_written", BigInteger, nullable=False, server_default="0", doc="how many of them differed"),
    Column("texts_replaced", BigInteger, nullable=False, server_default="0", doc="characters made U+FFFD"),
    Column("error", Text, doc="why it is incomplete"),
    Column("responses_unread", BigInteger, nullable=False, server_default="0", doc="not fully understood"),
    Column("values_replaced", BigInteger, nullable=False, server_default="0", doc="kept in another form"),
    one_of("kind", RunKind),
    one_of("state", RunState),
    CheckConstraint("(state = 'open') = (finished_at IS NULL)", name="finished"),
    sqlite_autoincrement=True,
    info={"doc": "one row for each reading of the account, by `sync` or a repair"},
)

windows = Table(
    "windows",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order in which they were planned"),
    Column("run_id", BigInteger, nullable=False, doc="the `id` of its run"),
    Column("parent_id", BigInteger, doc="the `id` of the window that it is a part of"),
    Column("stream", Text, nullable=False, doc="`tasks`, `batches` or `projects`"),
    Column("project", Text, doc="only objects of this project"),
    Column("created_from", Instant, doc="only objects created at this time or later"),
    Column("created_to", Instant, doc="only objects created before this time"),
    Column("updated_from", Instant, doc="only objects changed at this time or later"),
    Column("state", Text, nullable=False, doc="`open`, `closed`, `split` into narrower windows, or `failed`"),
    Column("next_token", Text, doc="the API's token of the next page"),
    Column("api_total", BigInteger, doc="how many rows the API counts in it"),
    Column(
        "rows_received", BigInteger, nullable=False, server_default="0", doc="how many different ones came"
    ),
    Column("rows_within", BigInteger, doc="how many of them were created within its bounds"),
    Column("divided_at", Instant, doc="the API's clock when its rest was left to parts"),
    Column("undivided", Boolean, nullable=False, server_default=false(), doc="its parts did not add up"),
    Column("attempts", Integer, nullable=False, server_default="0", doc="how often a process claimed it"),
    Column("failures", Integer, nullable=False, server_default="0", doc="how often it began again"),
    Column("owner", Text, doc="the process that reads it"),
    Column("leased_until", Instant, doc="when others may take it over"),
    Column("error", Text, doc="why it failed"),
    one_of("state", WindowState),
    Index(None, "run_id", "state"),
    Index(None, "state", "owner"),
    sqlite_autoincrement=True,
    info={"doc": "one row for each part of a run: one list of the API"},
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
    Column("stream", Text, primary_key=True, doc="`tasks`, `batches` or `projects`"),
    Column("at", Instant, nullable=False, doc="everything up to this time is here, by the API's clock"),
    info={"doc": "one row for each stream: up to when it is complete"},
)
