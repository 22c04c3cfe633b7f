"""Documents come out filtered, in order and as a stream."""

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.db.mirror.query import counts, documents, find
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.models.changes import SeenBy
from scalesync.models.selection import ObjectCounts, Selection
from tests.support.databases import opened

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)

FOUR = [
    {
        "task_id": "a",
        "project": "p",
        "batch": "x",
        "status": "pending",
        "type": "t",
        "created_at": "2024-01-01T00:00:00.000Z",
    },
    {
        "task_id": "b",
        "project": "p",
        "status": "completed",
        "type": "u",
        "created_at": "2024-01-03T00:00:00.000Z",
    },
    {"task_id": "c", "project": "q", "status": "pending", "created_at": "2024-01-02T00:00:00.000Z"},
    {"task_id": "d"},
]


def written(database: Database, kind: StreamMapping, given: list[dict[str, Any]]) -> None:
    """Write documents at noon."""
    with database.write() as conn:
        write_rows(conn, kind, [to_row(kind, json.dumps(each).encode()) for each in given], SeenBy(NOON))


def keys(database: Database, wanted: Selection) -> str:
    """Return the keys of the wanted tasks in the order they come."""
    with database.read() as conn:
        return "".join(json.loads(document)["task_id"] for document in documents(conn, TASKS, wanted))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Selection(), "abcd"),
        (Selection(newest_first=True), "bcad"),
        (Selection(limit=2), "ab"),
        (Selection(project="p"), "ab"),
        (Selection(batch="x"), "a"),
        (Selection(status="pending"), "ac"),
        (Selection(type="u"), "b"),
        (Selection(project="p", status="pending"), "a"),
        (Selection(since=datetime(2024, 1, 2, tzinfo=UTC)), "bc"),
        (Selection(until=datetime(2024, 1, 2, tzinfo=UTC)), "a"),
        (Selection(project="unknown"), ""),
    ],
)
def test_filters_narrow_what_comes(database: Database, wanted: Selection, found: str) -> None:
    """Each filter, alone or with others, leaves out what does not match; order is by key or newest first."""
    written(database, TASKS, FOUR)
    assert keys(database, wanted) == found


def test_missing_objects_come_only_when_asked_for(database: Database) -> None:
    """A tombstone is left out of a stream unless wanted, and is still found by its key."""
    written(database, TASKS, FOUR)
    with database.write() as conn:
        mark_missing(conn, TASKS, ["b"], NOON)
    assert keys(database, Selection()) == "acd"
    assert keys(database, Selection(missing=True)) == "abcd"
    with database.read() as conn:
        assert find(conn, TASKS, "b") is not None
        assert find(conn, TASKS, "e") is None


def test_documents_come_as_they_were_sent(database: Database) -> None:
    """Every stream gives its documents back, each as one line of compact JSON."""
    for kind, given in (
        (TASKS, FOUR),
        (BATCHES, [{"name": "x", "metadata": {"a": [1, None]}}]),
        (PROJECTS, [{"name": "p", "param_history": [{"version": 1}]}]),
    ):
        written(database, kind, given)
        with database.read() as conn:
            found = list(documents(conn, kind))
        assert [json.loads(document) for document in found] == given
        assert not any(b"\n" in document or b": " in document for document in found)


def test_a_stream_takes_flat_memory(database: Database) -> None:
    """Streaming 40 MB of documents holds a small part of them at a time."""
    big = "x" * 10_000
    for page in range(40):
        written(database, TASKS, [{"task_id": f"{page}-{n}", "instruction": big} for n in range(100)])
    with database.read() as conn:
        tracemalloc.start()
        total = sum(map(len, documents(conn, TASKS)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total > 40_000_000
    assert peak < 12_000_000


def test_a_stream_from_postgres_stays_on_the_server(postgres_url: str) -> None:
    """Rows that nobody read yet are not sent: the driver would hold all of them."""
    with opened(postgres_url) as database:
        written(database, TASKS, FOUR)
        with database.read() as conn:
            stream = documents(conn, TASKS)
            next(stream)
            assert conn.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one() == 1
            assert len(list(stream)) == len(FOUR) - 1


def test_counts_are_by_stream_and_status(database: Database) -> None:
    """Objects here are counted by status, tombstones apart."""
    written(database, TASKS, FOUR)
    written(database, PROJECTS, [{"name": "p"}])
    with database.write() as conn:
        mark_missing(conn, TASKS, ["c"], NOON)
    with database.read() as conn:
        assert counts(conn) == {
            "tasks": ObjectCounts(here=3, missing=1, by_status={"pending": 1, "completed": 1, None: 1}),
            "batches": ObjectCounts(here=0, missing=0, by_status={}),
            "projects": ObjectCounts(here=1, missing=0, by_status={}),
        }


def test_tasks_are_counted_without_reading_them(sqlite_url: str) -> None:
    """Every statement that counts them goes through an index, whatever the size of their documents."""
    asked: list[str] = []
    with opened(sqlite_url) as database, database.read() as conn:
        driver: Any = conn.connection.driver_connection
        driver.set_trace_callback(asked.append)
        counts(conn)
        driver.set_trace_callback(None)
        statements = [statement for statement in asked if "FROM tasks" in statement]
        plans = [conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all() for statement in statements]

    scans = [step.detail for plan in plans for step in plan if "tasks" in step.detail]
    assert sorted(scans) == [
        "SCAN tasks USING COVERING INDEX ix_tasks_project_status",
        "SCAN tasks USING INDEX ix_tasks_missing",
    ]
