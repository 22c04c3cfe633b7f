"""Read the rows that a page shows, of few objects by their keys and in bounded number."""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.schema.annotations_and_changes import annotation_links, annotations, task_changes
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import replaced_responses, task_attempts, task_audits
from scalesync.db.statements import in_list

Row = dict[str, Any]
"""Columns by name."""

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


def annotations_of(conn: Connection, task_id: str, first: int, limit: int) -> list[Row]:
    """Return up to `limit` annotations of a task, from the one with the number `first`."""
    c = annotations.c
    query = select(annotations).where(c.task_id == task_id, c.ordinal >= first).order_by(c.ordinal)
    return _rows(conn, query.limit(limit))


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


def rows_beside(conn: Connection, task_id: str) -> dict[str, list[Row]]:
    """Return what other tables have about a task, MOST rows of each: by links, audits, attempts, changes.

    Of `changes` the newest; `responses` has their digests and times, newest first, without their content.
    """
    task = tasks.c.task_id
    now = select(tasks.c.response_digest, tasks.c.synced_at).where(task == task_id)
    kept = replaced_responses.c
    before = select(kept.response_digest, kept.first_seen_at, kept.replaced_at, kept.bytes)
    newest = select(task_changes).where(task_changes.c.task_id == task_id).order_by(task_changes.c.id.desc())
    numbered = {"links": annotation_links, "audits": task_audits, "attempts": task_attempts}
    return {
        **{
            name: _rows(conn, select(table).where(table.c.task_id == task_id).order_by(table.c.ordinal))
            for name, table in numbered.items()
        },
        "changes": _rows(conn, newest),
        "responses": _rows(conn, now.where(tasks.c.response_digest.is_not(None)))
        + _rows(conn, before.where(kept.task_id == task_id).order_by(kept.replaced_at.desc())),
    }


def _rows(conn: Connection, query: Select[*tuple[Any, ...]]) -> list[Row]:
    return [dict(row) for row in conn.execute(query.limit(MOST)).mappings()]
