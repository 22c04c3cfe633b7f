"""Build a small account with every oddity that an export must cope with."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.export.exporter import Exporter
from scalesync.models.changes import SeenBy

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD = 'A/b 100% "é", =x\n'
"""A project's name as the API allows it."""
FORMULA = "=HYPERLINK(1)"

Doc = dict[str, Any]


def box(label: str | None, left: float, top: float, *, width: float = 10, height: float = 5) -> Doc:
    """Return an upright box."""
    corner = {"left": left, "top": top, "width": width, "height": height}
    return {"uuid": f"box {left}", "type": "box", "label": label, **corner, "attributes": {"n": [1, 2.5]}}


def polygon(label: str, *points: tuple[float, float]) -> Doc:
    """Return a polygon."""
    return {"type": "polygon", "label": label, "vertices": [{"x": x, "y": y} for x, y in points]}


def task(task_id: str, created_at: str | None = "2026-01-02T03:04:05.678Z", **fields: object) -> Doc:
    """Return a completed task that asked for shapes."""
    usual = {"type": "imageannotation", "status": "completed", "project": "p", "batch": "b"}
    given = {"task_id": task_id, **usual, "created_at": created_at, **fields}
    return {name: value for name, value in given.items() if value is not None}


def image(name: str, **fields: object) -> Doc:
    """Return params that name an image."""
    return {"attachment": f"https://example.com/{name}.jpg", **fields}


ROTATED = {
    **box("bus", 0, 0),
    "rotation": 0.5,
    "vertices": polygon("", (5, 0), (9, 3), (6, 7), (2, 4))["vertices"],
}
TASKS_GIVEN = [
    task("a", params=image("a", width=640, height=480), response={"annotations": [box("car", 1, 2)]}),
    task("b", project=ODD, params=image("b"), response={"annotations": [ROTATED, box(None, 30, 40)]}),
    task("c", "2026-02-03T00:00:00.000Z", params=image("c"), response={"annotations": []}),
    task("d", None, project=None, batch=None, status="pending", response=None, unique_id=FORMULA),
    task(
        "e",
        "2026-02-28T23:59:59.999Z",
        params=image("e"),
        metadata={"width": 100.5, "height": 50},
        response={"annotations": [polygon("car", (0, 0), (4, 0), (4, 3)), polygon("car", (1, 1))]},
    ),
    task("gone", params=image("gone"), response={"annotations": [box("car", 1, 2)]}),
]


def written(database: Database, kind: StreamMapping, given: list[Doc]) -> None:
    """Write documents at noon."""
    with database.write() as conn:
        write_rows(conn, kind, [to_row(kind, json.dumps(each).encode()) for each in given], SeenBy(NOON))


def filled(database: Database) -> Database:
    """Return the database with the account in it."""
    # Task a had another response before.
    earlier = task(
        "a", params=image("a", width=640, height=480), response={"annotations": [box("car", 0, 2)]}
    )
    written(database, TASKS, [earlier])
    written(database, TASKS, TASKS_GIVEN)
    written(database, BATCHES, [{"name": "b", "project": "p", "status": "staging"}, {"name": "q"}])
    versions = [{"version": n, "created_at": f"2026-01-0{n}T00:00:00.000Z"} for n in (1, 2)]
    written(database, PROJECTS, [{"name": "p", "type": "t", "param_history": versions}, {"name": ODD}])
    with database.write() as conn:
        mark_missing(conn, TASKS, ["gone"], NOON)
    return database


def ways_out(database: Database) -> Exporter:
    """Return the ways out of an open database."""
    return Exporter(lambda: nullcontext(database), Clock())
