"""What `status`, a sync without news and a verification read of a large mirror, by the plans of SQLite."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from scalesync import Mirror
from scalesync.db.database import Database
from scalesync.db.mirror import batch_counts
from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import comparison, runs
from scalesync.models.sync import Window
from scalesync.status import read_status
from tests.benchmark.server import KEY, running
from tests.support.databases import opened

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = {"mirror", "runs", "watermarks", "verifications", "projects", "alembic_version", "task_counts", "c"}
"""Tables, and the alias of commands, whose size does not follow from the number of tasks or have indexes of
what is left to do."""
_WHOLE = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
PARTIAL = {"ix_tasks_missing", "ix_result_files_unfetched", "ix_result_files_unread", "ix_batches_uncounted"}
"""Indexes of what is left to do, or of what is rare."""


@contextmanager
def plans(conn: Connection) -> Iterator[list[str]]:
    """Collect the lines of the plan of each statement that the block executes."""
    asked: list[tuple[str, object]] = []
    lines: list[str] = []

    def note(*given: object) -> None:
        asked.append((str(given[2]), given[3]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield lines
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    for statement, parameters in asked:
        if statement.startswith(("SELECT", "WITH")):
            found = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            lines += [str(row[3]) for row in found]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Database]:
    """Sync a small account once."""
    path = tmp_path_factory.mktemp("plans") / "mirror.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running(300) as api:
        assert Mirror(f"sqlite:///{path}", api_key=KEY, api_url=api.url).sync().complete
    with opened(f"sqlite:///{path}") as database:
        yield database


def test_status_reads_no_task_and_no_file(database: Database) -> None:
    """Only what is left to do, what is missing, and batches by an index."""
    with database.read() as conn, plans(conn) as lines:
        status = read_status(conn, "x", NOW, recent=5)

    assert sum(status.counts["tasks"].by_status.values()) == 300
    read = {(table, index) for line in lines for table, index in _WHOLE.findall(line)}
    large = {(table, index) for table, index in read if table not in SMALL and index not in PARTIAL}
    assert large <= {
        ("batches", "ix_batches_project_status"),
        ("batches", ""),
        ("anon_1", ""),
        ("unread_responses", ""),
        ("replaced_responses", "ix_replaced_responses_bytes"),
    }


_FACTS: dict[str, Callable[[Connection], object]] = {
    "ix_batches_unfinished": runs.oldest_unfinished_batch,
    "ix_batches_uncounted": lambda conn: batch_counts.completed_with_changes(conn, None),
    "ix_tasks_updated_at": runs.some_task_without_update_time,
}


@pytest.mark.parametrize("index", _FACTS)
def test_a_sync_without_news_reads_only_what_is_left_to_do(database: Database, index: str) -> None:
    """Each fact that it needs is in one index."""
    with database.read() as conn, plans(conn) as lines:
        _FACTS[index](conn)

    assert any(index in line for line in lines)
    assert not [line for line in lines if re.fullmatch(r"SCAN (tasks|batches)", line)]


@pytest.mark.parametrize(
    "window",
    [
        Window("tasks"),
        Window("tasks", "Parking lots"),
        Window("tasks", created_from=NOW - timedelta(days=900)),
        Window("tasks", created_to=NOW - timedelta(days=900)),
        Window("tasks", "Parking lots", NOW - timedelta(days=900), NOW),
    ],
)
@pytest.mark.parametrize("before", [None, NOW])
def test_a_verification_counts_from_an_index_alone(
    database: Database, window: Window, before: datetime | None
) -> None:
    """And right: tasks without a time are in windows without a lower bound."""
    with database.write() as conn:
        conn.execute(
            text("UPDATE tasks SET created_at = NULL WHERE task_id = (SELECT min(task_id) FROM tasks)")
        )
    with database.read() as conn:
        with plans(conn) as lines:
            found = comparison.counts(conn, TASKS, window, before)
        expected = comparison.count(conn, TASKS, window, before)

    assert sum(found.values()) == expected
    assert {line.split(" (")[0] for line in lines if "tasks" in line} <= {
        "SEARCH tasks USING COVERING INDEX ix_tasks_created_at_project_status_missing_since",
        "SCAN tasks USING COVERING INDEX ix_tasks_created_at_project_status_missing_since",
    }


def test_the_tasks_of_batches_are_counted_from_an_index_alone(database: Database) -> None:
    """Those of stale batches after a sync, and those of all in a verification."""
    with database.write() as conn:
        conn.execute(text("UPDATE batches SET counted_at = NULL"))
        with plans(conn) as lines:
            assert batch_counts.miscounted_batches(conn) == []
            assert batch_counts.count_batches(conn, NOW)
            assert batch_counts.miscounted_batches(conn) == []

    of_tasks = [line for line in lines if re.match(r"(SEARCH|SCAN) tasks", line)]
    assert of_tasks
    assert all(" USING COVERING INDEX ix_tasks_batch_" in line for line in of_tasks)
