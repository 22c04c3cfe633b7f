"""Fill `annotations` and the tables beside it from the responses of tasks.

Rows of a task are always replaced as a whole, in the transaction that writes the task.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.models import Flattened
from scalesync.annotations.urls import unsigned_url
from scalesync.db import bulk_insert
from scalesync.db.mirror.changes import UNKNOWN
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import (
    annotation_links,
    annotations,
    result_files,
    task_files,
    unread_responses,
)
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs
from scalesync.db.statements import chunks, in_list, insert_into
from scalesync.db.types import Json
from scalesync.parsing.annotation_rows import TaskResponse, numbered, task_response, threads_in
from scalesync.parsing.row_parser import Row, RowValues
from scalesync.parsing.task_inserts import TaskInserts

# Responses, and rows to be inserted, that are held in memory at once.
_AT_ONCE = 200
_ROWS_AT_ONCE = 5_000
_SHAPES = bulk_insert.InsertTarget.of(annotations, annotations.c.keys())
_TIES = bulk_insert.InsertTarget.of(annotation_links, annotation_links.c.keys())
LONGEST_ADDRESS = 1_600
"""Bytes of a file's address without its signature; Postgres refuses index entries above about 2,700."""
_FLATTENED = (annotations, annotation_links, unread_responses)
_OF_TASKS = (*_FLATTENED, task_files)
_DELETE = {table: sa.delete(table).where(in_list(table.c.task_id, "tasks")) for table in _OF_TASKS}
_ANY_HERE = sa.select(sa.or_(*(sa.exists().where(in_list(table.c.task_id, "tasks")) for table in _FLATTENED)))
_response_of = task_response(TASKS.spec)
_LEFT_BEHIND = {
    table: sa.select(table.c.task_id).where(in_list(table.c.task_id, "tasks")).limit(1) for table in _OF_TASKS
}
_FETCHED = sa.select(result_files.c.url).where(
    in_list(result_files.c.url, "urls"), result_files.c.content.is_not(None)
)
_NAMED_FILES = sa.select(task_files.c.url).where(in_list(task_files.c.task_id, "tasks"))


@dataclass(frozen=True, slots=True)
class AnnotationCounts:
    """The numbers that result from writing the annotations of some tasks."""

    annotations: int = 0
    unread: int = 0
    """Responses that no flattener understood completely."""
    unread_files: Mapping[str, str] = field(default_factory=dict)
    """By the unsigned address of a stored file: why it could not be read completely."""


def write(conn: sa.Connection, answered: Sequence[TaskResponse]) -> AnnotationCounts:
    """Replace the annotations of these tasks by those in their responses and in files already stored.

    Also records the files that the responses name, to be fetched, and removes files that no task names any
    more. Files that cannot be read are marked to be fetched again. A response that names a file at an address
    longer than LONGEST_ADDRESS counts as unread.
    """
    # 1. Remove the old rows and record the files.
    addresses = {each.task_id: _addresses(each) for each in answered if each.derived is None}
    named = {each.task_id: _noted(addresses.get(each.task_id, ())) for each in answered}
    # Also for tasks that are new here: somebody may have deleted a row of `tasks` and nothing else.
    if conn.scalar(_ANY_HERE, {"tasks": list(named)}):
        _remove(conn, _FLATTENED, named)
    _name_files(conn, named)
    # 2. Flatten each response and insert the rows in portions.
    shapes, ties = _Rows(conn, _SHAPES), _Rows(conn, _TIES)
    fetched = _fetched(conn, {url for urls in named.values() for url in urls})
    unread_files: dict[str, str] = {}
    count, unread = 0, list[str]()
    for each in answered:
        if each.derived is None:
            # One task's files at a time: each may be as large as the limit of a download.
            flat = flatten(
                each.type, each.response, _contents(conn, fetched.intersection(named[each.task_id]))
            )
            unread_files |= {file.url: file.reason for file in flat.unread_files}
            (drawn, linked), read = numbered(each.task_id, flat), flat.read
        else:
            drawn, linked, read = each.derived.annotations or (), each.derived.links, each.derived.read
        shapes.add(drawn)
        ties.add(linked)
        count += len(drawn)
        if not (read and len(named[each.task_id]) == len(addresses.get(each.task_id, ()))):
            unread.append(each.task_id)
    shapes.insert()
    ties.insert()
    _insert_unread(conn, unread)
    _mark_unread(conn, unread_files)
    return AnnotationCounts(count, len(unread), unread_files)


