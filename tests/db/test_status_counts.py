"""The numbers of tasks by status are those of a count, and no count is made for them."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, select

from scalesync.db.database import Database
from scalesync.db.mirror import query, status_counts
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.db.schema.annotations_and_changes import task_counts
from scalesync.db.schema.mirror import tasks
from scalesync.models.changes import SeenBy
from scalesync.models.selection import ObjectCounts
from tests.db.test_upserts import at, task, wait_until_blocked, write
from tests.support.databases import opened


def keep(database: Database, *, recount: bool = False) -> None:
    """Store the numbers in a transaction of its own."""
    with database.write() as conn:
        status_counts.keep(conn, recount=recount)


def numbers(database: Database) -> dict[str | None, int]:
    """Return the numbers as `status` takes them."""
    with database.read() as conn:
        return status_counts.by_status(conn)


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_a_count_after_any_history(database: Database, seed: int) -> None:
    """Tasks come, change, lose their status, go and come back; they are kept at any time, or never."""
    rng = random.Random(seed)
    statuses = ["pending", "completed", "error", "odd", "ü", *([None] if seed % 2 else [])]
    for minute in range(40):
        keys = [f"{rng.randrange(30):02}" for _ in range(rng.randrange(6))]
        if rng.random() < 0.3:
            with database.write() as conn:
                mark_missing(conn, TASKS, keys, at(minute))
        else:
            rows = [task(key, status=rng.choice(statuses), batch=rng.choice("ab")) for key in keys]
            write(database, TASKS, rows, at(minute))
        if rng.random() < 0.3:
            keep(database, recount=rng.random() < 0.3)
        with database.read() as conn:
            assert status_counts.by_status(conn) == status_counts.counted(conn, tasks)


def test_once_they_are_kept_no_task_is_looked_at(database: Database) -> None:
    """Not even if all are gone, which nothing here does; a recount puts that right."""
    write(database, TASKS, [task(key, status="pending") for key in "abc"], at(0))
    keep(database)
    with database.write() as conn:
        conn.execute(delete(tasks))
        assert query.counts(conn)["tasks"] == ObjectCounts(3, 0, {"pending": 3})
    write(database, TASKS, [task("d", status="completed")], at(1))
    assert numbers(database) == {"pending": 3, "completed": 1}

    keep(database)
    assert numbers(database) == {"pending": 3, "completed": 1}
    keep(database, recount=True)
    assert numbers(database) == {"completed": 1}


def test_tasks_without_a_status_are_counted_each_time(database: Database) -> None:
    """Once all have one, the numbers are kept again."""
    write(database, TASKS, [task("a", status="pending"), task("b")], at(0))
    keep(database)
    with database.read() as conn:
        assert conn.execute(select(task_counts)).all() == []
    assert numbers(database) == {"pending": 1, None: 1}

    write(database, TASKS, [task("b", status="pending")], at(1))
    keep(database)
    with database.read() as conn:
        assert [row[:2] for row in conn.execute(select(task_counts))] == [("pending", 2)]


def test_whoever_keeps_them_waits_for_tasks_that_are_being_written(postgres_url: str) -> None:
    """Otherwise those would be older than what was kept, and never be counted."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        write(database, TASKS, [task("a", status="pending")], at(0))
        keep(database)
        with database.write() as conn:
            write_rows(conn, TASKS, [task("b", status="pending")], SeenBy(at(1)))
            keeping = threads.submit(keep, database)
            wait_until_blocked(database)
        keeping.result()
        assert numbers(database) == {"pending": 2}
