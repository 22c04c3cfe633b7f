"""Batches keep the API's own counts of their tasks, for as long as these are true."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from scalesync.db.documents import BATCHES, TASKS
from scalesync.db.engine import Database
from scalesync.db.tables import batches
from scalesync.db.upserts import batches_to_count, mark_missing, set_batch_counts, write_rows
from scalesync.model import BatchStatus
from tests.db.test_upserts import at, held, row, task, wait_until_blocked, write
from tests.fixtures.databases import opened


def counted(database: Database, name: str, pending: int, served_at: datetime) -> Mapping[str, Any]:
    """Keep a batch's counts and return its row."""
    status = BatchStatus("in_progress", pending, 2, 3, 4, served_at)
    with database.write() as conn:
        set_batch_counts(conn, name, status, served_at)
    return held(database, batches)[name]


def to_count(database: Database, limit: int = 10) -> list[str]:
    """Return which batches want counting."""
    with database.read() as conn:
        return [name for name, _ in batches_to_count(conn, limit)]


def test_counts_are_kept_until_a_task_changes(database: Database) -> None:
    """A batch is counted once; a new or changed task of it, also one that left it, asks for a new count."""
    write(database, BATCHES, [row(BATCHES, name=name) for name in "cab"], at(0))
    assert to_count(database) == ["a", "b", "c"]
    assert to_count(database, limit=2) == ["a", "b"]
    found = counted(database, "a", 1, at(1))
    assert [found[f"tasks_{state}"] for state in ("pending", "completed", "error", "canceled")] == [
        1,
        2,
        3,
        4,
    ]
    assert found["counted_at"] == at(1)
    counted(database, "b", 1, at(1))
    counted(database, "c", 1, at(1))
    assert to_count(database) == []
    write(database, TASKS, [task("t", batch="a")], at(2))
    assert to_count(database) == ["a"]
    counted(database, "a", 1, at(3))
    write(database, TASKS, [task("t", batch="a")], at(4))
    assert to_count(database) == []
    write(database, TASKS, [task("t", batch="b")], at(5))
    assert to_count(database) == ["a", "b"]
    assert held(database, batches)["a"]["tasks_pending"] == 1


def test_counts_older_than_a_task_or_than_other_counts_are_refused(database: Database) -> None:
    """Counts served before a task of the batch was synced, or before the counts here, change nothing."""
    write(database, BATCHES, [row(BATCHES, name="a"), row(BATCHES, name="b")], at(0))
    write(database, TASKS, [task("t", batch="a")], at(2))
    assert counted(database, "a", 7, at(1))["counted_at"] is None
    assert counted(database, "a", 8, at(2))["tasks_pending"] == 8
    assert counted(database, "b", 9, at(2))["tasks_pending"] == 9
    assert counted(database, "b", 1, at(1))["tasks_pending"] == 9


def test_counts_outlive_a_change_of_the_batch_but_want_refreshing(database: Database) -> None:
    """A changed batch keeps its old counts and is counted again; an unchanged one is not."""
    write(database, BATCHES, [row(BATCHES, name="a", status="staging")], at(0))
    counted(database, "a", 1, at(1))
    write(database, BATCHES, [row(BATCHES, name="a", status="staging")], at(2))
    assert to_count(database) == []
    write(database, BATCHES, [row(BATCHES, name="a", status="completed")], at(3))
    with database.read() as conn:
        assert batches_to_count(conn, 10) == [("a", "completed")]
    assert held(database, batches)["a"]["tasks_pending"] == 1


def test_a_missing_task_or_batch_bears_on_counts(database: Database) -> None:
    """The batch of a task that is gone is counted again; a batch that is gone is not."""
    write(database, BATCHES, [row(BATCHES, name="a"), row(BATCHES, name="b")], at(0))
    write(database, TASKS, [task("t", batch="a")], at(0))
    counted(database, "a", 1, at(1))
    with database.write() as conn:
        mark_missing(conn, TASKS, ["t"], at(2))
        mark_missing(conn, BATCHES, ["b"], at(2))
    assert to_count(database) == ["a"]


def test_counting_and_writing_tasks_at_once_never_leaves_old_counts(postgres_url: str) -> None:
    """Counts wait for a transaction that holds the batch, then see the newer task and give way."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        write(database, BATCHES, [row(BATCHES, name="a")], at(0))
        with database.write() as conn:
            write_rows(conn, TASKS, [task("t", batch="a")], at(5))
            counting = threads.submit(counted, database, "a", 1, at(4))
            wait_until_blocked(database)
        counting.result()
        assert to_count(database) == ["a"]
