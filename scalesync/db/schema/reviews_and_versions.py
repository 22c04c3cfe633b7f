"""Tables of reviews of tasks, and of responses that others replaced. A public contract."""

from sqlalchemy import BigInteger, Column, Double, Index, Table, Text

from scalesync.db.types import Instant, Json, metadata, numbered_key, one_of
from scalesync.models.changes import DifferenceKind

task_audits = Table(
    "task_audits",
    metadata,
    *numbered_key("the audited task", "from 0, in the order of the API: newest first"),
    Column("source", Text, doc="`customer` or `scale`"),
    Column("result", Text, doc="`accepted`, `fixed`, `commented` or `rejected`"),
    Column("comments", Text, doc="what the reviewer wrote"),
    Column("at", Instant, doc="when it was"),
    Column("audited_by", Text, doc="the reviewer, an e-mail address"),
    Column("seconds", Double, doc="how long it took"),
    Column("extra", Json, doc="everything else that the audit holds"),
    sqlite_with_rowid=False,
    info={"doc": "one row for each audit of a task"},
)

task_attempts = Table(
    "task_attempts",
    metadata,
    *numbered_key("their task", "from 0, in the order of the API"),
    Column("response", Json, doc="what this attempt came to, as in `tasks`"),
    Column("extra", Json, doc="everything else that the attempt holds"),
    sqlite_with_rowid=False,
    info={"doc": "one row for each attempt at a task that the API sends"},
)

replaced_responses = Table(
    "replaced_responses",
    metadata,
    Column("task_id", Text, primary_key=True, doc="their task"),
    Column(
        "response_digest",
        Text,
        primary_key=True,
        doc="as in `tasks`; empty of one stored before there were digests",
    ),
    Column("first_seen_at", Instant, nullable=False, doc="when a sync first saw it, by the API's clock"),
    Column("replaced_at", Instant, nullable=False, doc="when it was last seen to be gone"),
    Column("bytes", BigInteger, nullable=False, doc="length of its JSON text here"),
    Column("response", Json, nullable=False, doc="as it was in `tasks`"),
    Index(None, "bytes"),
    info={"doc": "one row for each response that a task had and that another, or none, replaced"},
)

annotation_differences = Table(
    "annotation_differences",
    metadata,
    Column("task_id", Text, primary_key=True, doc="its task"),
    Column("before_digest", Text, primary_key=True, doc="the `response_digest` of the earlier response"),
    Column("after_digest", Text, primary_key=True, doc="that of the later one"),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False, doc="from 0"),
    Column(
        "kind",
        Text,
        one_of("kind", DifferenceKind),
        nullable=False,
        doc="`added`, `removed`, `relabelled`, `moved`, `changed`; `not_compared`: in files, not compared",
    ),
    Column("before_ordinal", BigInteger, doc="number of the annotation in the earlier response, from 0"),
    Column(
        "after_ordinal", BigInteger, doc="in the later one; while that is in `tasks`, as in `annotations`"
    ),
    Column("uuid", Text, doc="of the annotation, if it has one"),
    Column("geometry", Text, doc="as in `annotations`"),
    Column("frame", BigInteger, doc="as in `annotations`"),
    Column("label_before", Text, doc="its label in the earlier response"),
    Column("label_after", Text, doc="its label in the later one"),
    Column("iou", Double, doc="of what moved: intersection over union, 0 to 1; empty for points and lines"),
    Column("seen_at", Instant, nullable=False, doc="when the later response was seen, by the API's clock"),
    Index(None, "seen_at"),
    info={"doc": "one row for each difference between two responses of a task, one after the other"},
)
