"""Read the aggregates of a mirror's tasks, and samples of their shapes, equal on both databases.

Each function but `mark` may read whole tables: of a large mirror, none is for a request that somebody awaits.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, desc, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scalesync.annotations.models import Geometry
from scalesync.db.filters import day_as_text, where
from scalesync.db.mirror import query
from scalesync.db.schema.annotations_and_changes import annotations, task_changes
from scalesync.db.schema.mirror import batches, tasks
from scalesync.db.schema.sync import runs
from scalesync.db.schema.views import VIEWS
from scalesync.db.statements import byte_order
from scalesync.models.overview import (
    ROWS,
    BatchShare,
    DayCounts,
    LabelUse,
    Overview,
    OverviewMark,
    ProjectReviews,
    WeekTimes,
)
from scalesync.models.selection import Selection

_REVIEWS = ("accepted", "fixed", "commented", "rejected")

_A = annotations.c
_SHAPES = (
    Geometry.BOX,
    Geometry.POLYGON,
    Geometry.LINE,
    Geometry.POINT,
    Geometry.ELLIPSE,
    Geometry.CUBOID,
)
"""What can be drawn."""


class _monday(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The Monday, in UTC, of the week of an instant, as text: 2026-11-23."""

    name = "monday"
    inherit_cache = True

    def __init__(self, instant: ColumnElement[datetime]) -> None:
        super().__init__(instant)


@compiles(_monday, "sqlite")
def _sqlite_monday(element: _monday, compiler: SQLCompiler, **options: Any) -> str:
    return f"date({compiler.process(element.clauses, **options)}, '-6 days', 'weekday 1')"


@compiles(_monday, "postgresql")
def _postgres_monday(element: _monday, compiler: SQLCompiler, **options: Any) -> str:
    instant = compiler.process(element.clauses, **options)
    return f"to_char(date_trunc('week', {instant} AT TIME ZONE 'UTC'), 'YYYY-MM-DD')"


def overview(conn: Connection, project: str | None, since: datetime | None, now: datetime) -> Overview:
    """Return the aggregates of all tasks or of one project's, by themselves or since a time."""
    wanted = Selection(project=project, since=since)
    reviews, projects_total = _reviews(conn, wanted)
    labels, labels_total = _labels(conn, wanted)
    shares, batches_total = _batches(conn, wanted)
    return Overview(
        project,
        since,
        now,
        query.counts(conn),
        _by_status(conn, wanted),
        _days(conn, wanted),
        _weeks(conn, wanted),
        reviews,
        labels,
        shares,
        projects_total,
        labels_total,
        batches_total,
    )


def mark(conn: Connection) -> OverviewMark:
    """Return the last change that the mirror has seen, in a few milliseconds."""
    last_run = select(runs.c.id, runs.c.rows_written).order_by(runs.c.id.desc()).limit(1)
    run = conn.execute(last_run).first()
    change_id = conn.execute(select(func.max(task_changes.c.id))).scalar_one()
    return OverviewMark(None, None, change_id) if run is None else OverviewMark(run[0], run[1], change_id)


def _by_status(conn: Connection, wanted: Selection) -> dict[str | None, int]:
    counted = select(tasks.c.status, func.count()).where(*where(tasks, wanted)).group_by(tasks.c.status)
    rows = sorted(conn.execute(counted), key=lambda row: (-row[1], row[0] or ""))
    return {row[0]: row[1] for row in rows}


def _days(conn: Connection, wanted: Selection) -> list[DayCounts]:
    view = VIEWS["daily_throughput"]
    day, created, completed = day_as_text(view.c.day), func.sum(view.c.created), func.sum(view.c.completed)
    query = select(day, created, completed).where(*where(view, wanted)).group_by(day)
    rows = conn.execute(query.having(created + completed > 0).order_by(day))
    # A sum of `bigint` is `numeric` on Postgres.
    return [DayCounts(day, int(created), int(completed)) for day, created, completed in rows]


