"""Tables derived from tasks: annotations, files, and the history of changes. A public contract."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, Table, Text

from scalesync.db.types import Instant, Json, Serial, metadata, numbered_key

annotations = Table(
    "annotations",
    metadata,
    *numbered_key("its task", "from 0, in the order of the response"),
    Column("uuid", Text, doc="its own id, if it has one"),
    Column("label", Text, doc="what it was labelled as"),
    Column(
        "geometry",
        Text,
        doc="`box`, `polygon`, `line`, `point`, `ellipse`, `cuboid` (Scale's words); or `segmentation`, "
        "`entity`, `field`, `category`, `choice`, `transcript`, `word`, `event`",
    ),
    Column("frame", BigInteger, doc="of a video its frame; of a document its page"),
    Column("left", Double, doc="pixels; of a point its x"),
    Column("top", Double, doc="pixels; of a point its y"),
    Column("width", Double, doc="pixels"),
    Column("height", Double, doc="pixels"),
    Column("rotation", Double, doc="as Scale gives it; of a lidar cuboid its yaw"),
    Column("vertices", Json, doc="a list of points"),
    Column("text_start", BigInteger, doc="where a piece of text begins"),
    Column("text_end", BigInteger, doc="where it ends"),
    Column("text", Text, doc="the piece of text, or the answer"),
    Column("attributes", Json, doc="an object of attributes and their values"),
    Column("extra", Json, doc="everything else that the annotation holds"),
    sqlite_with_rowid=False,
    info={"doc": "one row for each annotation in a task's response or its files"},
)

annotation_links = Table(
    "annotation_links",
    metadata,
    *numbered_key("their task", "from 0, in the order of the response"),
    Column("kind", Text, nullable=False, doc="`relationship`, `link` or `ref`"),
    Column("uuid", Text, doc="its own id, if it has one"),
    Column("source", Text, doc="the `uuid` of an annotation"),
    Column("target", Text, doc="the `uuid` of the other annotation"),
    Column("label", Text, doc="what the tie is called"),
    Column("extra", Json, doc="everything else that it holds"),
    sqlite_with_rowid=False,
    info={"doc": "one row for each tie between two annotations of a task"},
)

result_files = Table(
    "result_files",
    metadata,
    Column("url", Text, primary_key=True, doc="its address without the signature"),
    Column("task_id", Text, nullable=False, doc="the first task that named it"),
    Column("sha256", Text, doc="hash of the file as it came"),
    Column("bytes", BigInteger, doc="size of the file as it came"),
    Column("fetched_at", Instant, doc="when it came, by its server's clock; empty: it is not here yet"),
    Column("tried_at", Instant, doc="when it was last asked for"),
    Column(
        "content",
        LargeBinary,
        doc="the file without trailing NULs, and with U+FFFD for what no database can hold",
    ),
    Column("error", Text, doc="why it is not here, or was not read"),
    Column("read_at", Instant, doc="when it was read; empty: not every annotation in it is a row"),
    info={"doc": "one row for each file that a response names"},
)
"""`url` is a file's address without its signature, which differs at every read.

`fetched_at` is set once the file came, `read_at` only if every annotation in it was understood too.
"""

task_files = Table(
    "task_files",
    metadata,
    Column("task_id", Text, primary_key=True, doc="the task"),
    Column("url", Text, primary_key=True, doc="the file, as in `result_files`"),
    Index(None, "url"),
    info={"doc": "one row for each file and each task whose response names it"},
)
"""The files that tasks' responses name; several tasks may share one file."""

attachments = Table(
    "attachments",
    metadata,
    Column("url", Text, primary_key=True, doc="its address as tasks name it, without its signature"),
    Column("width", Integer, doc="pixels, of the picture as browsers show it; empty: not known"),
    Column("height", Integer, doc="pixels, likewise"),
    Column("bytes", BigInteger, doc="size of the file; empty: not known"),
    Column("content_type", Text, doc="what its server calls it, such as `image/png`"),
    Column("path", Text, doc="where the file is kept; empty: it was not kept"),
    Column("checked_at", Instant, doc="when it was last asked for"),
    Column("error", Text, doc="why its size is not known, or the file is not here"),
    info={"doc": "one row for each attachment of a task that was asked for"},
)

unread_responses = Table(
    "unread_responses",
    metadata,
    Column("task_id", Text, primary_key=True, doc="the task"),
    info={"doc": "one row for each task of whose response not every part is in `annotations`"},
)
"""The form of such a response, or of a part of it, is not known, or one of its files could not be read."""

task_changes = Table(
    "task_changes",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order of commits"),
    Column("task_id", Text, nullable=False, doc="the task that changed"),
    Column("run_id", BigInteger, doc="the `id` of the run that saw it; empty: an answer to a command"),
    Column("seen_at", Instant, nullable=False, doc="when it was seen, by the API's clock"),
    Column(
        "field",
        Text,
        nullable=False,
        doc="`status`, `customer_review_status`, `batch`, `completed_at`, `response` or `missing_since`",
    ),
    Column("before", Text, doc="the value before"),
    Column("after", Text, doc="the value after"),
    Index(None, "task_id"),
    Index(None, "seen_at"),
    sqlite_autoincrement=True,
    info={"doc": "one row for each change of a task; the first sight of it is a change of `status`"},
)

task_counts = Table(
    "task_counts",
    metadata,
    Column("status", Text, primary_key=True),
    Column("tasks", BigInteger, nullable=False),
    Column("change_id", BigInteger, nullable=False),
)
"""The numbers of tasks by status, missing ones included, as of the last change with the id `change_id`."""
