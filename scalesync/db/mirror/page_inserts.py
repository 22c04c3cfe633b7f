"""Insert pages of tasks that are expected to be new, without a look at each of them first.

Open it for what hosts write side by side, and what only under the task-write lock. All in the caller's
transaction.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from scalesync.db import bulk_insert
from scalesync.db.caller_transaction import savepoint
from scalesync.db.mirror import annotations, batch_counts, changes, partition_changes, reviews
from scalesync.db.mirror.documents import TASKS
from scalesync.models.changes import SeenBy
from scalesync.models.publishing import Partition
from scalesync.models.sync import WriteCounts
from scalesync.parsing.task_inserts import TaskInserts


def insert_pages(conn: sa.Connection, pages: Sequence[TaskInserts], seen: SeenBy) -> WriteCounts | None:
    """Insert pages of tasks that are expected to be new here; return the counts.

    Returns None, with nothing written, if a task or rows of it are here, if one comes twice, or if a value is
    refused: then `write_last` compares them one by one.
    """
    if not pages:
        return WriteCounts()
    if conn.dialect.name != "sqlite":
        # Tasks before the lock, so that hosts write them side by side and wait only for each other's history.
        try:
            return _insert(conn, pages, seen, locked=False)
        except sa.exc.OperationalError as error:
            if not changes.gave_way(error):
                raise
    changes.lock_task_writes(conn)
    return _insert(conn, pages, seen, locked=True)


def _insert(
    conn: sa.Connection, pages: Sequence[TaskInserts], seen: SeenBy, *, locked: bool
) -> WriteCounts | None:
    """Insert pages as `insert_pages` does, before or after the task-write lock was taken.

    Raises OperationalError, with nothing written, if it is not `locked` and waits for another writer.
    """
    heads = [head for page in pages for head in page.heads]
    try:
        with savepoint(conn):
            if annotations.any_left_behind(conn, pages) or reviews.any_left_behind(conn, pages):
                return None
            # 1. Only what belongs to these tasks: another writer of one of them waits for our commit.
            limit = None if locked else changes.limit_lock_waits(conn)
            for page in pages:
                bulk_insert.write_flat(conn, TASKS.table, page.tasks)
            reviews.write_new(conn, pages)
            unread = annotations.write_new(conn, pages)
            # 2. What others write too, or what has to be in the order of commits.
            if not locked:
                changes.lock_task_writes(conn, limit)
            batch_counts.mark_stale(conn, {name for page in pages for name in page.batches})
            changes.record_new(conn, [head.key for head in heads], seen)
            partition_changes.mark(conn, {Partition.of(head.project, head.created_at) for head in heads})
            if files := [response for page in pages for response in page.with_files]:
                unread += annotations.write(conn, files).unread
    except (sa.exc.IntegrityError, sa.exc.DataError):
        return None
    repeated = sum(page.repeated for page in pages)
    return WriteCounts(new=len(heads), unread=unread, values_replaced=repeated)
