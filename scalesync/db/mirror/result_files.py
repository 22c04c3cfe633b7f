"""The files that responses name: which are still to be fetched, and what came of it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from scalesync.annotations.flatten import result_urls
from scalesync.annotations.urls import unsigned_url
from scalesync.db.mirror import annotations
from scalesync.db.mirror.annotations import AnnotationCounts
from scalesync.db.mirror.changes import lock_task_writes
from scalesync.db.schema.annotations_and_changes import result_files, task_files
from scalesync.db.schema.mirror import tasks

_C = result_files.c


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that came whole."""

    content: bytes
    """JSON text that the database can hold; as it came where it is no text."""
    sha256: str
    """Of the file as it came."""
    bytes: int
    """Its size as it came."""
    at: datetime
    """When, by the clock of the server that it came from."""


def pending(conn: Connection, after: str, limit: int) -> list[str]:
    """Return the first lasting addresses, in their order and after a given one, of files to be fetched.

    Those are the ones that did not come yet, and those that came and could not be read.
    """
    query = select(_C.url).where(_C.read_at.is_(None), _C.url > after)
    return list(conn.scalars(query.order_by(_C.url).limit(limit)))


def addresses(conn: Connection, urls: Collection[str]) -> dict[str, str]:
    """Return the full addresses of files by their lasting ones, from the task that was read last.

    Signatures are not kept with a file: they expire. What no response names any more is left out.
    """
    found: dict[str, str] = {}
    for url, full in _named(conn, urls):
        if unsigned_url(full) == url:
            found.setdefault(url, full)
    return found


def latest_naming(conn: Connection, url: str) -> str | None:
    """Return the task that names a file and was read last, None where none does."""
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
    """Keep a file that was asked for at `at`, and write the annotations of every task that names it.

    Returns what these came to, or None where the mirror does not want the file any more. A file that is, for
    one of the tasks, among the `unread_files` of that is kept, but does not count as read.
    """
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
    return annotations.write_again(conn, conn.scalars(naming).all())


def note_failure(conn: Connection, url: str, error: str, at: datetime) -> None:
    """Note why a file could not be fetched at `at`; one that was read meanwhile stays as it is."""
    failed = update(result_files).where(_C.url == url, _C.read_at.is_(None))
    conn.execute(failed.values(error=error, tried_at=at))


def _named(conn: Connection, urls: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield lasting address and every address that the response of a task naming it holds."""
    query = (
        select(task_files.c.url, tasks.c.type, tasks.c.response)
        .join(tasks, tasks.c.task_id == task_files.c.task_id)
        .where(task_files.c.url.in_(urls))
        .order_by(tasks.c.synced_at.desc(), tasks.c.task_id)
    )
    for url, kind, response in conn.execute(query):
        for full in result_urls(kind, response):
            yield url, full