def _weeks(conn: Connection, wanted: Selection) -> list[WeekTimes]:
    facts = VIEWS["task_facts"]
    week = _monday(facts.c.completed_at).label("week")
    of_project = Selection(project=wanted.project, completed_since=wanted.since)
    spans = select(week, facts.c.seconds_to_complete.label("seconds")).where(
        *where(facts, of_project), facts.c.seconds_to_complete.is_not(None)
    )
    span = spans.subquery().c
    placed = select(
        span.week,
        span.seconds,
        (func.row_number().over(partition_by=span.week, order_by=span.seconds) - 1).label("place"),
        (func.count().over(partition_by=span.week) - 1).label("last"),
    ).subquery()
    each = placed.c
    query = select(
        each.week, func.count(), _percentile(0.5, each.place, each.last, each.seconds),
        _percentile(0.9, each.place, each.last, each.seconds),
    ).group_by(each.week).order_by(each.week)  # fmt: skip
    return [
        WeekTimes(week, completed, round(float(p50) / 3600, 3), round(float(p90) / 3600, 3))
        for week, completed, p50, p90 in conn.execute(query)
    ]


def _percentile(share: float, place: Any, last: Any, seconds: Any) -> ColumnElement[float]:
    """Return the sum of the two values beside the place sought, each weighed by its nearness to it."""
    # What percentile_cont does on Postgres; SQLite has no function for it.
    distance = func.abs(share * last - place)
    return func.sum(case((distance < 1, seconds * (1 - distance)), else_=0.0))


def _reviews(conn: Connection, wanted: Selection) -> tuple[list[ProjectReviews], int]:
    completed = func.count().filter(tasks.c.status == "completed").label("completed")
    numbers = [func.count().filter(tasks.c.customer_review_status == word) for word in _REVIEWS]
    query = (
        select(tasks.c.project, completed, *numbers).where(*where(tasks, wanted)).group_by(tasks.c.project)
    )
    ordered = query.order_by(desc("completed"), byte_order(tasks.c.project).nulls_last())
    rows, total = _first(conn, ordered)
    return [ProjectReviews(*row) for row in rows], total


def _labels(conn: Connection, wanted: Selection) -> tuple[list[LabelUse], int]:
    # By task first: what is left to be counted by label is less, and each task is there once.
    project, drawn = func.min(tasks.c.project).label("project"), func.count().label("drawn")
    by_task = (
        select(_A.label, _A.geometry, project, drawn)
        .join_from(tasks, annotations, _A.task_id == tasks.c.task_id)
        .where(*where(tasks, wanted))
        .group_by(_A.task_id, _A.label, _A.geometry)
        .subquery()
    )
    each = by_task.c
    drawings = func.sum(each.drawn).label("annotations")
    query = (
        select(each.label, each.geometry, drawings, func.count(), func.count(each.project.distinct()))
        .group_by(each.label, each.geometry)
        .order_by(desc("annotations"), byte_order(each.label).nulls_last(), each.geometry.nulls_last())
    )
    rows, total = _first(conn, query)
    return [
        LabelUse(label, geometry, int(drawings), in_tasks, projects)
        for label, geometry, drawings, in_tasks, projects in rows
    ], total


def _batches(conn: Connection, wanted: Selection) -> tuple[list[BatchShare], int]:
    view = VIEWS["batch_progress"].c
    numbers = (view.tasks, view.tasks_completed, view.tasks_canceled)
    left = view.tasks - view.tasks_completed - view.tasks_canceled
    query = select(view.batch, view.project, *numbers, view.share_done)
    query = query.order_by(left.desc(), byte_order(view.batch))
    if wanted.project is not None:
        query = query.where(view.project == wanted.project)
    if wanted.since is not None:
        created_since = select(batches.c.name).where(batches.c.created_at >= wanted.since)
        query = query.where(view.batch.in_(created_since))
    rows, total = _first(conn, query)
    return [BatchShare(*row) for row in rows], total


def _first(conn: Connection, query: Select[*tuple[Any, ...]]) -> tuple[list[Any], int]:
    """Return the first ROWS rows of a query, and the number of all."""
    rows = conn.execute(query.add_columns(func.count().over().label("total")).limit(ROWS)).all()
    return [row[:-1] for row in rows], rows[0].total if rows else 0


def drawn_tasks(conn: Connection, wanted: Selection, number: int) -> dict[str, str | None]:
    """Return the newest `number` of the selected tasks that have shapes, newest first, with their project."""
    drawn = select(_A.task_id).where(_A.task_id == tasks.c.task_id, _A.geometry.in_(_SHAPES)).exists()
    query = select(tasks.c.task_id, tasks.c.project).where(
        *where(tasks, wanted), tasks.c.created_at.is_not(None), drawn
    )
    newest = query.order_by(tasks.c.created_at.desc(), byte_order(tasks.c.task_id)).limit(number)
    return {row.task_id: row.project for row in conn.execute(newest)}
