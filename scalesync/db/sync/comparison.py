"""What the mirror holds, as `verify` holds it against the API: counts, single objects, safe boundaries."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, and_, delete, func, or_, select, update

from scalesync.db.mirror.changes import UNKNOWN
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, fields_of, versions_of
from scalesync.db.schema.mirror import batches, project_versions, tasks
from scalesync.db.statements import chunks
from scalesync.db.types import Instant
from scalesync.models.sync import Window
from scalesync.parsing.json_equality import differing_fields, same_content
from scalesync.parsing.row_parser import FORCE_REWRITE, VOLATILE, Row, parse_column
from scalesync.timestamps import parse_instant, whole_milliseconds

MARGIN = timedelta(milliseconds=2)
"""No task here is as near as this to a boundary, so that it does not matter whether bounds are inclusive."""

_ROOM = 3 * MARGIN
"""Between two tasks with a boundary in the middle, cut to whole milliseconds."""

_NEARBY = 500
"""How many tasks around the middle are looked at for a boundary before all are."""

COMPARED_COLUMNS = ("status", "project", "batch", "created_at", "updated_at")
"""What tells whether an object is where the API has it; projects have but one of these."""

ComparedValues = Mapping[str, Any]
"""Columns by name: of a row here, or of one made of the API's document."""


def local_rows(
    conn: Connection, mapping: StreamMapping, keys: Collection[str], *, whole: bool = False
) -> dict[str, ComparedValues]:
    """Return what is here of the objects with these keys, missing ones too; `whole` returns every column."""
    columns = mapping.table.c
    wanted = [columns[name] for name in (mapping.key, *COMPARED_COLUMNS, "missing_since") if name in columns]
    query = select(mapping.table) if whole else select(*wanted)
    found: dict[str, ComparedValues] = {}
    for chunk in chunks(sorted(keys)):
        rows = conn.execute(query.where(columns[mapping.key].in_(chunk))).mappings()
        found.update({row[mapping.key]: row for row in rows})
    return found


def remote_values(mapping: StreamMapping, row: Row) -> ComparedValues:
    """Return the columns of the API's document as they come out of the table."""
    columns = mapping.table.c
    return {name: _as_held(columns[name], value) for name, value in row.values.items()}


def keys_in(
    conn: Connection,
    mapping: StreamMapping,
    window: Window,
    before: datetime | None,
    status: str | None = None,
) -> set[str]:
    """Return the keys of the objects of a window here that are not missing and were created `before` then.

    None: at any time.
    """
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
    conn: Connection, mapping: StreamMapping, window: Window, before: datetime
) -> dict[tuple[str | None, str | None], int]:
    """Return how many these are by (project, status)."""
    columns = mapping.table.c
    groups = (columns.project, columns.status)
    query = select(*groups, func.count()).where(*_inside(mapping, window, before, None)).group_by(*groups)
    return {(project, status): number for project, status, number in conn.execute(query)}


