"""Writing pages: what is new, what changed, what is refused as stale, and what follows from it."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, select, text

from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.db.mirror.query import keys_present
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.db.schema.mirror import project_versions, projects, tasks
from scalesync.models.changes import SeenBy
from scalesync.models.sync import WriteCounts
from scalesync.parsing.row_parser import Row
from scalesync.timestamps import format_instant
from tests.support.databases import opened

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return an instant that many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def row(kind: StreamMapping, **fields: object) -> Row:
    """Return the row of a document with these fields."""
    return to_row(kind, json.dumps(fields).encode())


def task(key: str, **fields: object) -> Row:
    """Return the row of a task."""
    return row(TASKS, task_id=key, **fields)


def write(database: Database, kind: StreamMapping, rows: Sequence[Row], served_at: datetime) -> WriteCounts:
    """Write rows in a transaction of their own."""
    with database.write() as conn:
        return write_rows(conn, kind, rows, SeenBy(served_at))


def held(database: Database, table: Table) -> dict[str, Mapping[str, Any]]:
    """Return the table's rows by the first column."""
    with database.read() as conn:
        first = table.primary_key.columns[0].name
        return {found[first]: dict(found) for found in conn.execute(select(table)).mappings()}


def test_rows_are_new_changed_or_unchanged(database: Database) -> None:
    """Each distinct key is counted once as what became of it."""
    assert write(database, TASKS, [task("b"), task("a")], at(0)) == WriteCounts(new=2)
    page = [task("a"), task("b", x=1), task("c"), task("c", x=2)]
    assert write(database, TASKS, page, at(1)) == WriteCounts(new=1, changed=1, unchanged=1)
    assert held(database, tasks)["c"]["extra"].replace(" ", "") == '{"x":2}'
    assert write(database, TASKS, [], at(2)) == WriteCounts()


def test_unchanged_rows_are_not_written(database: Database) -> None:
    """A row equal to what is here keeps its synced_at: nothing was written."""
    write(database, TASKS, [task("a", attachmentS3Downloads=[1])], at(0))
    assert write(database, TASKS, [task("a", attachmentS3Downloads=[2])], at(5)) == WriteCounts(unchanged=1)
    assert held(database, tasks)["a"]["synced_at"] == at(0)


def test_more_keys_than_a_statement_takes_are_no_trouble(database: Database) -> None:
    """Any number of keys at once exceeds no limit of either database."""
    rows = [task(f"{number:05}") for number in range(1_200)]
    assert write(database, TASKS, rows, at(0)) == WriteCounts(new=1_200)
    assert write(database, TASKS, rows, at(1)) == WriteCounts(unchanged=1_200)
    with database.write() as conn:
        assert mark_missing(conn, TASKS, [f"{number:05}" for number in range(66_000)], at(2)) == 1_200


STALE_GUARD = pytest.mark.parametrize(
    ("updated_here", "updated_given", "served_given", "wins"),
    [
        (0, 1, -5, True),
        (0, 1, 5, True),
        (1, 0, 5, False),
        (1, 1, -5, False),
        (1, 1, 0, True),
        (1, 1, 5, True),
        (None, 1, -5, False),
        (None, 1, 0, True),
        (1, None, -5, False),
        (1, None, 5, True),
        (None, None, -5, False),
        (None, None, 0, True),
    ],
)
"""Minutes after noon; the copy here was served at noon."""


def updated(minutes: int | None) -> dict[str, str]:
    """Return the field updated_at, or nothing."""
    return {} if minutes is None else {"updated_at": format_instant(at(minutes))}


@STALE_GUARD
def test_an_older_task_never_overwrites_a_newer_one(
    database: Database, updated_here: int | None, updated_given: int | None, served_given: int, wins: bool
) -> None:
    """The larger updated_at wins; where that does not decide, the larger or equal synced_at."""
    write(database, TASKS, [task("a", status="here", **updated(updated_here))], at(0))
    outcome = write(database, TASKS, [task("a", status="given", **updated(updated_given))], at(served_given))
    assert outcome == (WriteCounts(changed=1) if wins else WriteCounts(stale=1))
    assert held(database, tasks)["a"]["status"] == ("given" if wins else "here")


