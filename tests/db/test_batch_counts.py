"""Batches count their tasks here, and count again when one of them changed."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from scalesync.db.database import Database
from scalesync.db.mirror.batch_counts import completed_with_changes, count_batches
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.db.schema.mirror import batches
from scalesync.models.changes import SeenBy
from tests.db.test_upserts import at, held, row, task, wait_until_blocked, write
from tests.support.databases import opened


def count(database: Database, when: datetime) -> int:
    """Count what is out of date and return how many batches that were."""
    with database.write() as conn:
        return count_batches(conn, when)


def counts(batch: Mapping[str, Any]) -> tuple[object, ...]:
    """Return pending, completed, error, canceled and the instant of counting."""
    statuses = ("pending", "completed", "error", "canceled")
    return (*(batch[f"tasks_{status}"] for status in statuses), batch["counted_at"])


def touched(database: Database, before: datetime) -> list[str]:
    """Return the completed batches that had a task change."""
    with database.read() as conn:
        return completed_with_changes(conn, before)


def test_a_batch_counts_its_tasks_by_status(database: Database) -> None:
    """Tasks of other batches, of none, and of other statuses do not count; an empty batch has zeros."""
    write(database, BATCHES, [row(BATCHES, name=name) for name in "ab"], at(0))
    statuses = ["pending", "pending", "completed", "error", "canceled", "odd", None]
    rows = [row(TASKS, task_id=str(number), batch="a", status=s) for number, s in enumerate(statuses)]
    write(database, TASKS, [*rows, task("x", batch="c"), row(TASKS, task_id="y", status="pending")], at(0))

    assert count(database, at(1)) == 2
    found = held(database, batches)
    assert (counts(found["a"]), counts(found["b"])) == ((2, 1, 1, 1, at(1)), (0, 0, 0, 0, at(1)))


def test_only_what_changed_is_counted_again(database: Database) -> None:
    """A new or changed task, one that left, and one that is gone have their batches counted again."""
    write(database, BATCHES, [row(BATCHES, name=name) for name in "abc"], at(0))
    write(database, TASKS, [row(TASKS, task_id="t", batch="a", status="pending")], at(0))
    assert [count(database, at(1)), count(database, at(2))] == [3, 0]

    write(database, TASKS, [row(TASKS, task_id="t", batch="a", status="pending")], at(3))
    assert count(database, at(3)) == 0
    write(database, TASKS, [row(TASKS, task_id="t", batch="b", status="pending")], at(4))
    assert count(database, at(4)) == 2
    assert counts(held(database, batches)["b"]) == (1, 0, 0, 0, at(4))
    with database.write() as conn:
        mark_missing(conn, TASKS, ["t"], at(5))
        mark_missing(conn, BATCHES, ["c"], at(5))
    assert count(database, at(5)) == 1
    assert counts(held(database, batches)["b"]) == (0, 0, 0, 0, at(5))


def test_a_completed_batch_whose_tasks_changed_may_have_reopened(database: Database) -> None:
    """It is named until it is counted or read; others, and those just read, are not."""
    names = {"a": "completed", "b": "completed", "c": "staging"}
    write(database, BATCHES, [row(BATCHES, name=name, status=s) for name, s in names.items()], at(0))
    count(database, at(1))
    assert touched(database, at(2)) == []

    write(database, TASKS, [task("t", batch="a"), task("u", batch="c")], at(3))
    assert (touched(database, at(2)), touched(database, at(0))) == (["a"], [])
    count(database, at(4))
    assert touched(database, at(5)) == []


def test_counting_and_writing_tasks_at_once_never_leaves_old_counts(postgres_url: str) -> None:
    """Counting waits for a transaction that holds the batch, then counts the task that it wrote."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        write(database, BATCHES, [row(BATCHES, name="a")], at(0))
        with database.write() as conn:
            write_rows(conn, TASKS, [row(TASKS, task_id="t", batch="a", status="pending")], SeenBy(at(5)))
            counting = threads.submit(count, database, at(6))
            wait_until_blocked(database)
        counting.result()
        assert counts(held(database, batches)["a"]) == (1, 0, 0, 0, at(6))
