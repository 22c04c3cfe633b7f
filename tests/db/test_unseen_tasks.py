"""Tasks expected to be new are inserted without a look first, and the tables are as after a look."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Table, delete, insert, select

from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.page_inserts import insert_pages
from scalesync.db.mirror.upsert import mark_missing, write_last, write_rows
from scalesync.db.schema.annotations_and_changes import (
    annotation_links,
    annotations,
    result_files,
    task_changes,
    task_files,
    unread_responses,
)
from scalesync.db.schema.mirror import tasks
from scalesync.models.changes import SeenBy
from scalesync.models.sync import Window, WriteCounts
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import make_page_inserter
from scalesync.timestamps import format_instant
from tests.db.test_annotations import boxes
from tests.db.test_upserts import at, task, wait_until_blocked
from tests.support.databases import opened

_TABLES = (
    tasks, annotations, annotation_links, task_files, result_files, task_changes, unread_responses,
)  # fmt: skip
_FILE = {"annotations": {"url": "https://files.example/1.json?signature=a"}}
_TASKS = [
    task("a", type="imageannotation", status="completed", batch="b", response=boxes("car", "bus")),
    task("b", type="videoannotation", status="completed", response=_FILE),
    task("c", type="imageannotation", status="pending", batch="c"),
    task("d", type="nobody knows", status="completed", response={"x": [1]}),
    task("e", status="error", response={"error": "no picture"}, priority=2**70, x="\U0001f600"),
]


def _insert(database: Database, rows: Sequence[Row], minutes: float = 0) -> WriteCounts | None:
    inserts = make_page_inserter(TASKS.spec, count_repeats=not database.is_sqlite)
    page = inserts(rows, format_instant(at(minutes)))
    with database.write() as conn:
        return insert_pages(conn, [page], SeenBy(at(minutes), 7))


def _write(database: Database, row: Row, minutes: float) -> None:
    """Insert a task or, if that is not possible, compare and write it."""
    if _insert(database, [row], minutes) is None:
        with database.write() as conn:
            write_last(conn, TASKS, [row], SeenBy(at(minutes), 7))


def _dump(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables about tasks, without the ids of the history."""
    with database.read() as conn:
        found = {
            table.name: [
                {name: value for name, value in row.items() if name != "id"}
                for row in conn.execute(select(table)).mappings()
            ]
            for table in _TABLES
        }
    return {name: sorted(rows, key=str) for name, rows in found.items()}


def test_the_tables_are_as_after_a_look(database: Database) -> None:
    """Annotations, links, files and history included, and the same is counted."""
    with database.write() as conn:
        counted = write_rows(conn, TASKS, _TASKS, SeenBy(at(0), 7))
    expected = _dump(database)
    with database.write() as conn:
        for table in _TABLES:
            conn.execute(delete(table))

    assert _insert(database, _TASKS) == counted == WriteCounts(new=5, unread=1)
    assert _dump(database) == expected


@pytest.mark.parametrize(
    "page", [[task("c"), task("a", status="completed")], [task("c"), task("c")]], ids=["here", "twice"]
)
def test_nothing_is_written_of_a_page_with_a_task_that_is_here(database: Database, page: list[Row]) -> None:
    """Nor of one that has a task twice: both are compared first."""
    with database.write() as conn:
        write_rows(conn, TASKS, [task("a", status="pending")], SeenBy(at(0)))
    before = _dump(database)

    assert _insert(database, page, 1) is None
    assert _dump(database) == before


@pytest.mark.parametrize("response", [boxes("van"), boxes(), None], ids=["some", "none", "no response"])
def test_rows_left_behind_are_replaced(database: Database, response: dict[str, object] | None) -> None:
    """Somebody deleted tasks in SQL and not what belongs to them."""
    fields = {"type": "imageannotation", "status": "completed"}
    with database.write() as conn:
        write_rows(conn, TASKS, [task("a", **fields, response=boxes("car", "bus"))], SeenBy(at(0)))
        conn.execute(delete(tasks))
        conn.execute(insert(unread_responses).values(task_id="a"))

    _write(database, task("a", **fields, response=response), 1)

    with database.read() as conn:
        labels = conn.scalars(select(annotations.c.label)).all()
        links = conn.scalars(select(annotation_links.c.task_id)).all()
        assert conn.scalars(select(unread_responses.c.task_id)).all() == []
    assert (labels, len(links)) == (["van"] if response == boxes("van") else [], 1 if response else 0)


