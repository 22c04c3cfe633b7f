"""Task counts of batches: each write of a task marks its batches as stale, and each run counts those again.

`batches.counted_at` is NULL while the counts are stale.
"""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from scalesync.db.schema.mirror import batches, tasks
from scalesync.db.statements import byte_order, chunks, in_list
from scalesync.models.sync import Window

COUNTED_STATUSES = ("pending", "completed", "error", "canceled")
"""The task statuses for which `batches` has a column."""

# On Postgres this waits for a transaction that is counting, so that the UPDATE after it sees `counted_at` set
# and clears it again. Locked in the order of names, as `count_batches` does, so that the two cannot deadlock.
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
    """Mark the counts of these batches as stale; names that are None are ignored."""
    given = {"names": [str(name) for name in names if name is not None]}
    if given["names"]:
        if conn.dialect.name != "sqlite":
            conn.execute(_LOCK_BATCHES, given).all()
        conn.execute(_MARK_STALE, given)


def count_batches(conn: sa.Connection, at: datetime) -> int:
    """Count the present tasks of every batch with stale counts, as of `at`; return the number of batches."""
    # Lock the batches before counting: a task that another transaction writes meanwhile is either counted
    # here, or its transaction waits in `mark_stale` and marks the batch again.
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
    """Return the completed batches with stale counts in which a task changed since they were read.

    For batches not read since `before`, any change of a task counts; for the others, and if `before` is None,
    only changes that the API dates after the reading.
    """
    # No filter of the API shows that a completed batch was reopened: they have to be read one by one.
    columns = batches.c
    # The latest change of all tasks decides first: it is in an index, and after a first pass rules out all.
    latest = sa.select(sa.func.max(tasks.c.updated_at)).scalar_subquery()
    later = sa.and_(
        columns.synced_at <= latest,
        sa.exists().where(tasks.c.batch == columns.name, tasks.c.updated_at >= columns.synced_at),
    )
    touched = later if before is None else sa.or_(columns.synced_at < before, later)
    outdated = sa.and_(columns.counted_at.is_(None), columns.missing_since.is_(None))
    query = sa.select(columns.name).where(columns.status == "completed", outdated, touched)
    return list(conn.scalars(query.order_by(columns.name)))


def window_around(conn: sa.Connection, names: Collection[str], page_size: int) -> tuple[Window | None, int]:
    """Return a window with these batches and all others of that time, and the pages that its list has.

    None if none of them has a time of creation; those without are not in it.
    """
    columns = batches.c
    ends: list[datetime] = []
    for chunk in chunks(names):
        query = sa.select(sa.func.min(columns.created_at), sa.func.max(columns.created_at))
        ends += (at for at in conn.execute(query.where(columns.name.in_(chunk))).one() if at is not None)
    if not ends:
        return None, 0
    window = Window(str(batches.name), created_from=min(ends), created_to=max(ends))
    inside = columns.created_at.between(window.created_from, window.created_to)
    number = conn.execute(sa.select(sa.func.count()).select_from(batches).where(inside)).scalar_one()
    return window, -(-number // page_size)


def miscounted_batches(conn: sa.Connection) -> list[str]:
    """Return the batches whose counts are not stale and still differ from the numbers of their tasks here."""
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
