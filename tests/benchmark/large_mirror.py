"""Fill a mirror with tasks made by SQL: a million take minutes, and no API is needed."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg

from scalesync.db.database import Database
from tests.support.databases import migrate, opened

SHAPES = 3
"""Annotations of each completed task."""
PROJECTS, TASKS_OF_A_BATCH, COMMANDS_SHARE = 12, 1_000, 10
"""The number of projects, of tasks in each batch, and of tasks for each one with a delivered command."""

_FIRST = 1_600_000_000
_APART = 30
"""Seconds between the creations of two tasks."""
_TYPES = "CASE i % 5 WHEN 0 THEN 'videoannotation' WHEN 1 THEN 'polygonannotation' ELSE 'imageannotation' END"
_STATUS = (
    "CASE WHEN i > {tasks} * 0.95 THEN 'pending' WHEN i % 100 = 3 THEN 'error' "
    "WHEN i % 50 = 7 THEN 'canceled' ELSE 'completed' END"
)
_BOXES = ",".join(
    f"""{{"type":"box","label":"label {shape}","left":{shape * 100 + 10},"top":{shape * 80 + 10},"""
    """"width":90,"height":60,"attributes":{"occluded":"no"}}"""
    for shape in range(SHAPES)
)


class _Dialect:
    """The words of a database for what the statements need."""

    def __init__(self, database: Database, tasks: int) -> None:
        self._sqlite, self._tasks = database.is_sqlite, tasks

    def numbers(self, count: int) -> str:
        """Return a query with the numbers from 0 on as `i`."""
        if self._sqlite:
            return (
                "(WITH RECURSIVE counted(i) AS "
                f"(SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i + 1 < {count}) SELECT i FROM counted)"
            )
        return f"(SELECT i FROM generate_series(0, {count - 1}) AS counted(i)) AS numbers"

    def key(self, number: str) -> str:
        """Return a task's id."""
        return f"printf('%024x', {number})" if self._sqlite else f"lpad(to_hex({number}), 24, '0')"

    def at(self, seconds: str) -> str:
        """Return a time from seconds since 1970."""
        if self._sqlite:
            return f"strftime('%Y-%m-%dT%H:%M:%fZ', {seconds}, 'unixepoch')"
        return f"to_timestamp({seconds})"

    def json(self, text: str) -> str:
        """Return JSON from text."""
        return text if self._sqlite else f"CAST({text} AS jsonb)"

    def status(self) -> str:
        """Return the status of the task with the number `i`: the newest are pending."""
        return _STATUS.format(tasks=self._tasks)


def fill(url: str, tasks: int) -> None:
    """Create a mirror of `tasks` tasks at a URL, with annotations, batches, history and commands."""
    migrate(url)
    with opened(url) as database, database.write() as conn:
        for statement in _statements(_Dialect(database, tasks), tasks):
            conn.exec_driver_sql(statement.replace("%", "%%") if not database.is_sqlite else statement)
    if url.startswith("postgresql"):
        # As autovacuum does sooner or later.
        address = url.replace("postgresql+psycopg", "postgresql")
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            connection.execute("VACUUM ANALYZE")


def _statements(words: _Dialect, tasks: int) -> Iterator[str]:
    created = f"{_FIRST} + i * {_APART}"
    done = f"{words.status()} IN ('completed', 'error')"
    picture = '\'{"attachment":"https://pictures.example/\' || i || \'.jpg","width":1920,"height":1080}\''
    response = f"CASE WHEN {words.status()} = 'completed' THEN '{{\"annotations\":[{_BOXES}]}}' END"
    columns: dict[str, Any] = {
        "task_id": words.key("i"),
        "project": f"'project ' || ((i / {TASKS_OF_A_BATCH}) % {PROJECTS})",
        "batch": f"'batch ' || (i / {TASKS_OF_A_BATCH})",
        "type": _TYPES,
        "status": words.status(),
        "unique_id": "'image-' || i",
        "instruction": "'Draw a box around each **car**, and leave out what is hidden.'",
        "customer_review_status": "CASE i % 40 WHEN 1 THEN 'rejected' WHEN 2 THEN 'fixed' END",
        "created_at": words.at(created),
        "updated_at": words.at(f"{created} + 3600"),
        "completed_at": f"CASE WHEN {done} THEN {words.at(f'{created} + 3600')} END",
        "params": words.json(picture),
        "metadata": words.json("'{\"row\":' || i || '}'"),
        "tags": words.json("CASE WHEN i % 1000 = 0 THEN '[\"rare\"]' END"),
        "response": words.json(response),
        "extra": words.json("'{}'"),
        "digest": "'d'",
        "synced_at": words.at(f"{created} + 7200"),
        "response_digest": f"CASE WHEN {words.status()} = 'completed' THEN 'r' || i END",
    }
    yield _insert("tasks", columns, words.numbers(tasks))
    shape = {
        "task_id": words.key(f"(i / {SHAPES})"),
        "ordinal": f"i % {SHAPES}",
        "label": f"'label ' || (i % {SHAPES})",
        "geometry": "'box'",
        "left": f"(i % {SHAPES}) * 100 + 10",
        "top": f"(i % {SHAPES}) * 80 + 10",
        "width": "90",
        "height": "60",
        "attributes": words.json('\'{"occluded":"no"}\''),
    }
    yield _insert("annotations", shape, words.numbers(tasks * SHAPES))
    change = {
        "task_id": words.key("i"),
        "seen_at": words.at(f"{created} + 60"),
        "field": "'status'",
        "after": "'pending'",
    }
    yield _insert("task_changes", change, words.numbers(tasks))
    yield from _batches_and_commands(words, tasks)


def _batches_and_commands(words: _Dialect, tasks: int) -> Iterator[str]:
    batches = -(-tasks // TASKS_OF_A_BATCH)
    begun = words.at(f"{_FIRST} + i * {_APART * TASKS_OF_A_BATCH}")
    batch = {
        "name": "'batch ' || i",
        "project": f"'project ' || (i % {PROJECTS})",
        "status": "'completed'",
        "created_at": begun,
        "extra": words.json("'{}'"),
        "tasks_pending": "0",
        "tasks_completed": "970",
        "tasks_error": "10",
        "tasks_canceled": "20",
        "counted_at": begun,
        "digest": "'d'",
        "synced_at": begun,
    }
    yield _insert("batches", batch, words.numbers(batches))
    project = {"name": "'project ' || i", "type": "'imageannotation'", "digest": "'d'", "synced_at": begun}
    yield _insert("projects", project, words.numbers(PROJECTS))
    command = {
        "cid": "'c' || i",
        "kind": "'create_task'",
        "state": "CASE WHEN i % 1000 = 5 THEN 'dead' WHEN i % 1000 = 6 THEN 'queued' ELSE 'delivered' END",
        "resource": "'task:image-' || i",
        "payload": words.json('\'{"type":"annotation","body":{"unique_id":"image-\' || i || \'"}}\''),
        "created_at": words.at(f"{_FIRST} + i"),
        "finished_at": f"CASE WHEN i % 1000 <> 6 THEN {words.at(f'{_FIRST} + i + 60')} END",
    }
    yield _insert("commands", command, words.numbers(tasks // COMMANDS_SHARE))


def _insert(table: str, columns: dict[str, str], source: str) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(columns.values())} FROM {source}"
