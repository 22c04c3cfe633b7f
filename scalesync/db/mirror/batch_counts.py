"""The counts of tasks that batches have: a change of a task puts them out of date, a run makes them anew."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from scalesync.db.schema.mirror import batches, tasks
from scalesync.db.statements import byte_order, chunks, in_list

COUNTED_STATUSES = ("pending", "completed", "error", "canceled")
"""The statuses of tasks that batches have a column for."""

# On Postgres this waits for whoever holds these batches, so that the next statement sees what they wrote.
_LOCK_BATCHES = (
    sa.select(batches.c.name)
    .where(in_list(batches.c.name, "names"))
    .order_by(byte_order(batches.c.name))
    .with_for_update()
)
_MARK_STALE = (
    sa.update(batches)
    .where(in_list(batches.c.name, "names"), batches.c.counted_at.is_not(None))
    .values(counted_at=None)
)


def mark_stale(conn: sa.Connection, names: Collection[object]) -> None:
    """Note that the counts of these batches are out of date."""
    given = {"names": [str(name) for name in names if name is not None]}
    if given["names"]:
        if conn.dialect.name != "sqlite":
            conn.execute(_LOCK_BATCHES, given).all()
        conn.execute(_MARK_STALE, given)


def count_batches(conn: sa.Connection, at: datetime) -> int:
    """Count the tasks here of each batch whose counts are out of date, as of `at`; return how many were.

    Tasks that are gone at the API do not count. Batches are locked first, so that a task which another
    transaction writes meanwhile is either counted or has its batch counted again.
    """
    outdated = sa.select(batches.c.name).where(
        batches.c.counted_at.is_(None), batches.c.missing_since.is_(None)
    )
    names = conn.scalars(outdated.order_by(byte_order(batches.c.name)).with_for_update()).all()
    for chunk in chunks(names):
        inside = sa.and_(tasks.c.batch.in_(chunk), tasks.c.missing_since.is_(None))
        query = sa.select(tasks.c.batch, tasks.c.status, sa.func.count()).where(inside)
        found = conn.execute(query.group_by(tasks.c.batch, tasks.c.status))
        counts = {(batch, status): count for batch, status, count in found}
        columns: dict[str, object] = {
            f"tasks_{name}": sa.bindparam(f"count_{name}") for name in COUNTED_STATUSES
        }
        conn.execute(
            sa.update(batches)
            .where(batches.c.name == sa.bindparam("batch"))
            .values(columns | {"counted_at": at}),
            [
                {"batch": name}
                | {f"count_{status}": counts.get((name, status), 0) for status in COUNTED_STATUSES}
                for name in chunk
            ],
        )
    return len(names)


def completed_with_changes(conn: sa.Connection, before: datetime | None) -> list[str]:
    """Return the batches completed here that had a task change since they were read, and were not counted.

    They may have been reopened, which no filter of the API tells. Of a batch not read since `before` any
    change of a task counts; of one read later, or where `before` is None, only what the API dates after that.
    """
    columns = batches.c
    later = sa.exists().where(tasks.c.batch == columns.name, tasks.c.updated_at >= columns.synced_at)
    touched = later if before is None else sa.or_(columns.synced_at < before, later)
    outdated = sa.and_(columns.counted_at.is_(None), columns.missing_since.is_(None))
    query = sa.select(columns.name).where(columns.status == "completed", outdated, touched)
    return list(conn.scalars(query.order_by(columns.name)))


def miscounted_batches(conn: sa.Connection) -> list[str]:
    """Return the batches whose columns `tasks_*` are not the numbers of their tasks here, though counted."""
    columns = batches.c
    present = sa.and_(tasks.c.missing_since.is_(None), tasks.c.batch.is_not(None))
    of_status = (
        sa.func.count().filter(tasks.c.status == name).label(f"tasks_{name}") for name in COUNTED_STATUSES
    )
    real = sa.select(tasks.c.batch, *of_status).where(present).group_by(tasks.c.batch).subquery()
    wrong = sa.or_(
        *(
            columns[name] != sa.func.coalesce(real.c[name], 0)
            for name in (f"tasks_{status}" for status in COUNTED_STATUSES)
        )
    )
    query = sa.select(columns.name).outerjoin(real, real.c.batch == columns.name)
    return list(conn.scalars(query.where(columns.counted_at.is_not(None), wrong).order_by(columns.name)))
