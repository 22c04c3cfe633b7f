"""The mirror's side of `verify`: counts, and single objects beside the API's."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, and_, delete, func, or_, select, update

from scalesync.db.mirror import partition_changes
from scalesync.db.mirror.changes import UNKNOWN, lock_task_writes
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, fields_of, versions_of
from scalesync.db.schema.mirror import BY_CREATION, batches, project_versions, tasks
from scalesync.db.statements import chunks, indexed
from scalesync.db.types import Instant
from scalesync.models.sync import Window
from scalesync.parsing.column_parsers import parse_column
from scalesync.parsing.json_equality import differing_fields, same_content
from scalesync.parsing.row_parser import FORCE_REWRITE, VOLATILE, Row
from scalesync.timestamps import parse_instant

# Tasks outside every range that are looked up one by one, at most.
_MAX_OUTSIDE = 500

COMPARED_COLUMNS = ("status", "project", "batch", "created_at", "updated_at")
"""The columns compared when documents are not; projects have only `created_at`."""

ComparedValues = Mapping[str, Any]
"""Columns by name, of a row here or made from the API's document."""


def local_rows(
    conn: Connection, mapping: StreamMapping, keys: Collection[str], *, whole: bool = False
) -> dict[str, ComparedValues]:
    """Return the mirrored rows with these keys, missing ones too; with every column if `whole`."""
    columns = mapping.table.c
    wanted = [columns[name] for name in (mapping.key, *COMPARED_COLUMNS, "missing_since") if name in columns]
    query = select(mapping.table) if whole else select(*wanted)
    found: dict[str, ComparedValues] = {}
    for chunk in chunks(sorted(keys)):
        rows = conn.execute(query.where(columns[mapping.key].in_(chunk))).mappings()
        found.update({row[mapping.key]: row for row in rows})
    return found


def remote_values(mapping: StreamMapping, row: Row) -> ComparedValues:
    """Return the columns of the API's document with the types that reading the table gives."""
    columns = mapping.table.c
    return {name: _as_held(columns[name], value) for name, value in mapping.columns_of(row).items()}


def keys_in(
    conn: Connection,
    mapping: StreamMapping,
    window: Window,
    before: datetime | None,
    status: str | None = None,
) -> set[str]:
    """Return the keys of a window's present objects, created before `before` (None: at any time)."""
    query = select(mapping.table.c[mapping.key]).where(*_inside(mapping, window, before, status))
    return set(conn.scalars(query))


def count(
    conn: Connection,
    mapping: StreamMapping,
    window: Window,
    before: datetime | None,
    status: str | None = None,
) -> int:
    """Return the number of the keys that `keys_in` returns."""
    query = select(func.count()).where(*_inside(mapping, window, before, status))
    return conn.execute(query.select_from(mapping.table)).scalar_one()


def counts(
    conn: Connection, mapping: StreamMapping, window: Window, before: datetime | None
) -> dict[tuple[str | None, str | None], int]:
    """Return the numbers of a window's present objects, by (project, status), created before `before`.

    None: at any time.
    """
    columns = mapping.table.c
    groups = (columns.project, columns.status)
    query = select(*groups, func.count()).group_by(*groups)
    if mapping is TASKS:
        # Without statistics SQLite prefers an index that has these groups in order, and reads every task.
        query = indexed(query, mapping.table, BY_CREATION)
    found: Counter[tuple[str | None, str | None]] = Counter()
    for inside in _inside_in_parts(mapping, window, before):
        for project, status, number in conn.execute(query.where(*inside)):
            found[project, status] += number
    return dict(found)


def differing(mapping: StreamMapping, given: Row, stored: ComparedValues) -> tuple[str, ...]:
    """Return the names of the fields whose values differ, regardless of their spelling in JSON.

    Ignores what differs at every read: volatile fields, and signatures of links.
    """
    theirs = fields_of(mapping, mapping.columns_of(given))
    try:
        ours = fields_of(mapping, stored)
    except msgspec.MsgspecError:
        # Somebody damaged `extra` in SQL: compare the other columns, and report it as different.
        ours = fields_of(mapping, {**stored, "extra": None})
        return (*_in_order(mapping, set(differing_fields(ours, theirs, VOLATILE))), "extra")
    values = remote_values(mapping, given)
    names = set(differing_fields(ours, theirs, VOLATILE))
    # Columns that the document does not contain: they must be what is computed from it,
    names |= {name for name in _derived(mapping) if not _same(stored[name], values[name])}
    # and what a column and `extra` both hold must agree, as only `extra` shows in the document.
    return tuple(_in_order(mapping, names | _inconsistent_columns(mapping, stored)))


def _inconsistent_columns(mapping: StreamMapping, stored: ComparedValues) -> set[str]:
    """Return the columns whose value is not the one that the same row's `extra` has for the field."""
    extra = _object(stored["extra"])
    columns = mapping.table.c
    return {
        field.name
        for field in mapping.mapped_fields
        if field.name in extra
        and not _same(
            stored[field.name], _as_held(columns[field.name], parse_column(field.take, extra[field.name]))
        )
    }


def _in_order(mapping: StreamMapping, names: Collection[str]) -> list[str]:
    """Return the names sorted: fields with columns first, in the table's order, then the others."""
    columns = [*(str(field.name) for field in mapping.mapped_fields), *_derived(mapping)]
    return [name for name in columns if name in names] + sorted(set(names) - set(columns))