def write_tasks(conn: sa.Connection, rows: Sequence[Row]) -> int:
    """Write the annotations of tasks whose response is new or changed; return the number not understood."""
    return write(conn, list(map(_response_of, rows))).unread if rows else 0


def any_left_behind(conn: sa.Connection, pages: Sequence[TaskInserts]) -> bool:
    """Return whether rows of these tasks would stay beside new ones: somebody deleted only the tasks."""
    # New annotations collide with old ones, so that only tasks without any are looked for.
    every = [head.key for page in pages for head in page.heads]
    without = [task_id for page in pages for task_id in page.without_annotations]
    return any(
        conn.scalar(query, {"tasks": without if table is annotations else every}) is not None
        for table, query in _LEFT_BEHIND.items()
    )


def write_new(conn: sa.Connection, pages: Sequence[TaskInserts]) -> int:
    """Write the annotations of tasks just inserted; return the number of responses not understood.

    Those `with_files` are left to `write`. Raises IntegrityError if rows of such a task are here already.
    """
    for page in pages:
        bulk_insert.write_flat(conn, annotations, page.annotations)
        bulk_insert.write_flat(conn, annotation_links, page.links)
    unread = [task_id for page in pages for task_id in page.unread]
    _insert_unread(conn, unread)
    return len(unread)


def write_again(conn: sa.Connection, task_ids: Iterable[str]) -> AnnotationCounts:
    """Replace the annotations of these tasks from the stored responses and files; return the numbers."""
    count = unread = 0
    unread_files: dict[str, str] = {}
    for chunk in chunks(task_ids):
        came = write(conn, list(_answered(conn, chunk)))
        count, unread = count + came.annotations, unread + came.unread
        unread_files |= came.unread_files
    return AnnotationCounts(count, unread, unread_files)


def count_mismatches(conn: sa.Connection, task_ids: Iterable[str]) -> list[str]:
    """Return the ids of tasks whose number of annotations differs from that in their response."""
    wrong: list[str] = []
    for chunk in chunks(task_ids):
        counting = sa.select(annotations.c.task_id, sa.func.count()).where(annotations.c.task_id.in_(chunk))
        here = {row[0]: row[1] for row in conn.execute(counting.group_by(annotations.c.task_id))}
        wrong += [
            each.task_id
            for each in list(_answered(conn, chunk))
            if len(_flattened(conn, each).annotations) != here.get(each.task_id, 0)
        ]
    return wrong


