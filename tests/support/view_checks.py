"""Read views, and compare them with the oracle of the same mirror."""

import json
from collections.abc import Iterable

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.mirror.query import documents
from scalesync.db.queue import command_rows
from scalesync.db.schema.annotations_and_changes import (
    annotations,
    attachments,
    result_files,
    task_changes,
    task_files,
    unread_responses,
)
from scalesync.db.schema.mirror import projects, tasks
from scalesync.db.schema.queue import commands
from scalesync.db.schema.reviews_and_versions import annotation_differences, replaced_responses
from scalesync.db.schema.sync import watermarks
from scalesync.db.schema.views import VIEWS
from tests.support.view_oracle import Answer, Exported
from tests.support.view_oracle_of_versions import ANSWERS

TABLES = (
    tasks,
    projects,
    annotations,
    attachments,
    result_files,
    task_files,
    unread_responses,
    task_changes,
    replaced_responses,
    annotation_differences,
)
"""Those that views read, apart from their documents."""
_INTERPOLATED = ("_hours", "mean_seconds")
"""How the names of columns end that are computed and rounded."""


def said(database: Database, view: str) -> list[Answer]:
    """Return the rows of a view."""
    with database.read() as conn:
        return [dict(row) for row in conn.execute(select(VIEWS[view])).mappings()]


def exported(database: Database) -> Exported:
    """Return what can be exported."""
    with database.read() as conn:
        columns = annotations.c
        drawn = conn.execute(select(columns.task_id, columns.label, columns.geometry))
        return Exported(
            tasks=[json.loads(doc) for doc in documents(conn, TASKS)],
            batches=[json.loads(doc) for doc in documents(conn, BATCHES)],
            drawn=[tuple(row) for row in drawn],
            complete_until=conn.scalar(select(watermarks.c.at).where(watermarks.c.stream == "tasks")),
            commands=[command_rows.command_of(row) for row in conn.execute(select(commands))],
            rows={
                str(table.name): [dict(row) for row in conn.execute(select(table)).mappings()]
                for table in TABLES
            },
        )


def in_order(rows: Iterable[Answer]) -> list[Answer]:
    """Return rows in an order of no meaning."""
    return sorted(rows, key=lambda row: [repr(value) for value in row.values() if type(value) is not float])


def without_hours(row: Answer) -> Answer:
    """Return what of a row must be exactly so."""
    return {name: value for name, value in row.items() if not name.endswith(_INTERPOLATED)}


def hours(rows: Iterable[Answer]) -> list[float]:
    """Return the interpolated numbers in some rows, nothing as -1."""
    return [
        float(str(value)) if value is not None else -1.0
        for row in rows
        for name, value in row.items()
        if name.endswith(_INTERPOLATED)
    ]


def check(database: Database, view: str, known: Exported) -> list[Answer]:
    """Return the rows of a view, which are what Python makes of what is known."""
    found, expected = in_order(said(database, view)), in_order(ANSWERS[view](known))
    assert [without_hours(row) for row in found] == [without_hours(row) for row in expected]
    assert [list(row) for row in found] == [list(VIEWS[view].c.keys())] * len(expected)
    assert hours(found) == pytest.approx(hours(expected), rel=0, abs=0.000_500_001)
    assert hours(found) == [round(value, 3) for value in hours(found)]
    return found