@pytest.mark.parametrize("left", [annotations, annotation_links], ids=["annotations", "links"])
def test_nothing_left_behind_stays_with_a_task_that_has_nothing(database: Database, left: Table) -> None:
    """Rows of one table are enough to be noticed."""
    with database.write() as conn:
        write_rows(conn, TASKS, [task("a", type="imageannotation", response=boxes("car"))], SeenBy(at(0)))
        for table in {tasks, annotations, annotation_links} - {left}:
            conn.execute(delete(table))

    _write(database, task("a", type="imageannotation"), 1)

    with database.read() as conn:
        assert conn.execute(select(left)).all() == []


def test_files_left_behind_are_not_named_any_more(database: Database) -> None:
    """The same for what was in files."""
    with database.write() as conn:
        write_rows(conn, TASKS, [task("a", type="videoannotation", response=_FILE)], SeenBy(at(0)))
        conn.execute(delete(tasks))

    _write(database, task("a", type="videoannotation", response={"annotations": {}}), 1)

    with database.read() as conn:
        assert conn.execute(select(task_files)).all() == []
        assert conn.execute(select(result_files)).all() == []


def test_pages_are_inserted_in_turn_with_other_writers(postgres_url: str) -> None:
    """The second waits for the first to commit, so that nobody sees its numbers in the history before."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        with database.write() as first:
            write_rows(first, TASKS, [task("a")], SeenBy(at(0)))
            second = threads.submit(_insert, database, [task("b")], 0)
            wait_until_blocked(database)
        assert second.result() == WriteCounts(new=1)
        with database.read() as conn:
            history = conn.scalars(select(task_changes.c.task_id).order_by(task_changes.c.id)).all()
    assert history == ["a", "b"]


def test_rows_within_the_bounds_of_a_window_are_counted(database: Database) -> None:
    """A missing task is a row too; one of another project or another time is none of the window's."""
    given = [
        task("a", project="p", created_at="2024-01-01T00:00:00.000Z"),
        task("b", project="q", created_at="2024-01-03T00:00:00.000Z"),
    ]
    with database.write() as conn:
        assert query.count_within(conn, TASKS, Window("tasks"), 10) == 0
        write_rows(conn, TASKS, given, SeenBy(at(0)))
        mark_missing(conn, TASKS, ["b"], at(1))

        counted = {
            (project, since): query.count_within(
                conn, TASKS, Window("tasks", project, created_from=since), 10
            )
            for project in (None, "p", "q", "r")
            for since in (None, at(0))
        }
        assert query.count_within(conn, TASKS, Window("tasks"), 1) == 1
    assert counted == {
        (None, None): 2,
        (None, at(0)): 1,
        ("p", None): 1,
        ("p", at(0)): 0,
        ("q", None): 1,
        ("q", at(0)): 1,
        ("r", None): 0,
        ("r", at(0)): 0,
    }


def test_a_value_that_the_database_refuses_stops_nothing(database: Database) -> None:
    """A number beyond what Postgres holds: its page is written one by one, as text."""
    written = _insert(database, [to_row(TASKS, b'{"task_id":"a","params":{"n":1e200000}}')])

    assert written == (WriteCounts(new=1) if database.is_sqlite else None)


def test_names_given_twice_are_counted(database: Database) -> None:
    """In documents and in objects within them, as after a look."""
    row = to_row(TASKS, b'{"task_id":"a","x":1,"x":2,"params":{"k":1,"k":2}}')

    assert _insert(database, [row]) == WriteCounts(new=1, values_replaced=1 if database.is_sqlite else 2)
