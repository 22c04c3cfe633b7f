"""Read documents from the mirror as the API sent them, and count mirrored objects."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Select, UnaryExpression, exists, false, func, not_, or_, select

from scalesync.db.filters import inclusive, where
from scalesync.db.mirror import status_counts
from scalesync.db.mirror.documents import BATCHES, MAPPINGS, TASKS, StreamMapping, to_document, to_object
from scalesync.db.schema.annotations_and_changes import result_files, task_files, unread_responses
from scalesync.db.schema.reviews_and_versions import replaced_responses
from scalesync.db.statements import ONCE, byte_order, in_list
from scalesync.db.types import Json
from scalesync.errors import ConfigurationError
from scalesync.models.selection import EVERYTHING, ObjectCounts, Selection
from scalesync.models.sync import Window

_UNREAD_FILE = exists().where(
    task_files.c.task_id == TASKS.table.c[TASKS.key],
    task_files.c.url == result_files.c.url,
    result_files.c.fetched_at.is_not(None),
    result_files.c.read_at.is_(None),
)
# Rows held in memory while streaming; a task's response may have megabytes.
_AT_ONCE = 200


def documents(conn: Connection, mapping: StreamMapping, wanted: Selection = EVERYTHING) -> Iterator[bytes]:
    """Yield the documents of the selected objects as compact JSON, in constant memory.

    The connection is in use until the iterator is exhausted or closed. Raises ConfigurationError for an
    unknown field to filter or sort by.
    """
    statement = select(*_document_columns(mapping)).where(*where(mapping.table, wanted)).limit(wanted.limit)
    statement = statement.order_by(*_order(mapping, wanted))
    with conn.execute(statement.execution_options(yield_per=_AT_ONCE)) as result:
        for row in result.mappings():
            yield to_document(mapping, row)


def total(conn: Connection, mapping: StreamMapping, wanted: Selection) -> int:
    """Return the number of selected objects; the selection's limit is ignored."""
    # Missing ones, which are few and have an index, are subtracted: all may be counted in an index alone.
    every = where(mapping.table, replace(wanted, missing=True))
    found = select(func.count()).select_from(mapping.table).where(*every)
    if wanted.missing:
        return conn.execute(found).scalar_one()
    gone = found.where(mapping.table.c.missing_since.is_not(None))
    return int(conn.execute(select(found.scalar_subquery() - gone.scalar_subquery())).scalar_one())


def page_keys(  # noqa: PLR0913 - by name, and each of them optional
    conn: Connection,
    mapping: StreamMapping,
    wanted: Selection,
    limit: int,
    *,
    after: tuple[datetime | None, str] | None = None,
    offset: int = 0,
) -> list[tuple[datetime | None, str]]:
    """Return time of creation and key of up to `limit` objects in the API's order.

    That is newest first, of one instant by descending key; those without a time of creation come last.
    `after` is the last object before the page, in the same form; `offset` counts those before it.
    """
    created, key = mapping.table.c.created_at, byte_order(mapping.table.c[mapping.key])
    every = select(created, mapping.table.c[mapping.key]).where(*where(mapping.table, wanted))
    # In two queries, each of which an index gives in this order: with NULLS LAST, Postgres would sort all.
    dated = every.where(created.is_not(None)).order_by(created.desc(), key.desc())
    undated = every.where(created.is_(None)).order_by(key.desc())
    if after is not None:
        at, name = after
        if at is None:
            undated, dated = undated.where(key < name), dated.where(false())
        else:
            dated = dated.where(created <= at, or_(created < at, key < name))
    found = [*conn.execute(dated.offset(offset).limit(limit))]
    if len(found) < limit:
        before = (
            conn.execute(select(func.count()).select_from(dated.subquery())).scalar_one() if offset else 0
        )
        rest = undated.offset(max(0, offset - before)).limit(limit - len(found))
        found += conn.execute(rest)
    return [(at, name) for at, name in found]


def objects(
    conn: Connection, mapping: StreamMapping, wanted: Selection, keys: list[str]
) -> Iterator[dict[str, Any]]:
    """Return the JSON objects of those of `keys` that are selected still, in their order.

    They are read at once, and each is made when it is taken, with or without the transaction.
    """
    rows = conn.execute(_named(str(mapping.table.name), wanted), {"keys": keys}).all()
    place = mapping.key_place
    by_key = {row[place]: row for row in rows}
    return (to_object(mapping, by_key[key]) for key in keys if key in by_key)


def page(
    conn: Connection, mapping: StreamMapping, wanted: Selection, limit: int, **place: Any
) -> tuple[list[dict[str, Any]], int]:
    """Return up to `limit` JSON objects and the total; `place` and the order are those of `page_keys`."""
    found = page_keys(conn, mapping, wanted, limit, **place)
    return list(objects(conn, mapping, wanted, [key for _, key in found])), total(conn, mapping, wanted)


@lru_cache(maxsize=64)
def _named(stream: str, wanted: Selection) -> Select[*tuple[Any, ...]]:
    """Return the query for those of the objects in the parameter `keys` that are selected."""
    # Built once for all pages of a list. First by key alone: with the filters beside it, SQLite would look
    # through all that an index has of them.
    mapping = MAPPINGS[stream]
    named = select(mapping.table).where(in_list(mapping.table.c[mapping.key], "keys"))
    chosen = named.cte("chosen").prefix_with(ONCE)
    return select(*mapping.columns_in(chosen)).where(*where(chosen, wanted))


def task_counts(conn: Connection) -> dict[str, dict[str, int | None]]:
    """Return the numbers of pending and completed tasks by batch; None until they are counted."""
    columns = BATCHES.table.c
    found = conn.execute(select(columns.name, columns.tasks_pending, columns.tasks_completed))
    return {name: {"pending": pending, "completed": completed} for name, pending, completed in found}


