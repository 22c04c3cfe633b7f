"""How many tasks have each status: numbers that each run keeps, and what the history says of later changes.

Counting reads an index entry of every task: of some millions, nobody waits so long for `status`.
"""

from collections import Counter

from sqlalchemy import Connection, Table, delete, func, insert, select

from scalesync.db.schema.annotations_and_changes import task_changes, task_counts
from scalesync.db.schema.mirror import tasks


def by_status(conn: Connection) -> dict[str | None, int]:
    """Return the number of tasks of each status, missing ones included.

    Needs one snapshot: in a transaction that sees other commits meanwhile, hold the task-write lock.
    """
    kept = conn.execute(select(task_counts)).all()
    if not kept:
        return counted(conn, tasks)
    numbers: Counter[str | None] = Counter({row.status: row.tasks for row in kept})
    since = max(row.change_id for row in kept)
    columns = task_changes.c
    steps = select(columns.before, columns.after, func.count()).where(
        columns.id > since, columns.field == "status"
    )
    for before, after, number in conn.execute(steps.group_by(columns.before, columns.after)):
        if after is None:
            # Later on such a task would look like a new one.
            return counted(conn, tasks)
        numbers[after] += number
        # The first sight of a task is a change from nothing.
        if before is not None:
            numbers[before] -= number
    return {status: number for status, number in numbers.items() if number}


def keep(conn: Connection, *, recount: bool = False) -> None:
    """Store the numbers as they are now, so that `by_status` reads no older change; with `recount`, counted.

    Takes the task-write lock. Stores nothing if some task has no status: then they are counted each time.
    """
    from scalesync.db.mirror import changes  # `status`, which only reads, needs nothing that writes

    changes.lock_task_writes(conn)
    last = conn.execute(select(func.coalesce(func.max(task_changes.c.id), 0))).scalar_one()
    kept_at = conn.execute(select(func.max(task_counts.c.change_id))).scalar_one()
    if last == kept_at and not recount:
        return
    numbers = counted(conn, tasks) if recount else by_status(conn)
    conn.execute(delete(task_counts))
    if numbers and None not in numbers:
        rows = [{"status": status, "tasks": number, "change_id": last} for status, number in numbers.items()]
        conn.execute(insert(task_counts), rows)


def counted(conn: Connection, table: Table) -> dict[str | None, int]:
    """Return the number of rows of each status in `tasks` or `batches`, counted now."""
    # Grouped by (project, status), both databases count in the index alone.
    parts = select(table.c.status, func.count().label("rows")).group_by(table.c.project, table.c.status)
    part = parts.subquery().c
    found = conn.execute(select(part.status, func.sum(part.rows)).group_by(part.status))
    return {status: int(rows) for status, rows in found}
