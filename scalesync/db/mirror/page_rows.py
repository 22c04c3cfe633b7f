"""Read the rows that a page shows, of few objects by their keys and in bounded number."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from scalesync.annotations.urls import unsigned_url
from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.schema.annotations_and_changes import (
    annotation_links,
    annotations,
    attachments,
    result_files,
    task_changes,
    task_files,
    unread_responses,
)
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import annotation_differences, task_attempts, task_audits
from scalesync.db.schema.views import VIEWS
from scalesync.db.statements import in_list

Row = dict[str, Any]
"""Columns by name."""

BATCH_COUNTS = ("tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled")

MOST = 10_000
"""Rows of one kind that are read for one page."""

_LONG = ("params", "metadata", "tags", "response", "extra", "digest", "response_digest")
"""Columns that a list of objects does not show."""


def summaries(conn: Connection, mapping: StreamMapping, keys: list[str]) -> list[Row]:
    """Return the short columns of these objects, in the order of `keys`; those that are gone are left out."""
    if not keys:
        return []
    shown = [column for column in mapping.table.columns if column.name not in _LONG]
    query = select(*shown).where(in_list(mapping.table.c[mapping.key], "keys"))
    found = {row[mapping.key]: dict(row) for row in conn.execute(query, {"keys": keys}).mappings()}
    return [found[key] for key in keys if key in found]


def picture_columns(conn: Connection, task_ids: Sequence[str]) -> dict[str, Row]:
    """Return the columns that say what a task's picture is, by task; without those that are not here."""
    c = tasks.c
    query = select(c.task_id, c.type, c.params, c.metadata).where(in_list(c.task_id, "tasks"))
    return {row["task_id"]: dict(row) for row in conn.execute(query, {"tasks": list(task_ids)}).mappings()}


def annotations_of(conn: Connection, task_id: str, first: int, limit: int) -> list[Row]:
    """Return up to `limit` annotations of a task, from the one with the number `first`."""
    c = annotations.c
    query = select(annotations).where(c.task_id == task_id, c.ordinal >= first).order_by(c.ordinal)
    return _rows(conn, query, limit)


def first_annotations(conn: Connection, task_ids: list[str], each: int) -> dict[str, list[Row]]:
    """Return the annotations of several tasks by task, `each` of a task at most."""
    c = annotations.c
    found: dict[str, list[Row]] = {task_id: [] for task_id in task_ids}
    wanted = select(annotations).where(in_list(c.task_id, "tasks"), c.ordinal < each)
    for row in conn.execute(wanted.order_by(c.task_id, c.ordinal), {"tasks": task_ids}).mappings():
        found[row["task_id"]].append(dict(row))
    return found


def annotation_count(conn: Connection, task_id: str) -> int:
    """Return how many annotations a task has, by its last number."""
    last = conn.scalar(select(func.max(annotations.c.ordinal)).where(annotations.c.task_id == task_id))
    return 0 if last is None else int(last) + 1


def files_waiting(conn: Connection, task_id: str) -> int:
    """Return how many of a task's result files are not here, or were not read completely."""
    waiting = select(func.count()).join_from(task_files, result_files, result_files.c.url == task_files.c.url)
    return conn.execute(
        waiting.where(task_files.c.task_id == task_id, result_files.c.read_at.is_(None))
    ).scalar_one()


def is_unread(conn: Connection, task_id: str) -> bool:
    """Return whether not every part of a task's response, or of its result files, is in `annotations`."""
    found = select(unread_responses.c.task_id).where(unread_responses.c.task_id == task_id)
    return conn.scalar(found) is not None


def rows_beside(conn: Connection, task_id: str) -> dict[str, list[Row]]:
    """Return what other tables have about a task, MOST rows of each: by links, audits, attempts, changes.

    Of `changes` the newest; `responses` has their digests and times, newest first, without their content.
    """
    newest = select(task_changes).where(task_changes.c.task_id == task_id).order_by(task_changes.c.id.desc())
    numbered = {"links": annotation_links, "audits": task_audits, "attempts": task_attempts}
    return {
        **{
            name: _rows(conn, select(table).where(table.c.task_id == task_id).order_by(table.c.ordinal))
            for name, table in numbered.items()
        },
        "changes": _rows(conn, newest),
        "responses": versions_of(conn, task_id),
    }


def versions_of(conn: Connection, task_id: str) -> list[Row]:
    """Return digest and times of a task's responses, the one of now first."""
    c = VIEWS["task_responses"].c
    query = select(c.response_digest, c.first_seen_at, c.replaced_at).where(c.task_id == task_id)
    return _rows(conn, query.order_by(c.replaced_at.desc().nulls_first()))


def version(conn: Connection, task_id: str, digest: str) -> Row | None:
    """Return one response of a task with its content, None if it was not kept."""
    c = VIEWS["task_responses"].c
    query = select(c.response_digest, c.first_seen_at, c.replaced_at, c.response)
    return next(iter(_rows(conn, query.where(c.task_id == task_id, c.response_digest == digest), 1)), None)


def differences_of(conn: Connection, task_id: str) -> list[Row]:
    """Return what differs between a task's responses, one after the other, the latest first."""
    c = annotation_differences.c
    query = select(annotation_differences).where(c.task_id == task_id)
    return _rows(conn, query.order_by(c.seen_at.desc(), c.after_digest, c.before_digest, c.ordinal))


def kept_attachments(conn: Connection, links: Iterable[str]) -> dict[str, Row]:
    """Return the rows of attachments by their address without signature."""
    urls = list(dict.fromkeys(map(unsigned_url, links)))
    query = select(attachments).where(in_list(attachments.c.url, "urls"))
    return {row["url"]: dict(row) for row in conn.execute(query, {"urls": urls}).mappings()}


def batch_counts(conn: Connection, name: str) -> Row:
    """Return the numbers of a batch's present tasks by status; None for all if they are more than MOST."""
    c = tasks.c
    of_batch = select(c.status).where(c.batch == name, c.missing_since.is_(None)).limit(MOST + 1).subquery()
    found = conn.execute(select(of_batch.c.status, func.count()).group_by(of_batch.c.status)).all()
    number = {status: int(rows) for status, rows in found}
    known = sum(number.values()) <= MOST
    return {key: number.get(key.removeprefix("tasks_"), 0) if known else None for key in BATCH_COUNTS}


def _rows(conn: Connection, query: Select[*tuple[Any, ...]], limit: int = MOST) -> list[Row]:
    return [dict(row) for row in conn.execute(query.limit(limit)).mappings()]