def find(conn: Connection, mapping: StreamMapping, key: str) -> bytes | None:
    """Return the document with this key, even if missing at the API; None if it was never mirrored."""
    wanted = select(*_document_columns(mapping)).where(mapping.table.c[mapping.key] == key)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else to_document(mapping, row)


def keys(conn: Connection, mapping: StreamMapping) -> Iterator[str]:
    """Yield the keys of all objects of a stream that are not missing at the API."""
    columns = mapping.table.c
    yield from conn.execute(select(columns[mapping.key]).where(columns.missing_since.is_(None))).scalars()


def keys_present(
    conn: Connection,
    mapping: StreamMapping,
    *,
    project: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
) -> set[str]:
    """Return the keys of present objects created within [from, to], both inclusive; None is open.

    Objects without `created_at` are included only if both ends are open.
    """
    columns = mapping.table.c
    present = where(mapping.table, Selection(project=project))
    created = inclusive(columns.created_at, created_from, created_to)
    return set(conn.scalars(select(columns[mapping.key]).where(*present, *created)))


def count_within(conn: Connection, mapping: StreamMapping, window: Window, enough: int) -> int:
    """Return the number of objects, missing ones included, within the bounds of `window`, up to `enough`."""
    columns = mapping.table.c
    created = inclusive(columns.created_at, window.created_from, window.created_to)
    of_project = [] if window.project is None else [columns.project == window.project]
    found = select(columns[mapping.key]).where(*created, *of_project).limit(enough)
    return conn.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def counts(conn: Connection) -> dict[str, ObjectCounts]:
    """Return the counts of all objects by stream."""
    return {name: _count(conn, kind) for name, kind in MAPPINGS.items()}


def files_wanted(conn: Connection) -> int:
    """Return the number of result files that were not fetched yet."""
    unfetched = select(func.count()).select_from(result_files).where(result_files.c.fetched_at.is_(None))
    return conn.execute(unfetched).scalar_one()


def replaced_responses_size(conn: Connection) -> tuple[int, int]:
    """Return the number of kept responses that others replaced, and the bytes of their JSON."""
    size = func.coalesce(func.sum(replaced_responses.c.bytes), 0)
    found = conn.execute(select(func.count(), size).select_from(replaced_responses)).one()
    return int(found[0]), int(found[1])


def files_unread(conn: Connection) -> int:
    """Return the number of result files that were fetched but could not be read completely."""
    columns = result_files.c
    unread = columns.fetched_at.is_not(None) & columns.read_at.is_(None)
    return conn.execute(select(func.count()).select_from(result_files).where(unread)).scalar_one()


def tasks_unread(conn: Connection, wanted: Selection = EVERYTHING) -> int:
    """Return the number of selected tasks with a result file that could not be read completely."""
    counting = select(func.count()).select_from(TASKS.table).where(_UNREAD_FILE, *where(TASKS.table, wanted))
    return conn.execute(counting).scalar_one()


def responses_unread(conn: Connection, wanted: Selection = EVERYTHING) -> int:
    """Return the number of selected tasks with a response of which a part has a form that is not known."""
    table, unread = TASKS.table, unread_responses.c.task_id
    # What is wrong with a file is said of the file. No join: SQLite would begin it with all tasks.
    selected = exists().where(table.c[TASKS.key] == unread, not_(_UNREAD_FILE), *where(table, wanted))
    counting = select(func.count()).select_from(unread_responses).where(selected)
    return conn.execute(counting).scalar_one()


def _count(conn: Connection, mapping: StreamMapping) -> ObjectCounts:
    """Return the numbers of present and missing objects of a stream, and of present ones by status."""
    # Only missing rows, which are few, are read from the table, through their partial index, and subtracted.
    columns = mapping.table.c
    gone = columns.missing_since.is_not(None)
    if "status" not in columns:
        found = conn.execute(select(gone, func.count()).group_by(gone))
        number = {bool(missing): int(rows) for missing, rows in found}
        return ObjectCounts(number.get(False, 0), number.get(True, 0), {})
    kept = mapping is TASKS
    everywhere = status_counts.by_status(conn) if kept else status_counts.counted(conn, mapping.table)
    missing = conn.execute(select(columns.status, func.count()).where(gone).group_by(columns.status))
    away = {status: int(rows) for status, rows in missing}
    by_status = {status: rows - away.get(status, 0) for status, rows in everywhere.items()}
    here = {status: rows for status, rows in by_status.items() if rows}
    return ObjectCounts(sum(here.values()), sum(away.values()), here)


def _order(mapping: StreamMapping, wanted: Selection) -> Iterator[UnaryExpression[Any] | Column[Any]]:
    columns = mapping.table.c
    sort = "-created_at" if wanted.sort is None and wanted.newest_first else wanted.sort
    if sort is not None:
        fields = [
            each.name for each in mapping.mapped_fields if not isinstance(columns[each.name].type, Json)
        ]
        name = sort.removeprefix("-")
        if name not in fields:
            msg = f"{mapping.table.name} cannot be sorted by {name!r}."
            raise ConfigurationError(msg, advice=f"Choose one of {', '.join(fields)}.")
        yield (columns[name].desc() if sort.startswith("-") else columns[name].asc()).nulls_last()
    # The key makes the order total, so that the same query gives the same order on both databases.
    yield columns[mapping.key]


def _document_columns(mapping: StreamMapping) -> list[Column[object]]:
    return [mapping.table.c[name] for name in (*(field.name for field in mapping.mapped_fields), "extra")]
