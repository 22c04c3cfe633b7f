"""Fill `annotations`, `annotation_links` and `task_files` from the responses of tasks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.urls import is_signed, unsigned_url
from scalesync.db import bulk_insert
from scalesync.db.mirror.changes import UNKNOWN, RowChange
from scalesync.db.schema.annotations_and_changes import (
    annotation_links,
    annotations,
    result_files,
    task_files,
)
from scalesync.db.schema.mirror import tasks
from scalesync.db.statements import chunks, in_list, insert_into
from scalesync.db.types import Json
from scalesync.parsing.annotation_rows import task_response, threads_in, to_rows
from scalesync.parsing.row_parser import AnnotationRows, Row, RowValues

_AT_ONCE = 200
"""Responses held in memory at once."""
_ROWS_AT_ONCE = 5_000
"""Rows on their way into a table that are held in memory at once."""
_SHAPES = bulk_insert.InsertTarget.of(annotations, annotations.c.keys())
_TIES = bulk_insert.InsertTarget.of(annotation_links, annotation_links.c.keys())
LONGEST_ADDRESS = 1_600
"""Bytes of a file's address, without its signature: Postgres refuses index entries above about 2,700."""
_DELETE = {
    table: sa.delete(table).where(in_list(table.c.task_id, "tasks"))
    for table in (annotations, annotation_links, task_files)
}
_NAMED_FILES = sa.select(task_files.c.url).where(in_list(task_files.c.task_id, "tasks"))


@dataclass(frozen=True, slots=True)
class TaskResponse:
    """A task and its response, which may be none."""

    task_id: str
    type: str | None
    response: str | None
    drawn: AnnotationRows | None = None
    """What the response comes to, if that is known and it names no files."""


@dataclass(frozen=True, slots=True)
class AnnotationCounts:
    """What writing the rows of some tasks came to."""

    annotations: int = 0
    unread: int = 0
    """Responses that no flattener understood, wholly or in part."""
    unread_files: Mapping[str, str] = field(default_factory=dict)
    """By the lasting address of a file that is here: why it, or a part of it, could not be read."""


def write(conn: sa.Connection, answered: Sequence[TaskResponse]) -> AnnotationCounts:
    """Make the rows of these tasks those of their responses, and return what that came to.

    The files that responses name are noted, to be fetched; of those that are here already the annotations
    are written too, and what cannot be read is noted, to be fetched again. Files that no task names any more
    are removed. A response that names a file at a longer address than any database indexes is unread in part.
    """
    addresses = {each.task_id: _addresses(each) for each in answered if each.drawn is None}
    named = {each.task_id: _noted(addresses.get(each.task_id, ())) for each in answered}
    # Also of tasks that are new here: somebody may have deleted a row of `tasks` and nothing else.
    _remove(conn, (annotations, annotation_links), named)
    _name_files(conn, named)
    shapes, ties = _Rows(conn, _SHAPES), _Rows(conn, _TIES)
    unread_files: dict[str, str] = {}
    count = unread = 0
    for each in answered:
        drawn = each.drawn
        if drawn is None:
            # One task's files at a time: each may be as large as the limit of a download.
            flat = flatten(each.type, each.response, _contents(conn, named[each.task_id]))
            unread_files |= {file.url: file.reason for file in flat.unread_files}
            drawn = to_rows(each.task_id, flat)
        shapes.add(drawn.annotations)
        ties.add(drawn.links)
        count += len(drawn.annotations)
        unread += not (drawn.read and len(named[each.task_id]) == len(addresses.get(each.task_id, ())))
    shapes.insert()
    ties.insert()
    for url, reason in unread_files.items():
        noted = sa.update(result_files).where(result_files.c.url == url)
        conn.execute(noted.values(read_at=None, error=reason))
    return AnnotationCounts(count, unread, unread_files)


def write_changed(conn: sa.Connection, rows: Sequence[Row], steps: Sequence[RowChange]) -> int:
    """Write the annotations of tasks just written anew where `steps`, one for each, change a response.

    Those of a response that is as it was stay, unless its links have signatures: these are new. Returns how
    many of the responses were not understood.
    """
    answered = [
        TaskResponse(row.key, *task_response(row), row.derived.annotation_rows if row.derived else None)
        for row, step in zip(rows, steps, strict=True)
        if _is_answered_anew(step)
    ]
    return write(conn, answered).unread if answered else 0


def write_again(conn: sa.Connection, task_ids: Iterable[str]) -> AnnotationCounts:
    """Make the rows of these tasks anew from what is here, and return what that came to."""
    count = unread = 0
    unread_files: dict[str, str] = {}
    for chunk in chunks(task_ids):
        came = write(conn, list(_answered(conn, chunk)))
        count, unread = count + came.annotations, unread + came.unread
        unread_files |= came.unread_files
    return AnnotationCounts(count, unread, unread_files)


