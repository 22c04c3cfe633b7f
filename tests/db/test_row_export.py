"""Rows come out of tables and views filtered, in order and as a stream, the same from both databases."""

import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import inspect

from scalesync.cli.export import TABLES, VIEWS
from scalesync.db.database import Database
from scalesync.db.export.rows import rows, rows_by_month
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.partial_indexes import metadata
from scalesync.errors import ConfigurationError
from scalesync.models.columns import ColumnKind
from scalesync.models.selection import Selection
from scalesync.queue.transaction import Transaction
from tests.support.databases import opened
from tests.support.export_account import ODD, box, filled, task, written

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
CASES = (
    ("tasks", Selection(), "a b c d e"),
    ("annotations", Selection(), "a b b e e"),
    ("annotations", Selection(missing=True), "a b b e e gone"),
    ("annotations", Selection(project=ODD), "b b"),
    ("annotations", Selection(status="pending"), ""),
    ("annotations", Selection(batch="b", type="imageannotation", since=FEBRUARY), "e e"),
    ("annotations", Selection(until=FEBRUARY), "a b b"),
    ("annotations", Selection(limit=2), "a b"),
    ("annotations", Selection(geometry="polygon"), "e e"),
    ("annotations", Selection(geometry=("polygon", "box"), label=("car", "none")), "a e e"),
    ("annotations", Selection(label="bus", project=ODD), "b"),
    ("annotations", Selection(label="car", project=ODD), ""),
    ("label_counts", Selection(project=ODD, geometry="box", label="bus"), ODD),
    ("task_facts", Selection(project="p"), "a c e"),
    ("task_facts", Selection(since=FEBRUARY, status="completed"), "c e"),
    ("task_changes", Selection(status="pending"), "d"),
    ("batches", Selection(project="p", status="staging"), "b"),
    ("project_versions", Selection(until=datetime(2026, 1, 2, tzinfo=UTC)), "p"),
    ("commands", Selection(since=FEBRUARY), "1"),
    ("commands", Selection(until=FEBRUARY), ""),
    ("label_counts", Selection(project=ODD), f"{ODD} {ODD}"),
    ("batch_progress", Selection(project="p", status="staging"), "b"),
    ("review_quality", Selection(batch="none"), ""),
    ("submissions", Selection(), "None"),
    ("submissions", Selection(project="p"), "None"),
    ("submissions", Selection(project="q"), ""),
    ("submissions", Selection(status="completed"), ""),
)
_EMPTY = {
    "attachments",
    "annotation_links",
    "command_attempts",
    "runs",
    "task_audits",
    "task_attempts",
    "reviewers",
    "unread_responses",
    "duplicate_tasks",
    "monthly_completion",
    "publications",
}
PYTHON = {
    ColumnKind.TEXT: str,
    ColumnKind.INTEGER: int,
    ColumnKind.NUMBER: float,
    ColumnKind.BOOLEAN: bool,
    ColumnKind.INSTANT: datetime,
    ColumnKind.DAY: str,
    ColumnKind.JSON: str,
    ColumnKind.BYTES: bytes,
}


@pytest.fixture
def full(database: Database) -> Database:
    """Return a database with the account in it, and a command."""
    with filled(database).write() as conn:
        Transaction(conn).create_task("imageannotation", {"project": "p", "batch": "b", "attachment": "x"})
    return database


def read(database: Database, name: str, wanted: Selection) -> list[dict[str, Any]]:
    """Return the wanted rows by the names of their columns."""
    with database.read() as conn:
        found = rows(conn, name, wanted)
        return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def keys(database: Database, name: str, wanted: Selection) -> list[Any]:
    """Return the tasks that the wanted rows are about; of other rows their first column."""
    return [row.get("task_id", next(iter(row.values()))) for row in read(database, name, wanted)]


def test_every_table_and_view_comes_with_values_of_its_kinds(full: Database) -> None:
    """All that the command names are there, with rows, and each value is NULL or what its column says."""
    for name in (*TABLES, *VIEWS):
        with full.read() as conn:
            found = rows(conn, name)
            given = list(found.rows)
        assert given or name in _EMPTY
        for row in given:
            types = [PYTHON[column.kind] for column in found.columns]
            assert [type(value) for value in row] == [
                type(None) if value is None else kind for value, kind in zip(row, types, strict=True)
            ], name


def test_views_have_the_columns_that_are_declared(full: Database) -> None:
    """In their order: a column that is declared and missing, or the other way round, is a bug."""
    with full.read() as conn:
        for name in VIEWS:
            there = [column["name"] for column in inspect(conn).get_columns(name)]
            assert [column.name for column in rows(conn, name).columns] == there


