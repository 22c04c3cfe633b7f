"""Search the mirror for findings, some tasks at a time: filters reach into every part of the search."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from scalesync.db.filters import where
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import result_files, task_files
from scalesync.db.schema.findings.query import search
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import watermarks
from scalesync.db.statements import list_parameter
from scalesync.models.findings import DEFAULT_IOU, Finding, FindingRule, FindingsProgress, UnseenAnnotations
from scalesync.models.selection import EVERYTHING, Selection

TASKS_AT_ONCE = 1_000
"""Tasks that one statement searches."""


class FindingsQuery(NamedTuple):
    """What is searched for, and where."""

    rules: tuple[FindingRule, ...]
    iou: float
    """Intersection over union, above 0 to 1, from which a box is over another."""
    wanted: Selection
    """The tasks to search; its limit is one of findings."""


def findings(conn: sa.Connection, asked: FindingsQuery) -> Iterator[Finding | FindingsProgress]:
    """Yield findings by task_id and ordinal, those of a whole task first, and progress between them."""
    chosen = replace(asked.wanted, limit=None)
    total = query.total(conn, TASKS, chosen)
    statement = _statement(conn, asked)
    done = found = 0
    for keys in _keys(conn, chosen):
        rows = conn.execute(statement, {"keys": keys, "iou": asked.iou})
        for finding in _in_order(keys, rows):
            yield finding
            found += 1
            if found == asked.wanted.limit:
                return
        done += len(keys)
        yield FindingsProgress(done, max(done, total), found)


def findings_of(conn: sa.Connection, task_id: str) -> list[Finding]:
    """Return the findings of one task by all rules, those of the whole task first."""
    asked = FindingsQuery(tuple(FindingRule), DEFAULT_IOU, EVERYTHING)
    if conn.dialect.name == "postgresql":
        # To plan all rules takes longer than to search one task: once for each connection is enough.
        conn.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    rows = conn.execute(_statement(conn, asked), {"keys": [task_id], "iou": asked.iou})
    return _in_order([task_id], rows)


def unseen(conn: sa.Connection, wanted: Selection) -> UnseenAnnotations:
    """Return what a search among these tasks cannot see."""
    waiting = (
        sa.select(sa.func.count(task_files.c.task_id.distinct()))
        .join_from(task_files, result_files, result_files.c.url == task_files.c.url)
        .join(tasks, tasks.c.task_id == task_files.c.task_id)
        .where(result_files.c.read_at.is_(None), *where(tasks, replace(wanted, limit=None)))
    )
    known = sa.select(sa.func.count()).select_from(watermarks).where(watermarks.c.stream == "tasks")
    unread = query.responses_unread(conn, replace(wanted, limit=None))
    return UnseenAnnotations(bool(conn.scalar(known)), conn.execute(waiting).scalar_one(), unread)


def _statement(conn: sa.Connection, asked: FindingsQuery) -> sa.TextClause:
    text = sa.text(search(conn.dialect.name, asked.rules))
    return text.bindparams(list_parameter("keys", sa.Text()))


def _keys(conn: sa.Connection, chosen: Selection) -> Iterator[list[str]]:
    """Yield the ids of the chosen tasks in their order, TASKS_AT_ONCE at a time."""
    some = sa.select(tasks.c.task_id).where(*where(tasks, chosen)).order_by(tasks.c.task_id)
    after: list[str] = []
    while True:
        page = some.where(tasks.c.task_id > after[-1]) if after else some
        keys = list(conn.scalars(page.limit(TASKS_AT_ONCE)))
        if keys:
            yield keys
        if len(keys) < TASKS_AT_ONCE:
            return
        after = keys


def _in_order(keys: list[str], rows: Iterable[sa.Row[Any]]) -> list[Finding]:
    # The order of the keys is the database's, which need not be that of Python.
    places = {key: place for place, key in enumerate(keys)}
    order = list(FindingRule)
    found = [Finding(FindingRule(row.rule), row.task_id, row.ordinal, row.detail) for row in rows]

    def place(each: Finding) -> tuple[int, int, int]:
        return places[each.task_id], -1 if each.ordinal is None else each.ordinal, order.index(each.rule)

    return sorted(found, key=place)