def backfill(conn: sa.Connection) -> int:
    """Flatten every stored response that never was, after an upgrade; return the number of tasks."""
    # Their digests stay UNKNOWN until they are read again: a digest is computed from the API's text, and
    # Postgres's jsonb does not keep that.
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
    """Flatten the stored responses again, after an upgrade that knows more forms; return the number of tasks.

    Skips image annotations that all have a `uuid`: nothing about them is read differently.
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


def record_unread(conn: sa.Connection) -> None:
    """Record which of the stored responses were not understood completely, after an upgrade."""
    # Runs count such responses: where none ever met one, nothing has to be read.
    if not conn.scalar(sa.select(sa.func.max(runs.c.responses_unread))):
        return
    portion = sa.select(tasks.c.task_id).order_by(tasks.c.task_id).limit(_AT_ONCE)
    last = ""
    while ids := conn.scalars(portion.where(tasks.c.task_id > last)).all():
        answered = list(_answered(conn, ids))
        _insert_unread(conn, [each.task_id for each in answered if not _flattened(conn, each).read])
        last = ids[-1]


def _insert_unread(conn: sa.Connection, task_ids: Sequence[str]) -> None:
    if task_ids:
        conn.execute(sa.insert(unread_responses), [{"task_id": task_id} for task_id in task_ids])


def _answered(conn: sa.Connection, task_ids: Collection[str]) -> Iterator[TaskResponse]:
    columns = tasks.c
    beside = sa.case((columns.response.is_(None), columns.extra))
    wanted = sa.select(columns.task_id, columns.type, columns.response, sa.type_coerce(beside, Json))
    for task_id, kind, response, extra in conn.execute(wanted.where(columns.task_id.in_(task_ids))):
        yield TaskResponse(task_id, kind, threads_in(extra) if response is None else response)


def _flattened(conn: sa.Connection, each: TaskResponse) -> Flattened:
    """Return the rows of a stored response and of those of its files that are stored."""
    return flatten(each.type, each.response, _contents(conn, _noted(_addresses(each))))


def _addresses(each: TaskResponse) -> set[str]:
    """Return the unsigned addresses of the files that a response names."""
    return {unsigned_url(url) for url in result_urls(each.type, each.response)}


def _noted(addresses: Collection[str]) -> list[str]:
    """Return the addresses that are short enough for an index, sorted."""
    return sorted(url for url in addresses if len(url.encode()) <= LONGEST_ADDRESS)


def _remove(conn: sa.Connection, of_tables: Iterable[sa.Table], task_ids: Collection[str]) -> None:
    for table in of_tables:
        conn.execute(_DELETE[table], {"tasks": list(task_ids)})


def _name_files(conn: sa.Connection, named: Mapping[str, Sequence[str]]) -> None:
    """Replace the rows of `task_files` of these tasks, and add and remove `result_files` accordingly."""
    before = set(conn.scalars(_NAMED_FILES, {"tasks": list(named)}))
    if before:
        _remove(conn, (task_files,), named)
    rows = [{"task_id": task_id, "url": url} for task_id, urls in named.items() for url in urls]
    if rows:
        conn.execute(sa.insert(task_files), rows)
        files = insert_into(conn.dialect.name, result_files)
        conn.execute(files.on_conflict_do_nothing(index_elements=[result_files.c.url]), rows)
    # Another task may name the same file: only files without any task are removed.
    for chunk in chunks(before - {str(row["url"]) for row in rows}):
        still = sa.exists().where(task_files.c.url == result_files.c.url)
        conn.execute(sa.delete(result_files).where(result_files.c.url.in_(chunk), ~still))


def _mark_unread(conn: sa.Connection, files: Mapping[str, str]) -> None:
    # Without `read_at` a file counts as not read, so that the next run fetches it again.
    for url, reason in files.items():
        noted = sa.update(result_files).where(result_files.c.url == url)
        conn.execute(noted.values(read_at=None, error=reason))


def _fetched(conn: sa.Connection, urls: Collection[str]) -> set[str]:
    """Return those of these addresses whose file is stored."""
    return set(conn.scalars(_FETCHED, {"urls": list(urls)})) if urls else set()


def _contents(conn: sa.Connection, urls: Collection[str]) -> dict[str, bytes]:
    """Return the contents of the fetched files among these addresses."""
    if not urls:
        return {}
    columns = result_files.c
    fetched = sa.select(columns.url, columns.content).where(
        columns.url.in_(urls), columns.content.is_not(None)
    )
    return {row.url: row.content for row in conn.execute(fetched)}


@dataclass
class _Rows:
    """Rows to be inserted into a table, collected into portions."""

    conn: sa.Connection
    into: bulk_insert.InsertTarget
    waiting: list[RowValues] = field(default_factory=list)

    def add(self, rows: Sequence[RowValues]) -> None:
        """Add the rows of a task, and insert the collected rows if they are many."""
        self.waiting += rows
        if len(self.waiting) >= _ROWS_AT_ONCE:
            self.insert()

    def insert(self) -> None:
        """Insert the collected rows."""
        bulk_insert.write(self.conn, self.into, self.waiting)
        self.waiting.clear()
