"""What planning needs to know of the mirror."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from scalesync.db.tables import batches, tasks


def oldest_unfinished_batch(conn: Connection) -> datetime | None:
    """Return when the oldest batch was created that is not completed here, or None if all are."""
    unfinished = func.coalesce(batches.c.status, "") != "completed"
    query = select(func.min(batches.c.created_at)).where(unfinished, batches.c.missing_since.is_(None))
    oldest: datetime | None = conn.execute(query).scalar_one()
    return oldest


def some_task_without_update_time(conn: Connection) -> bool:
    """Return whether any task here has no `updated_at`: such tasks hide from a filter on it."""
    query = select(tasks.c.task_id).where(tasks.c.updated_at.is_(None)).limit(1)
    return conn.execute(query).first() is not None