def split_point(conn: Connection, window: Window, before: datetime) -> datetime | None:
    """Return an instant that divides the tasks of a window about equally, with no task here near it.

    None where tasks follow each other too closely for any.
    """
    created = tasks.c.created_at
    inside = and_(*_bounds(created, window, before), *_of_project(TASKS, window))
    ordered = select(created).where(inside, created.is_not(None)).distinct().order_by(created)
    size = conn.execute(select(func.count()).select_from(ordered.subquery())).scalar_one()
    for offset, limit in ((max(0, size // 2 - _NEARBY // 2), _NEARBY), (0, size)):
        near = list(conn.scalars(ordered.offset(offset).limit(limit)))
        gaps = list(_gaps(near))
        if gaps:
            middle = near[min(len(near) - 1, size // 2 - offset)]
            return min(gaps, key=lambda gap: abs(gap - middle))
    return None


def split_points(conn: Connection, window: Window, before: datetime, size: int) -> Iterator[datetime]:
    """Return boundaries, oldest first, that leave about `size` tasks here between each two."""
    created = tasks.c.created_at
    inside = (*_bounds(created, window, before), *_of_project(TASKS, window), created.is_not(None))
    return _gaps(conn.scalars(select(created).where(*inside).order_by(created)), size)


def is_clear(conn: Connection, window: Window, instant: datetime) -> bool:
    """Return whether no task of the window's project here was created within the margin of an instant."""
    created = tasks.c.created_at
    near = and_(created >= instant - MARGIN, created <= instant + MARGIN, *_of_project(TASKS, window))
    return conn.execute(select(tasks.c.task_id).where(near).limit(1)).first() is None


def differing(mapping: StreamMapping, given: Row, stored: ComparedValues) -> tuple[str, ...]:
    """Return the names of the fields whose values differ, by value and not by spelling.

    What differs at every read does not count: volatile fields, and signatures of links.
    """
    theirs = fields_of(mapping, given.values)
    try:
        ours = fields_of(mapping, stored)
    except msgspec.MsgspecError:
        ours = fields_of(mapping, {**stored, "extra": None})
        return (*_in_order(mapping, set(differing_fields(ours, theirs, VOLATILE))), "extra")
    values = remote_values(mapping, given)
    names = set(differing_fields(ours, theirs, VOLATILE))
    names |= {name for name in _derived(mapping) if not _same(stored[name], values[name])}
    return tuple(_in_order(mapping, names | _inconsistent_columns(mapping, stored)))


def _inconsistent_columns(mapping: StreamMapping, stored: ComparedValues) -> set[str]:
    """Return the columns that do not hold what the same row's `extra` says of their field."""
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
    """Return the names of fields as people know them: those with columns first, in the table's order."""
    columns = [*(str(field.name) for field in mapping.mapped_fields), *_derived(mapping)]
    return [name for name in columns if name in names] + sorted(set(names) - set(columns))


def keys_outside_time(conn: Connection, window: Window, before: datetime) -> list[str]:
    """Return some tasks here that no range of time holds: said to be created after `before`, or never.

    There are few, if any; they are cut off at a number that can be looked up one by one.
    """
    created = tasks.c.created_at
    present = (tasks.c.missing_since.is_(None), *_of_project(TASKS, window))
    # Two queries, each of which the index on created_at answers: with OR it would be a scan of the table.
    queries = (select(tasks.c.task_id).where(odd, *present) for odd in (created >= before, created.is_(None)))
    found = [key for query in queries for key in conn.scalars(query.limit(_NEARBY))]
    return sorted(found)[:_NEARBY]


def versions_differ(conn: Connection, given: Row, before: datetime | None = None) -> bool:
    """Return whether the versions of a project here are not those of its document, by value.

    With `before`, only versions made before then count, and those that tell no time.
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
    """Return how many tasks here, not missing, a batch has by status; statuses without any are left out."""
    inside = and_(tasks.c.batch == name, tasks.c.missing_since.is_(None))
    query = select(tasks.c.status, func.count().label("number")).where(inside).group_by(tasks.c.status)
    return {row.status: row.number for row in conn.execute(query)}


def keys_of_batch(conn: Connection, name: str) -> set[str]:
    """Return the tasks here, not missing, of a batch."""
    return set(
        conn.scalars(select(tasks.c.task_id).where(tasks.c.batch == name, tasks.c.missing_since.is_(None)))
    )


def batches_to_count(conn: Connection, window: Window, before: datetime, limit: int | None) -> list[str]:
    """Return at most so many batches of a window, those not completed here first, then the newest."""
    columns = batches.c
    query = select(columns.name).where(*_inside(BATCHES, window, before, None)).limit(limit)
    finished = columns.status.is_not_distinct_from("completed")
    return list(conn.scalars(query.order_by(finished, columns.created_at.desc(), columns.name)))


def force_rewrite(conn: Connection, mapping: StreamMapping, keys: Collection[str]) -> None:
    """Have the next copy of each of these replace what is here, whatever their times say."""
    gone: dict[str, object] = {"digest": FORCE_REWRITE}
    if mapping is TASKS:
        # So that its annotations are written anew, too.
        gone["response_digest"] = UNKNOWN
    if mapping is BATCHES:
        gone["counted_at"] = None
    if mapping is PROJECTS:
        for chunk in chunks(sorted(keys)):
            conn.execute(delete(project_versions).where(project_versions.c.project.in_(chunk)))
    for chunk in chunks(sorted(keys)):
        conn.execute(update(mapping.table).where(mapping.table.c[mapping.key].in_(chunk)).values(gone))


def _inside(
    mapping: StreamMapping, window: Window, before: datetime | None, status: str | None
) -> Iterator[ColumnElement[bool]]:
    columns = mapping.table.c
    yield columns.missing_since.is_(None)
    yield from _bounds(columns.created_at, window, before)
    yield from _of_project(mapping, window)
    if status is not None:
        yield columns.status == status


def _of_project(mapping: StreamMapping, window: Window) -> Iterator[ColumnElement[bool]]:
    if window.project is not None:
        yield mapping.table.c.project == window.project


def _bounds(
    created: ColumnElement[datetime], window: Window, before: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """Yield what keeps within a window. What has no time of creation counts where there is no lower bound."""
    if window.created_from is not None:
        yield created >= window.created_from
    if window.created_to is not None:
        upper = created <= (window.created_to if before is None else min(window.created_to, before))
    elif before is not None:
        upper = created < before
    else:
        return
    yield or_(upper, created.is_(None)) if window.created_from is None else upper


def _gaps(instants: Iterable[datetime], size: int = 0) -> Iterator[datetime]:
    """Yield the boundaries that lie between neighbours, with at least `size` instants before each."""
    since, last = 0, None
    for instant in instants:
        if last is not None and since >= size and instant - last >= _ROOM:
            yield _middle(last, instant)
            since = 0
        since, last = since + 1, instant


def _middle(before: datetime, after: datetime) -> datetime:
    """Return the whole millisecond in the middle, for that is as exact as the API's times are."""
    return whole_milliseconds(before + (after - before) / 2)


def _derived(mapping: StreamMapping) -> tuple[str, ...]:
    return ("version", "params") if "version" in mapping.table.c else ()


def _same(ours: object, theirs: object) -> bool:
    """Return whether a column holds the same on both sides; JSON is text on either."""
    return ours == theirs or (
        isinstance(ours, str) and isinstance(theirs, str) and same_content(ours, theirs)
    )


def _as_held(column: Column[Any], value: object) -> object:
    """Return what goes into a column as it comes out of it."""
    return parse_instant(value) if isinstance(column.type, Instant) and isinstance(value, str) else value


def _object(text: object) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw]) if isinstance(text, str) else {}
