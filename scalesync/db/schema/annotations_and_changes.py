"""What tasks came to: annotations, the files behind them, and the history of changes. A public contract."""

from sqlalchemy import BigInteger, Column, Double, Index, LargeBinary, Table, Text

from scalesync.db.types import Instant, Json, Serial, metadata

annotations = Table(
    "annotations",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("uuid", Text),
    Column("label", Text),
    Column("geometry", Text),
    Column("frame", BigInteger),
    Column("left", Double),
    Column("top", Double),
    Column("width", Double),
    Column("height", Double),
    Column("rotation", Double),
    Column("vertices", Json),
    Column("text_start", BigInteger),
    Column("text_end", BigInteger),
    Column("text", Text),
    Column("attributes", Json),
    Column("extra", Json),
    sqlite_with_rowid=False,
)

annotation_links = Table(
    "annotation_links",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("uuid", Text),
    Column("source", Text),
    Column("target", Text),
    Column("label", Text),
    Column("extra", Json),
    sqlite_with_rowid=False,
)

result_files = Table(
    "result_files",
    metadata,
    Column("url", Text, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("sha256", Text),
    Column("bytes", BigInteger),
    Column("fetched_at", Instant),
    Column("tried_at", Instant),
    Column("content", LargeBinary),
    Column("error", Text),
    Column("read_at", Instant),
)
"""`url` is the lasting address of a file: without a signature, which differs at every read.

`fetched_at` is set once the file came, `read_at` only where every annotation in it was understood too.
"""

task_files = Table(
    "task_files",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Index(None, "url"),
)
"""Which tasks' responses name which files: one file may serve several tasks."""

task_changes = Table(
    "task_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("run_id", BigInteger),
    Column("seen_at", Instant, nullable=False),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index(None, "task_id"),
    Index(None, "seen_at"),
    sqlite_autoincrement=True,
)