def test_every_table_of_people_can_be_exported() -> None:
    """All but our own housekeeping, and files, which are no rows."""
    ours = {"mirror", "windows", "window_pages", "watermarks", "dispatch_gate", "batch_seals", "request_rate"}
    ours |= {"verifications", "publisher", "task_counts"}
    assert set(metadata.tables) - set(TABLES) == ours | {"result_files", "task_files"}


def test_filters_choose_by_the_row_or_by_its_task(full: Database) -> None:
    """What a row has itself decides, and for the rest the task that it belongs to."""
    for name, wanted, found in CASES:
        assert " ".join(map(str, keys(full, name, wanted))) == found, (name, wanted)


def test_days_are_chosen_by_when_they_begin(full: Database) -> None:
    """From the first midnight on, in UTC, until the last before the end."""
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    days = [row["day"] for row in read(full, "daily_throughput", Selection(since=noon))]
    assert (min(days), len(days)) == ("2026-02-03", 2)
    assert {row["day"] for row in read(full, "daily_throughput", Selection(until=noon))} == {"2026-01-02"}
    exactly = noon.replace(hour=0)
    assert read(full, "daily_throughput", Selection(until=exactly)) == []


@pytest.mark.parametrize(
    ("name", "wanted", "option"),
    [
        ("commands", Selection(project="p"), "--project"),
        ("commands", Selection(missing=True), "--missing"),
        ("runs", Selection(since=FEBRUARY), "--since"),
        ("label_counts", Selection(until=FEBRUARY), "--until"),
        ("daily_throughput", Selection(batch="b"), "--batch"),
        ("projects", Selection(status="x"), "--status"),
    ],
)
def test_a_filter_that_cannot_be_applied_is_refused(
    name: str, wanted: Selection, option: str, sqlite_url: str
) -> None:
    """With its name and that of the table or view: silently ignored, it would give too much."""
    with opened(sqlite_url) as database, pytest.raises(ConfigurationError, match=f"{option} .* {name}"):
        read(database, name, wanted)


def test_what_is_no_table_is_refused(sqlite_url: str) -> None:
    """Whatever else the file may hold."""
    with opened(sqlite_url) as database, pytest.raises(ConfigurationError, match="'sqlite_master'"):
        read(database, "sqlite_master", Selection())


def test_rows_come_by_project_and_month(full: Database) -> None:
    """Those of each project and month together, by their own or their task's; `project` is no column."""
    with full.read() as conn:
        drawn = rows_by_month(conn, "annotations")
        placed = [tuple(row[:3]) for row in drawn.rows]
        tasks = {tuple(row[:2]) for row in rows_by_month(conn, "tasks").rows}
        days = rows_by_month(conn, "daily_throughput")
        by_day = {tuple(row[:3]) for row in days.rows}
        facts = list(rows_by_month(conn, "task_facts").rows)
        (queued,) = rows_by_month(conn, "submissions").rows
        changes = {tuple(row[:2]) for row in rows_by_month(conn, "task_changes").rows}
    assert [column.name for column in drawn.columns][:2] == ["task_id", "ordinal"]
    assert sorted(placed) == [
        (ODD, "2026-01", "b"), (ODD, "2026-01", "b"), ("p", "2026-01", "a"), ("p", "2026-02", "e"),
        ("p", "2026-02", "e"),
    ]  # fmt: skip
    assert tasks == {(None, None), (ODD, "2026-01"), ("p", "2026-01"), ("p", "2026-02")}
    assert [column.name for column in days.columns] == ["day", "created", "completed", "canceled"]
    assert ("p", "2026-02", "2026-02-03") in by_day
    assert len(facts) == 5
    assert (queued[0], queued[1] > "2026-") == ("p", True)
    assert changes == tasks


def test_what_has_no_project_and_time_has_no_month(sqlite_url: str) -> None:
    """It is refused."""
    with opened(sqlite_url) as database, database.read() as conn:
        for name in ("projects", "commands", "label_counts"):
            with pytest.raises(ConfigurationError, match="partitioned"):
                rows_by_month(conn, name)


def test_rows_take_flat_memory(database: Database) -> None:
    """Of 10 MB of rows, in order and by month, a small part is held at a time."""
    for page in range(10):
        drawn = {"annotations": [box("x" * 10_000, n, 0) for n in range(10)]}
        written(database, TASKS, [task(f"{page}-{n}", response=drawn) for n in range(10)])
    for read_rows in (rows, rows_by_month):
        with database.read() as conn:
            tracemalloc.start()
            total = sum(len(row[-14]) for row in read_rows(conn, "annotations").rows)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert total == 10_000_000
        assert peak < 5_000_000
