"""The history of tasks: what really changed, in the order in which it was seen."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, func, select

from scalesync.db import bulk_insert
from scalesync.db.filters import half_open
from scalesync.db.schema.annotations_and_changes import task_changes
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
"""What a change is called, by the column of `tasks` that it is seen in."""

UNKNOWN = ""
"""A digest that nothing can be compared with: of a response that was here before there were digests."""

_AT_ONCE = 500
"""Rows held in memory while streaming."""

_TASK_WRITES = 0x5CA1E5_0002
"""The Postgres advisory lock of whoever writes tasks."""

_NEW = bulk_insert.InsertTarget.of(task_changes, ("task_id", "run_id", "seen_at", "field", "before", "after"))


class RowChange(NamedTuple):
    """A task's followed columns before and after it was written; no `before`: it was not here."""

    task_id: str
    before: Mapping[str, object] | RowMapping | None
    after: Mapping[str, object]
    """What was written; a task that is written is not missing."""


def lock_task_writes(conn: Connection) -> None:
    """Return when no other transaction writes tasks, or what follows from them, until this one ends.

    What is read afterwards is so up to date that what is written can be told from it; and rows of
    `task_changes` are committed in the order of their ids. To be called before any task is locked.
    """
    if conn.dialect.name != "sqlite":
        conn.execute(select(func.pg_advisory_xact_lock(_TASK_WRITES)))


def record(conn: Connection, steps: Sequence[RowChange], seen: SeenBy) -> None:
    """Add a row for each followed column that differs; of a task new here only its status."""
    seen_at = format_instant(seen.at)
    rows = [
        (step.task_id, seen.run_id, seen_at, field, before, after)
        for step in steps
        for field, before, after in _differences(step)
    ]
    bulk_insert.write(conn, _NEW, rows)


def record_missing(conn: Connection, task_ids: Sequence[str], seen: SeenBy) -> None:
    """Add a row for each of these tasks, which the API has no more."""
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
    """Yield the changes with larger ids than `after_id`, seen at `since` or later and before `until`.

    Oldest first, in flat memory; the connection can do nothing else
    until the iterator is exhausted or closed.
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
    if step.before is None:
        return (("status", None, _text(step.after["status"])),)
    compared = (
        (field, _text(step.before[column]), _text(step.after.get(column)))
        for field, column in TRACKED.items()
    )
    return [(field, before, after) for field, before, after in compared if before not in (after, UNKNOWN)]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return format_instant(value) if isinstance(value, datetime) else str(value)
