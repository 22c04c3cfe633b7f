"""Tables about what the mirror publishes for other engines. A public contract."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from scalesync.db.types import Instant, metadata, one_row_key

partition_changes = Table(
    "partition_changes",
    metadata,
    Column("project", Text, primary_key=True, doc="the tasks' project; empty: none, or one without a name"),
    Column("month", Text, primary_key=True, doc="of their creation (UTC), as 2026-11; empty: not known"),
    Column("change_number", BigInteger, nullable=False, doc="of its last change, in the order of commits"),
    Index(None, "change_number"),
    info={"doc": "one row for each project and month of tasks that were written"},
)
"""A partition's rows, in all tables about tasks, are written in the transaction that gives it a number.

Numbers are given under the task-write lock: who has seen one never finds a smaller one later.
"""

publications = Table(
    "publications",
    metadata,
    Column(
        "id",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        doc="a random number, which the published table has too",
    ),
    Column("target", Text, nullable=False, doc="the directory or address given to `scalesync publish`"),
    Column("table", Text, nullable=False, doc="the table or view"),
    Column("change_id", BigInteger, nullable=False, doc="the last `change_number` that it includes"),
    Column("as_of", Instant, doc="up to when everything was here, by the API's clock; empty: not known"),
    Column("version", BigInteger, doc="of the Delta table; empty for Parquet"),
    Column("published_at", Instant, doc="when it was done; empty: begun, and perhaps not done"),
    info={"doc": "one row for the last publication of each table at each target"},
)
"""A row is committed before its target is changed, and the target has its `id`.

A target with an `id` that is not here was written by a copy of this mirror, or by this one before it was
restored from a backup: it is published whole.
"""

publisher = Table(
    "publisher",
    metadata,
    one_row_key(),
    Column("name", Text, nullable=False, doc="a random name, by which its published tables are known"),
    info={"doc": "one row: how the tables that this mirror publishes differ from those of other mirrors"},
)
