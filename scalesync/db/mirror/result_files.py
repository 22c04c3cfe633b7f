"""Result files that responses name: list those to fetch, and store what was fetched.

URLs are stored without their signature, which differs at every read and expires.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from scalesync.annotations.flatten import result_urls
from scalesync.annotations.urls import unsigned_url
from scalesync.db.mirror import annotations, partition_changes
from scalesync.db.mirror.annotations import AnnotationCounts
from scalesync.db.mirror.changes import lock_task_writes
from scalesync.db.schema.annotations_and_changes import result_files, task_files
from scalesync.db.schema.mirror import tasks
from scalesync.db.statements import key_ranges

_C = result_files.c


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A completely downloaded file."""

    content: bytes
    """JSON text cleaned of what databases refuse; the original bytes if it is no text."""
    sha256: str
    """Hash of the original bytes."""
    bytes: int
    """Number of the original bytes."""
    at: datetime
    """Time of the download, by the clock of the file's server."""


def pending(conn: Connection, after: str, last: str | None, limit: int) -> list[str]:
    """Return up to `limit` unsigned addresses of files not fetched or not read yet, in their order.

    They are behind `after` and end with `last`; None: there is no last one.
    """
    query = select(_C.url).where(_C.read_at.is_(None), _C.url > after)
    if last is not None:
        query = query.where(_C.url <= last)
    return list(conn.scalars(query.order_by(_C.url).limit(limit)))


def portions(conn: Connection, size: int) -> list[tuple[str, str | None]]:
    """Divide the files of `pending` into portions of about `size`; return `after` and `last` of each.

    The last one is open, so that files that are added meanwhile belong to it.
    """
    return key_ranges(conn, _C.url, size, _C.read_at.is_(None))


def addresses(conn: Connection, urls: Collection[str]) -> dict[str, str]:
    """Return the signed addresses of files by their unsigned ones; without files that no response names.

    The signature is that of the task that was read last.
    """
    found: dict[str, str] = {}
    for url, full in _named(conn, urls):
        if unsigned_url(full) == url:
            found.setdefault(url, full)
    return found


def latest_naming(conn: Connection, url: str) -> str | None:
    """Return the task that names a file, the one read last if several do, or None."""
    query = (
        select(tasks.c.task_id)
        .join(task_files, task_files.c.task_id == tasks.c.task_id)
        .where(task_files.c.url == url)
        .order_by(tasks.c.synced_at.desc(), tasks.c.task_id)
        .limit(1)
    )
    found: str | None = conn.scalar(query)
    return found


def keep(conn: Connection, url: str, file: FetchedFile, at: datetime) -> AnnotationCounts | None:
    """Store a file requested at `at` and write the annotations of every task that names it.

    Returns the numbers, or None if no task names the file any more. A file that cannot be read completely for
    one of the tasks is stored, but not marked as read.
    """
    # Before the first read, since writing annotations needs the task-write lock first of all.
    lock_task_writes(conn)
    values = {
        "content": file.content,
        "sha256": file.sha256,
        "bytes": file.bytes,
        "fetched_at": file.at,
        "tried_at": at,
        "read_at": at,
        "error": None,
    }
    if not conn.execute(update(result_files).where(_C.url == url).values(values)).rowcount:
        return None
    naming = select(task_files.c.task_id).where(task_files.c.url == url).order_by(task_files.c.task_id)
    named_by = conn.scalars(naming).all()
    partition_changes.mark_tasks(conn, named_by)
    return annotations.write_again(conn, named_by)


def note_failure(conn: Connection, url: str, error: str, at: datetime) -> None:
    """Record why a file could not be fetched at `at`, unless it was read by another process meanwhile."""
    failed = update(result_files).where(_C.url == url, _C.read_at.is_(None))
    conn.execute(failed.values(error=error, tried_at=at))


def _named(conn: Connection, urls: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (unsigned address, signed address) for all files in the responses that name any of `urls`."""
    query = (
        select(task_files.c.url, tasks.c.type, tasks.c.response)
        .join(tasks, tasks.c.task_id == task_files.c.task_id)
        .where(task_files.c.url.in_(urls))
        .order_by(tasks.c.synced_at.desc(), tasks.c.task_id)
    )
    for url, kind, response in conn.execute(query):
        for full in result_urls(kind, response):
            yield url, full