@STALE_GUARD
def test_an_older_task_loses_a_race_too(
    postgres_url: str, updated_here: int | None, updated_given: int | None, served_given: int, wins: bool
) -> None:
    """A copy that was not yet visible when the page was compared is not overwritten by an older one."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        with database.write() as first:
            write_rows(first, TASKS, [task("a", status="here", **updated(updated_here))], SeenBy(at(0)))
            given = [task("a", status="given", **updated(updated_given))]
            second = threads.submit(write, database, TASKS, given, at(served_given))
            wait_until_blocked(database)
        second.result()
        assert held(database, tasks)["a"]["status"] == ("given" if wins else "here")


def wait_until_blocked(database: Database) -> None:
    """Return when another connection waits for a lock."""
    for _ in range(500):
        with database.read() as conn:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            if conn.execute(text(waiting)).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("kind", [BATCHES, PROJECTS], ids=["batches", "projects"])
def test_batches_and_projects_are_as_new_as_they_were_served(database: Database, kind: StreamMapping) -> None:
    """Of two copies of a batch or project the one served last stays; equal instants refresh."""
    write(database, kind, [row(kind, name="a", v=1)], at(0))
    assert write(database, kind, [row(kind, name="a", v=2)], at(-1)) == WriteCounts(stale=1)
    assert write(database, kind, [row(kind, name="a", v=3)], at(0)) == WriteCounts(changed=1)
    assert json.loads(held(database, kind.table)["a"]["extra"]) == {"v": 3}


@pytest.mark.parametrize("kind", [BATCHES, PROJECTS], ids=["batches", "projects"])
@pytest.mark.parametrize(("served", "stays"), [(-1, "first"), (0, "second"), (1, "second")])
def test_they_are_so_in_a_race_too(postgres_url: str, kind: StreamMapping, served: int, stays: str) -> None:
    """Nobody takes turns with these: the statement itself refuses an older copy; equal instants refresh."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        write(database, kind, [row(kind, name="a", v="before")], at(-9))
        with database.write() as conn:
            write_rows(conn, kind, [row(kind, name="a", v="first")], SeenBy(at(0)))
            second = threads.submit(write, database, kind, [row(kind, name="a", v="second")], at(served))
            wait_until_blocked(database)
        second.result()
        assert json.loads(held(database, kind.table)["a"]["extra"]) == {"v": stays}


def test_a_missing_row_comes_back_when_served_again(database: Database) -> None:
    """A tombstone goes when a later copy arrives, even an identical one, and not for an earlier copy."""
    write(database, TASKS, [task("a"), task("b")], at(0))
    with database.write() as conn:
        assert mark_missing(conn, TASKS, {"a", "b", "unknown"}, at(5)) == 2
        assert mark_missing(conn, TASKS, {"a"}, at(6)) == 0
    assert held(database, tasks)["a"]["missing_since"] == at(5)
    assert write(database, TASKS, [task("a")], at(4)) == WriteCounts(stale=1)
    assert write(database, TASKS, [task("a")], at(7)) == WriteCounts(changed=1)
    assert held(database, tasks)["a"]["missing_since"] is None
    assert held(database, tasks)["b"]["missing_since"] == at(5)


def test_a_row_served_after_the_404_is_not_missing(database: Database) -> None:
    """An object that the API served later than it denied it stays."""
    write(database, TASKS, [task("a")], at(5))
    with database.write() as conn:
        assert mark_missing(conn, TASKS, ["a"], at(4)) == 0
    assert held(database, tasks)["a"]["missing_since"] is None


def test_keys_present_are_those_of_the_window(database: Database) -> None:
    """Bounds are inclusive, open ends are open, and rows of unknown age count only between open ends."""
    early, late = (format_instant(at(minutes)) for minutes in (0, 10))
    rows = [
        task("early", created_at=early, project="p"),
        task("late", created_at=late),
        task("gone", created_at=early),
        task("ageless", project="p"),
    ]
    write(database, TASKS, rows, at(0))
    with database.write() as conn:
        mark_missing(conn, TASKS, ["gone"], at(1))

    def present(
        project: str | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> set[str]:
        with database.read() as conn:
            return keys_present(conn, TASKS, project=project, created_from=start, created_to=end)

    assert present() == {"early", "late", "ageless"}
    assert present("p") == {"early", "ageless"}
    assert present(start=at(0)) == {"early", "late"}
    assert present(start=at(0), end=at(0)) == {"early"}
    assert present(start=at(0.1)) == {"late"}
    assert present(end=at(9.9)) == {"early"}
    assert present("p", start=at(0.1)) == set()


def test_versions_of_projects_accumulate(database: Database) -> None:
    """Each version of a project has a row, which stays when the API no longer lists it."""
    first = {"version": 1, "created_at": format_instant(at(0)), "instruction": "a"}
    second = {"version": 2, "created_at": format_instant(at(1)), "instruction": "b"}
    write(database, PROJECTS, [row(PROJECTS, name="p", param_history=[first])], at(0))
    write(
        database, PROJECTS, [row(PROJECTS, name="p", param_history=[second]), row(PROJECTS, name="q")], at(1)
    )
    write(database, PROJECTS, [row(PROJECTS, name="p", param_history=[first, second], x=1)], at(2))
    with database.read() as conn:
        found = conn.execute(select(project_versions).order_by(project_versions.c.version)).all()
    assert [(v.project, v.version, v.created_at, json.loads(v.params)) for v in found] == [
        ("p", 1, at(0), {"instruction": "a"}),
        ("p", 2, at(1), {"instruction": "b"}),
    ]
    assert held(database, projects)["p"]["version"] == 2


def test_writers_of_the_same_rows_do_not_deadlock(database: Database) -> None:
    """Pages with the same tasks and batches in opposite orders, written at once, all go through."""
    write(database, BATCHES, [row(BATCHES, name=f"b{number}") for number in range(20)], at(0))

    def pages(writer: int) -> None:
        for turn in range(5):
            rows = [task(f"t{n:02}", batch=f"b{n}", n=[writer, turn]) for n in range(20)]
            write(database, TASKS, rows if writer % 2 else rows[::-1], at(turn))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(pages, range(4)))
    assert len(held(database, tasks)) == 20
