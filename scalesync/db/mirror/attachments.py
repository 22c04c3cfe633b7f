"""Attachments that tasks name: list them, and store what is known of each.

URLs are stored without their signature, as those of result files are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from scalesync.annotations.urls import unsigned_url
from scalesync.db.filters import where
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.db.schema.mirror import tasks
from scalesync.db.statements import chunks, in_list, insert_into, key_ranges
from scalesync.models.selection import Selection
from scalesync.parsing.attachments import attachments_of

_C = attachments.c
_KEPT = ("bytes", "path")
"""Columns that stay as they were if nothing new is known of them."""


class TaskAttachments(NamedTuple):
    """What one task names."""

    task_id: str
    links: Mapping[str, tuple[str, bool]] | None
    """By URL without signature: the link, and whether it is a picture. None: the params cannot be read."""


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """What is known of an attachment: a row of `attachments`."""

    url: str
    """Without its signature."""
    width: int | None = None
    """Pixels, as `height`; None if it is no picture, or the size is not known."""
    height: int | None = None
    bytes: int | None = None
    content_type: str | None = None
    path: str | None = None
    checked_at: datetime | None = None
    error: str | None = None


def named(
    conn: Connection, wanted: Selection, after: str, last: str | None, limit: int
) -> list[TaskAttachments]:
    """Return what up to `limit` of the selected tasks name, in the order of task_id.

    They are behind the task `after` and end with `last`; None: there is no last one. The selection's own
    limit and order are ignored.
    """
    query = select(tasks.c.task_id, tasks.c.type, tasks.c.params)
    query = query.where(*where(tasks, wanted), tasks.c.task_id > after)
    if last is not None:
        query = query.where(tasks.c.task_id <= last)
    found = conn.execute(query.order_by(tasks.c.task_id).limit(limit))
    return [TaskAttachments(task_id, _links(kind, params)) for task_id, kind, params in found]


def portions(conn: Connection, wanted: Selection, size: int) -> list[tuple[str, str | None]]:
    """Divide the selected tasks into portions of `size`; return `after` and `last` of each, as `named` takes.

    The last one is open. The selection's own limit and order are ignored.
    """
    return key_ranges(conn, tasks.c.task_id, size, *where(tasks, wanted))


def _links(kind: str | None, params: str | None) -> dict[str, tuple[str, bool]] | None:
    links: dict[str, tuple[str, bool]] = {}
    try:
        for each in attachments_of(kind, params):
            links.setdefault(unsigned_url(each.link), (each.link.strip(), each.is_picture))
    except ValueError:
        return None
    return links


def known(conn: Connection, urls: Sequence[str]) -> dict[str, AttachmentRow]:
    """Return what is known of these attachments, by URL; without those that nobody asked for yet."""
    query = select(attachments).where(in_list(_C.url, "urls"))
    return {
        row["url"]: AttachmentRow(**row)
        for some in chunks(urls)
        for row in conn.execute(query, {"urls": list(some)}).mappings()
    }


def save(conn: Connection, rows: Sequence[AttachmentRow]) -> None:
    """Store what became of attachments that were asked for; of one with an error all else stays as it was."""
    # In the order of the keys, so that two processes wait for each other instead of deadlocking.
    for row in sorted(rows, key=lambda row: row.url):
        values = {column.name: getattr(row, column.name) for column in attachments.columns}
        insert = insert_into(conn.dialect.name, attachments).values(values)
        changed = {name: value for name, value in values.items() if name != "url"}
        if row.error is not None:
            changed = {"error": row.error, "checked_at": row.checked_at}
        else:
            changed |= {name: func.coalesce(insert.excluded[name], _C[name]) for name in _KEPT}
        conn.execute(insert.on_conflict_do_update(index_elements=[_C.url], set_=changed))
