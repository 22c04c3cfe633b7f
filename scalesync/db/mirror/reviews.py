"""Fill `task_audits` and `task_attempts`; the rows of a task are always replaced as a whole."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from scalesync.db import bulk_insert
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import task_attempts, task_audits
from scalesync.db.statements import in_list
from scalesync.parsing.review_rows import ReviewRows, review_rows
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import TaskInserts

TABLES = (task_audits, task_attempts)

# Tasks whose rows are made at once after an upgrade.
_AT_ONCE = 500
_INTO = [bulk_insert.InsertTarget.of(table, table.c.keys()) for table in TABLES]
_DELETE = [sa.delete(table).where(in_list(table.c.task_id, "tasks")) for table in TABLES]

_HERE = sa.union_all(
    *(sa.select(table.c.task_id).where(in_list(table.c.task_id, "tasks")) for table in TABLES)
).limit(1)


def write(conn: sa.Connection, rows: Sequence[Row]) -> None:
    """Replace the audits and attempts of these tasks, whose derived values are known."""
    # Also for tasks that are new here: somebody may have deleted a row of `tasks` and nothing else.
    task_ids = [row.key for row in rows]
    for statement in _DELETE if _any_here(conn, task_ids) else ():
        conn.execute(statement, {"tasks": task_ids})
    derived = [row.derived for row in rows if row.derived]
    _insert(conn, [ReviewRows(each.audits, each.attempts) for each in derived])


def any_left_behind(conn: sa.Connection, pages: Sequence[TaskInserts]) -> bool:
    """Return whether rows of these tasks are here: somebody deleted only the tasks."""
    return _any_here(conn, [head.key for page in pages for head in page.heads])


def write_new(conn: sa.Connection, pages: Sequence[TaskInserts]) -> None:
    """Write the audits and attempts of tasks just inserted."""
    for page in pages:
        bulk_insert.write_flat(conn, task_audits, page.audits)
        bulk_insert.write_flat(conn, task_attempts, page.attempts)


def backfill(conn: sa.Connection) -> None:
    """Write the audits and attempts of all stored tasks, after an upgrade."""
    c, last = tasks.c, ""
    text = sa.cast(c.extra, sa.Text)
    named = sa.or_(text.contains('"audits"'), text.contains('"attempts"'))
    portion = sa.select(c.task_id, c.extra).where(named).order_by(c.task_id).limit(_AT_ONCE)
    while found := conn.execute(portion.where(c.task_id > last)).all():
        _insert(conn, [review_rows(task_id, extra) for task_id, extra in found])
        last = found[-1].task_id


def _any_here(conn: sa.Connection, task_ids: list[str]) -> bool:
    return bool(task_ids) and conn.scalar(_HERE, {"tasks": task_ids}) is not None


def _insert(conn: sa.Connection, reviews: Iterable[ReviewRows]) -> None:
    for into, of_tasks in zip(_INTO, zip(*reviews, strict=True), strict=False):
        bulk_insert.write(conn, into, [row for rows in of_tasks for row in rows])
