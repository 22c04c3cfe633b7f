"""Write and read the history of tasks in `task_changes`, in the order of commits.

People read it in portions ("changes after id N"): a row with a smaller id must never appear later.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from scalesync.db import bulk_insert
from scalesync.db.filters import half_open
from scalesync.db.schema.annotations_and_changes import task_changes
from scalesync.db.schema.mirror import tasks
from scalesync.db.statements import byte_order, in_list
from scalesync.models.changes import Change, SeenBy
from scalesync.timestamps import check_order, format_instant

TRACKED = {
    "status": "status",
    "customer_review_status": "customer_review_status",
    "batch": "batch",
    "completed_at": "completed_at",
    "response": "response_digest",
    "missing_since": "missing_since",
}
"""Columns of `tasks` by the name of the field in the history."""

UNKNOWN = ""
"""The digest of a response that was stored before there were digests; it equals no other."""

# Rows held in memory while streaming.
_AT_ONCE = 500

# The key of the Postgres advisory lock for writing tasks.
_TASK_WRITES = 0x5CA1E5_0002

# Below Postgres's `deadlock_timeout`, which is a second, and far above a turn of the lock.
_SHORT_WAIT = "300ms"
# MATERIALIZED: what is named first is done first.
_LIMIT = text("""
WITH before AS MATERIALIZED (SELECT current_setting('lock_timeout') AS old)
SELECT old, set_config('lock_timeout', :short, true) FROM before
""")
_LOCK_AND_RESTORE = text("""
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(:key))
SELECT set_config('lock_timeout', :limit, true) FROM turn
""")

_NEW = bulk_insert.InsertTarget.of(task_changes, ("task_id", "run_id", "seen_at", "field", "before", "after"))


_RECORD_NEW = insert(task_changes).from_select(
    ("task_id", "run_id", "seen_at", "field", "after"),
    select(
        tasks.c.task_id,
        bindparam("run", type_=task_changes.c.run_id.type),
        bindparam("seen", type_=task_changes.c.seen_at.type),
        literal_column("'status'"),
        tasks.c.status,
    )
    .where(in_list(tasks.c.task_id, "tasks"))
    .order_by(byte_order(tasks.c.task_id)),
)


class RowChange(NamedTuple):
    """The tracked columns of a task before and after a write."""

    task_id: str
    before: Mapping[str, object] | RowMapping
    after: Mapping[str, object]
    """The columns written; without `missing_since`, since a task that is written is not missing."""


def lock_task_writes(conn: Connection, lock_timeout: str | None = None) -> None:
    """Take the task-write lock until the transaction ends (Postgres; SQLite has one writer anyway).

    Call it before the transaction locks or reads any task, or after `limit_lock_waits`, with what that
    returned, which holds from then on. Writers of tasks that are new may lock before they take it.
    """
    # A change is the difference to the row read before: without the lock, two writers would both record the
    # same change. And ids are given at INSERT but visible at COMMIT: a reader could see id 8 first, remember
    # it, and never read id 7.
    if conn.dialect.name == "sqlite":
        return
    if lock_timeout is None:
        conn.execute(select(func.pg_advisory_xact_lock(_TASK_WRITES)))
    else:
        conn.execute(_LOCK_AND_RESTORE, {"key": _TASK_WRITES, "limit": lock_timeout})


def limit_lock_waits(conn: Connection) -> str:
    """Let statements on Postgres fail that wait for a lock longer than a moment; return the old limit.

    For a transaction that locks rows before it takes the task-write lock: whoever holds that may wait for
    these rows, and one of both has to give way. It holds until the savepoint around is undone, or until
    `lock_task_writes` restores the limit.
    """
    return str(conn.execute(_LIMIT, {"short": _SHORT_WAIT}).scalar_one())


def gave_way(error: DBAPIError) -> bool:
    """Return whether a statement failed because it waited for a lock, or in a circle."""
    return getattr(error.orig, "sqlstate", None) in {"55P03", "40P01"}


def record(conn: Connection, steps: Iterable[RowChange], seen: SeenBy) -> None:
    """Write a row for each tracked column that changed."""
    seen_at = format_instant(seen.at)
    rows = [
        (step.task_id, seen.run_id, seen_at, field, before, after)
        for step in steps
        for field, before, after in _differences(step)
    ]
    bulk_insert.write(conn, _NEW, rows)


def record_new(conn: Connection, task_ids: Sequence[str], seen: SeenBy) -> None:
    """Write the status of each of these tasks, which were just inserted."""
    if task_ids:
        conn.execute(_RECORD_NEW, {"seen": seen.at, "run": seen.run_id, "tasks": list(task_ids)})


def record_missing(conn: Connection, task_ids: Sequence[str], seen: SeenBy) -> None:
    """Write a row for each of these tasks, which are now missing at the API."""
    at = format_instant(seen.at)
    bulk_insert.write(
        conn, _NEW, [(task_id, seen.run_id, at, "missing_since", None, at) for task_id in task_ids]
    )


def listing(
    conn: Connection,
    *,
    after_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Change]:
    """Yield the changes with ids above `after_id`, seen at `since` or later and before `until`, by id.

    Needs constant memory; the connection is in use until the iterator is exhausted or closed.
    """
    check_order(since, until)
    statement = select(task_changes).where(*half_open(task_changes.c.seen_at, since, until))
    if after_id is not None:
        statement = statement.where(task_changes.c.id > after_id)
    statement = statement.order_by(task_changes.c.id)
    with conn.execute(statement.execution_options(yield_per=_AT_ONCE)) as result:
        for row in result.mappings():
            yield Change(**row)


def _differences(step: RowChange) -> Sequence[tuple[str, str | None, str | None]]:
    compared = (
        (field, _text(step.before[column]), _text(step.after.get(column)))
        for field, column in TRACKED.items()
    )
    # From UNKNOWN to a digest is no change of the task: the response was only never compared before.
    return [(field, before, after) for field, before, after in compared if before not in (after, UNKNOWN)]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return format_instant(value) if isinstance(value, datetime) else str(value)
