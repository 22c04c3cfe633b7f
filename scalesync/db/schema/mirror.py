"""Tables of mirrored objects. Names of tables and columns are a public contract: people's SQL uses them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from scalesync.db.types import Instant, Json, metadata, one_row_key

mirror = Table(
    "mirror",
    metadata,
    one_row_key(),
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
    Index(None, "project", "created_at"),
    # The columns behind the times are there to be counted: rows are long, and far apart on the disk.
    Index(None, "batch", "created_at", "status", "updated_at", "missing_since"),
    Index(None, "unique_id"),
    Index(None, "created_at", "project", "status", "missing_since"),
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

BY_CREATION = "ix_tasks_created_at_project_status_missing_since"
"""The index from which tasks are counted by project and status within a range of times."""

UNFINISHED = "coalesce(status, '') <> 'completed'"
"""The condition of batches that may still change, as SQL that an index has too."""

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