def keys_outside_time(conn: Connection, window: Window, before: datetime | None) -> list[str]:
    """Return up to 500 present tasks outside every time range: created after `before`, or undated.

    With `before` None only undated ones. The caller looks them up one by one; normally there are none.
    """
    created = tasks.c.created_at
    present = (tasks.c.missing_since.is_(None), *of_project(TASKS, window))
    # Two queries, each of which the index on created_at answers: with OR it would be a scan of the table.
    odd = [created.is_(None)] if before is None else [created >= before, created.is_(None)]
    queries = (select(tasks.c.task_id).where(each, *present) for each in odd)
    found = [key for query in queries for key in conn.scalars(query.limit(_MAX_OUTSIDE))]
    return sorted(found)[:_MAX_OUTSIDE]


def versions_differ(conn: Connection, given: Row, before: datetime | None = None) -> bool:
    """Return whether the stored versions of a project differ in value from those of its document.

    With `before`, ignores versions created at that time or later.
    """
    columns = project_versions.c
    query = select(columns.version, columns.params, columns.created_at).where(columns.project == given.key)
    here = {row.version: row.params for row in conn.execute(query) if _is_before(row.created_at, before)}
    versions = (each for each in versions_of(given) if _is_before(each.created_at, before))
    there = {version.version: version.params for version in versions}
    return here.keys() != there.keys() or not all(_same(here[key], there[key]) for key in here)


def _is_before(at: datetime | None, before: datetime | None) -> bool:
    return at is None or before is None or at < before


def batch_counts(conn: Connection, name: str) -> dict[str | None, int]:
    """Return the numbers of a batch's present tasks by status, without statuses that no task has."""
    inside = and_(tasks.c.batch == name, tasks.c.missing_since.is_(None))
    query = select(tasks.c.status, func.count().label("number")).where(inside).group_by(tasks.c.status)
    return {row.status: row.number for row in conn.execute(query)}


def keys_of_batch(conn: Connection, name: str) -> set[str]:
    """Return the keys of a batch's present tasks."""
    return set(
        conn.scalars(select(tasks.c.task_id).where(tasks.c.batch == name, tasks.c.missing_since.is_(None)))
    )


def batches_to_count(conn: Connection, window: Window, before: datetime, limit: int | None) -> list[str]:
    """Return up to `limit` batches of a window: those not completed here first, then the newest."""
    columns = batches.c
    query = select(columns.name).where(*_inside(BATCHES, window, before, None)).limit(limit)
    finished = columns.status.is_not_distinct_from("completed")
    return list(conn.scalars(query.order_by(finished, columns.created_at.desc(), columns.name)))


def force_rewrite(conn: Connection, mapping: StreamMapping, keys: Collection[str]) -> None:
    """Mark these objects so that their next copy replaces the row, even if it is older."""
    marked: dict[str, object] = {"digest": FORCE_REWRITE}
    if mapping is TASKS and keys:
        lock_task_writes(conn)
        partition_changes.mark_tasks(conn, keys)
    if mapping is TASKS:
        # An unknown response makes the next write replace the annotations too.
        marked["response_digest"] = UNKNOWN
    if mapping is BATCHES:
        marked["counted_at"] = None
    if mapping is PROJECTS:
        # Upserts never delete a version: one that the API does not have would stay for ever.
        for chunk in chunks(sorted(keys)):
            conn.execute(delete(project_versions).where(project_versions.c.project.in_(chunk)))
    for chunk in chunks(sorted(keys)):
        conn.execute(update(mapping.table).where(mapping.table.c[mapping.key].in_(chunk)).values(marked))


def _inside_in_parts(
    mapping: StreamMapping, window: Window, before: datetime | None
) -> Iterator[Sequence[ColumnElement[bool]]]:
    """Yield the conditions of a window in parts without an OR, of which each is one range of an index."""
    created = mapping.table.c.created_at
    apart = window.created_from is None and (window.created_to is not None or before is not None)
    if not apart:
        yield tuple(_inside(mapping, window, before, None))
        return
    present = (mapping.table.c.missing_since.is_(None), *of_project(mapping, window))
    yield *present, _upper(created, window, before)
    yield *present, created.is_(None)


def _inside(
    mapping: StreamMapping, window: Window, before: datetime | None, status: str | None
) -> Iterator[ColumnElement[bool]]:
    columns = mapping.table.c
    yield columns.missing_since.is_(None)
    yield from within_time(columns.created_at, window, before)
    yield from of_project(mapping, window)
    if status is not None:
        yield columns.status == status


def of_project(mapping: StreamMapping, window: Window) -> Iterator[ColumnElement[bool]]:
    """Yield the condition of a window's project, if it has one."""
    if window.project is not None:
        yield mapping.table.c.project == window.project


def within_time(
    created: ColumnElement[datetime], window: Window, before: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a window's time range; undated objects are in ranges without a lower bound."""
    # Each object must be in exactly one of the windows that split a range, and undated ones are in the first.
    if window.created_from is not None:
        yield created >= window.created_from
    if window.created_to is None and before is None:
        return
    upper = _upper(created, window, before)
    yield or_(upper, created.is_(None)) if window.created_from is None else upper


def _upper(created: ColumnElement[datetime], window: Window, before: datetime | None) -> ColumnElement[bool]:
    """Return the condition of a window's end, or of `before` if that is earlier; one of them is given."""
    if window.created_to is None:
        return created < before
    return created <= (window.created_to if before is None else min(window.created_to, before))


def _derived(mapping: StreamMapping) -> tuple[str, ...]:
    return ("version", "params") if "version" in mapping.table.c else ()


def _same(ours: object, theirs: object) -> bool:
    """Return whether two values of a column are equal; JSON, which is text here, is compared by content."""
    return ours == theirs or (
        isinstance(ours, str) and isinstance(theirs, str) and same_content(ours, theirs)
    )


def _as_held(column: Column[Any], value: object) -> object:
    """Return a value for a column as reading the column would return it."""
    return parse_instant(value) if isinstance(column.type, Instant) and isinstance(value, str) else value


def _object(text: object) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw]) if isinstance(text, str) else {}
