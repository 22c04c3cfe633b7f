"""Tables of runs, their windows, watermarks and verifications, and of the request rate."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
)

from scalesync.db.types import Instant, Json, Serial, metadata, one_of, one_row_key
from scalesync.models.sync import RunKind, RunState, VerificationState, WindowState

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
    Column("opened_at", Instant, doc="the database's clock before the first request for it"),
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
"""Eight-byte digests of the keys on each page of an open window, so that distinct rows can be counted after a
crash. Deleted when the window closes."""


watermarks = Table(
    "watermarks",
    metadata,
    Column("stream", Text, primary_key=True, doc="`tasks`, `batches` or `projects`"),
    Column("at", Instant, nullable=False, doc="everything up to this time is here, by the API's clock"),
    info={"doc": "one row for each stream: up to when it is complete"},
)


verifications = Table(
    "verifications",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order in which they ended"),
    Column("as_of", Instant, nullable=False, doc="the API's clock when it began"),
    Column(
        "state",
        Text,
        nullable=False,
        doc="`proven`, `drift` (something differs), or `unproven` (not everything could be compared)",
    ),
    Column("scope", Json, nullable=False, doc="the windows that were compared, as JSON"),
    Column("everything", Boolean, nullable=False, doc="whether that was all there is"),
    Column("deep", Boolean, nullable=False, doc="whether whole documents were compared"),
    Column("drift", BigInteger, nullable=False, doc="how many objects differed"),
    Column("unproven", Text, doc="what could not be compared, and why"),
    Column("requests", BigInteger, nullable=False, doc="how many requests it sent"),
    Column(
        "behind",
        BigInteger,
        nullable=False,
        server_default="0",
        doc="how many objects had only changed since the last sync",
    ),
    one_of("state", VerificationState),
    sqlite_autoincrement=True,
    info={"doc": "one row for each verification"},
)


request_rate = Table(
    "request_rate",
    metadata,
    one_row_key(),
    Column("interval_seconds", Double, doc="between two requests of all, after a refusal; empty: no limit"),
    Column("next_at", Instant, doc="when the next turn is free, by this database's clock"),
    Column("paused_until", Instant, doc="nothing is sent before this time, as the API asked for"),
    Column("slowed_at", Instant, doc="when the API's last refusal halved the rate"),
    info={"doc": "one row: the request rate of all processes, which only those on Postgres share"},
)
"""One row, made by the migration."""