def count_mismatches(conn: sa.Connection, task_ids: Iterable[str]) -> list[str]:
    """Return the tasks here that have another number of annotations than there are in their response."""
    wrong: list[str] = []
    for chunk in chunks(task_ids):
        counting = sa.select(annotations.c.task_id, sa.func.count()).where(annotations.c.task_id.in_(chunk))
        here = {row[0]: row[1] for row in conn.execute(counting.group_by(annotations.c.task_id))}
        for each in list(_answered(conn, chunk)):
            flat = flatten(each.type, each.response, _contents(conn, _noted(_addresses(each))))
            if len(flat.annotations) != here.get(each.task_id, 0):
                wrong.append(each.task_id)
    return wrong


def backfill(conn: sa.Connection) -> int:
    """Flatten every response that never was, as after an upgrade; return how many tasks that were.

    Their digests stay unknown until they are read again, for Postgres does not keep the text they came in.
    """
    unseen = sa.select(tasks.c.task_id).where(
        tasks.c.response.is_not(None), tasks.c.response_digest.is_(None)
    )
    portion = unseen.order_by(tasks.c.task_id).limit(_AT_ONCE)
    done = 0
    while ids := conn.scalars(portion).all():
        write_again(conn, ids)
        conn.execute(sa.update(tasks).where(tasks.c.task_id.in_(ids)).values(response_digest=UNKNOWN))
        done += len(ids)
    return done


def make_anew(conn: sa.Connection) -> int:
    """Make the annotations of what is here anew, as when more forms are known; return of how many tasks.

    Drawings on images stay as they are where each has its `uuid`: nothing about them is read differently.
    """
    c, done, last = tasks.c, 0, ""
    talked = sa.cast(c.extra, sa.Text).contains('"threads"')
    nameless = sa.exists().where(annotations.c.task_id == c.task_id, annotations.c.uuid.is_(None))
    read_anew = c.response.is_not(None) & ((c.type != "imageannotation") | nameless)
    portion = (
        sa.select(c.task_id)
        .where(read_anew | (c.response.is_(None) & talked))
        .order_by(c.task_id)
        .limit(_AT_ONCE)
    )
    while ids := conn.scalars(portion.where(c.task_id > last)).all():
        write_again(conn, ids)
        done, last = done + len(ids), ids[-1]
    return done


def _is_answered_anew(step: RowChange) -> bool:
    before = None if step.before is None else step.before["response_digest"]
    if before != step.after["response_digest"]:
        return True
    response = step.after["response"]
    return isinstance(response, str) and is_signed(response)


def _answered(conn: sa.Connection, task_ids: Collection[str]) -> Iterator[TaskResponse]:
    columns = tasks.c
    beside = sa.case((columns.response.is_(None), columns.extra))
    wanted = sa.select(columns.task_id, columns.type, columns.response, sa.type_coerce(beside, Json))
    for task_id, kind, response, extra in conn.execute(wanted.where(columns.task_id.in_(task_ids))):
        yield TaskResponse(task_id, kind, threads_in(extra) if response is None else response)


def _addresses(each: TaskResponse) -> set[str]:
    """Return the lasting addresses of the files that a response names."""
    return {unsigned_url(url) for url in result_urls(each.type, each.response)}


def _noted(addresses: Collection[str]) -> list[str]:
    """Return those of the addresses that can be noted."""
    return sorted(url for url in addresses if len(url.encode()) <= LONGEST_ADDRESS)


def _remove(conn: sa.Connection, of_tables: Iterable[sa.Table], task_ids: Collection[str]) -> None:
    for table in of_tables:
        conn.execute(_DELETE[table], {"tasks": list(task_ids)})


def _name_files(conn: sa.Connection, named: Mapping[str, Sequence[str]]) -> None:
    """Bring `task_files` up to what is named now, and `result_files` with it."""
    before = set(conn.scalars(_NAMED_FILES, {"tasks": list(named)}))
    if before:
        _remove(conn, (task_files,), named)
    rows = [{"task_id": task_id, "url": url} for task_id, urls in named.items() for url in urls]
    if rows:
        conn.execute(sa.insert(task_files), rows)
        files = insert_into(conn.dialect.name, result_files)
        conn.execute(files.on_conflict_do_nothing(index_elements=[result_files.c.url]), rows)
    for chunk in chunks(before - {str(row["url"]) for row in rows}):
        still = sa.exists().where(task_files.c.url == result_files.c.url)
        conn.execute(sa.delete(result_files).where(result_files.c.url.in_(chunk), ~still))


def _contents(conn: sa.Connection, urls: Collection[str]) -> dict[str, bytes]:
    """Return the content, by address, of those files that were fetched."""
    if not urls:
        return {}
    columns = result_files.c
    fetched = sa.select(columns.url, columns.content).where(
        columns.url.in_(urls), columns.content.is_not(None)
    )
    return {row.url: row.content for row in conn.execute(fetched)}


@dataclass
class _Rows:
    """Rows on their way into a table, not many at a time."""

    conn: sa.Connection
    into: bulk_insert.InsertTarget
    waiting: list[RowValues] = field(default_factory=list)

    def add(self, rows: Sequence[RowValues]) -> None:
        """Take the rows of a task; they are inserted soon."""
        self.waiting += rows
        if len(self.waiting) >= _ROWS_AT_ONCE:
            self.insert()

    def insert(self) -> None:
        """Insert what waits."""
        bulk_insert.write(self.conn, self.into, self.waiting)
        self.waiting.clear()
