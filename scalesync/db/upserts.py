"""Write a page's rows: what did not change is not written, and an older copy never overwrites a newer one.

All of it happens in the caller's transaction. Rows are locked in the order of their keys, and batches after
tasks, so that two writers wait for each other instead of deadlocking.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from operator import itemgetter

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    and_,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    update,
)

from scalesync.db import changes, consequences
from scalesync.db.changes import Sighting
from scalesync.db.chunks import chunks
from scalesync.db.dialects import insert_into
from scalesync.db.documents import PROJECTS, TASKS, Mirrored, Row, project_versions, to_row
from scalesync.db.numerals import within_limits
from scalesync.db.tables import batches, tasks
from scalesync.db.tables import project_versions as versions_table
from scalesync.db.turns import take_turn
from scalesync.model import Document, Written

COUNTED_STATUSES = ("pending", "completed", "error", "canceled")
"""The statuses of tasks that batches have a column for."""

DISTRUSTED = ""
"""The digest of a row that was found to differ from the API's object: the next copy replaces it."""


def write_rows(
    conn: Connection, kind: Mirrored, rows: Sequence[Row], served_at: datetime, run_id: int | None = None
) -> Written:
    """Bring the table up to the rows of one page that the API served at `served_at`.

    A copy equal to what is here is not written. Of two copies of a task the one with the larger
    `updated_at` stays; where these are equal or missing, and for batches and projects, the one served last;
    equal instants refresh. A distrusted row takes any copy. A written row is no longer missing, and its
    batches are to be counted anew. Of a key that comes twice the last copy counts. With a task go its
    annotations and its history, which names the run. Returns what became of each distinct key.
    """
    if kind is TASKS:
        take_turn(conn)
    latest = {row.key: row for row in rows}
    here = _here(conn, kind, latest)
    fresh: list[Row] = []
    unchanged = stale = 0
    for key in sorted(latest):
        row, old = latest[key], here.get(key)
        if old is not None and old["digest"] == row.digest and old["missing_since"] is None:
            unchanged += 1
        elif old is not None and _is_stale(row, old, served_at):
            stale += 1
        else:
            fresh.append(row)
    unread = 0
    if fresh:
        seen = Sighting(served_at, run_id)
        unread = within_limits(conn, kind, fresh, lambda held: _put(conn, kind, held, here, seen))
    new = sum(row.key not in here for row in fresh)
    return Written(new, len(fresh) - new, unchanged, stale, unread)


def write_documents(
    conn: Connection, kind: Mirrored, documents: Iterable[Document], run_id: int | None = None
) -> Written:
    """Write single objects, each as of its own answer; otherwise as `write_rows`."""
    written = Written()
    for document in documents:
        written += write_rows(conn, kind, [to_row(kind, document.raw)], document.served_at, run_id)
    return written


def keys_present(
    conn: Connection,
    kind: Mirrored,
    *,
    project: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
) -> set[str]:
    """Return the keys here that are not missing, created within [from, to], both inclusive; None is open.

    Rows whose creation is unknown count only where both ends are open.
    """
    columns = kind.table.c
    statement = select(columns[kind.key]).where(columns.missing_since.is_(None))
    if project is not None:
        statement = statement.where(columns.project == project)
    if created_from is not None:
        statement = statement.where(columns.created_at >= created_from)
    if created_to is not None:
        statement = statement.where(columns.created_at <= created_to)
    return set(conn.scalars(statement))


def mark_missing(
    conn: Connection, kind: Mirrored, keys: Collection[str], at: datetime, run_id: int | None = None
) -> int:
    """Note that the API answered 404 for these objects at `at`; return how many rows that changed.

    Rows already missing and rows that the API served later than `at` stay as they are. Nothing is deleted.
    A copy served before `at` does not bring an object back.
    """
    if kind is TASKS:
        take_turn(conn)
    table, columns = kind.table, kind.table.c
    marked = 0
    touched: set[str | None] = set()
    for chunk in chunks(sorted(keys)):
        going = and_(columns[kind.key].in_(chunk), columns.missing_since.is_(None), columns.synced_at <= at)
        batch = columns.batch if kind is TASKS else null()
        key = columns[kind.key]
        locked = conn.execute(
            select(key, batch).where(going).order_by(_in_order(conn, key)).with_for_update()
        ).all()
        touched.update(name for _, name in locked)
        if kind is TASKS:
            changes.note_missing(conn, [task_id for task_id, _ in locked], Sighting(at, run_id))
        marked += conn.execute(update(table).where(going).values(missing_since=at, synced_at=at)).rowcount
    _uncount(conn, touched)
    return marked


def count_batches(conn: Connection, at: datetime) -> int:
    """Count the tasks here of each batch whose counts are out of date, as of `at`; return how many were.

    Tasks that are gone at the API do not count. Batches are locked first, so that a task which another
    transaction writes meanwhile is either counted or has its batch counted again.
    """
    outdated = select(batches.c.name).where(batches.c.counted_at.is_(None), batches.c.missing_since.is_(None))
    names = conn.scalars(outdated.order_by(_in_order(conn, batches.c.name)).with_for_update()).all()
    for chunk in chunks(names):
        inside = and_(tasks.c.batch.in_(chunk), tasks.c.missing_since.is_(None))
        query = select(tasks.c.batch, tasks.c.status, func.count()).where(inside)
        found = conn.execute(query.group_by(tasks.c.batch, tasks.c.status))
        counts = {(batch, status): count for batch, status, count in found}
        columns: dict[str, object] = {
            f"tasks_{name}": bindparam(f"count_{name}") for name in COUNTED_STATUSES
        }
        conn.execute(
            update(batches).where(batches.c.name == bindparam("batch")).values(columns | {"counted_at": at}),
            [
                {"batch": name}
                | {f"count_{status}": counts.get((name, status), 0) for status in COUNTED_STATUSES}
                for name in chunk
            ],
        )
    return len(names)


def completed_and_touched(conn: Connection, before: datetime | None) -> list[str]:
    """Return the batches completed here that had a task change since they were read, and were not counted.

    They may have been reopened, which no filter of the API tells. Of a batch not read since `before` any
    change of a task counts; of one read later, or where `before` is None, only what the API dates after that.
    """
    columns = batches.c
    later = exists().where(tasks.c.batch == columns.name, tasks.c.updated_at >= columns.synced_at)
    touched = later if before is None else or_(columns.synced_at < before, later)
    outdated = and_(columns.counted_at.is_(None), columns.missing_since.is_(None))
    query = select(columns.name).where(columns.status == "completed", outdated, touched)
    return list(conn.scalars(query.order_by(columns.name)))


def _here(conn: Connection, kind: Mirrored, keys: Collection[str]) -> dict[str, RowMapping]:
    columns = kind.table.c
    wanted = [columns[kind.key].label("key"), columns.digest, columns.synced_at, columns.missing_since]
    if kind is TASKS:
        followed = {column for column in changes.FOLLOWED.values() if column != "missing_since"}
        wanted += [columns.updated_at, *(columns[name] for name in sorted(followed))]
    here: dict[str, RowMapping] = {}
    for chunk in chunks(sorted(keys)):
        found = conn.execute(select(*wanted).where(columns[kind.key].in_(chunk)))
        here.update((row["key"], row) for row in found.mappings())
    return here


def _given(kind: Mirrored, row: Row, served_at: datetime) -> dict[str, object]:
    """Return a row's columns with those of our own."""
    given = row.values | {"digest": row.digest, "synced_at": served_at}
    if kind is TASKS:
        given["response_digest"] = consequences.response_digest(row.values["response"])
    return given


def _put(
    conn: Connection, kind: Mirrored, fresh: Sequence[Row], here: Mapping[str, RowMapping], seen: Sighting
) -> int:
    """Write rows, and what follows from them, and return how many responses were not understood."""
    given = [_given(kind, row, seen.at) for row in fresh]
    conn.execute(_upsert(conn.dialect.name, kind, tuple(given[0])), given)
    _follow(conn, kind, fresh, [here[row.key] for row in fresh if row.key in here])
    return consequences.follow(conn, given, here, seen) if kind is TASKS else 0


def _is_stale(row: Row, old: RowMapping, served_at: datetime) -> bool:
    if old["digest"] == DISTRUSTED:
        return False
    ours, theirs = old.get("updated_at"), row.values.get("updated_at")
    if isinstance(ours, datetime) and isinstance(theirs, datetime) and ours != theirs:
        return theirs < ours
    synced_at = old["synced_at"]
    return isinstance(synced_at, datetime) and served_at < synced_at


@cache
def _upsert(dialect: str, kind: Mirrored, names: tuple[str, ...]) -> Executable:
    """Return the one statement that writes a row of `names`, unless a newer copy came in between."""
    table = kind.table
    insert = insert_into(dialect, table)
    given, kept = insert.excluded, table.c
    changes: dict[str, object] = {name: given[name] for name in names if name != kind.key}
    changes["missing_since"] = null()
    if table is batches:
        changes["counted_at"] = null()
    newer = given.synced_at >= kept.synced_at
    if kind is TASKS:
        undecided = or_(
            given.updated_at == kept.updated_at, given.updated_at.is_(None), kept.updated_at.is_(None)
        )
        newer = or_(given.updated_at > kept.updated_at, and_(undecided, newer))
    newer = or_(newer, kept.digest == DISTRUSTED)
    return insert.on_conflict_do_update(index_elements=[kept[kind.key]], set_=changes, where=newer)


def _in_order(conn: Connection, key: Column[str]) -> ColumnElement[str]:
    """Return what puts keys in the order of `sorted`, in which rows are written, whatever the collation."""
    return key if conn.dialect.name == "sqlite" else key.collate("C")


def _follow(conn: Connection, kind: Mirrored, fresh: Sequence[Row], old: Sequence[RowMapping]) -> None:
    """Bring up to date what depends on rows just written over `old`."""
    if kind is TASKS:
        _uncount(conn, {row.values["batch"] for row in fresh} | {row["batch"] for row in old})
    elif kind is PROJECTS:
        _write_versions(conn, fresh)


def _uncount(conn: Connection, names: Collection[object]) -> None:
    """Note that the counts of these batches are out of date."""
    for chunk in chunks(sorted(str(name) for name in names if name is not None)):
        _lock_batches(conn, chunk)
        conn.execute(
            update(batches)
            .where(batches.c.name.in_(chunk), batches.c.counted_at.is_not(None))
            .values(counted_at=None)
        )


def _lock_batches(conn: Connection, names: Sequence[str]) -> None:
    """Return when no other transaction holds these batches, so that the next statement sees what it wrote."""
    if conn.dialect.name != "sqlite":
        columns = batches.c
        wanted = select(columns.name).where(columns.name.in_(names))
        conn.execute(wanted.order_by(_in_order(conn, columns.name)).with_for_update()).all()


def _write_versions(conn: Connection, rows: Sequence[Row]) -> None:
    versions = [asdict(version) for row in rows for version in project_versions(row)]
    if not versions:
        return
    table = versions_table
    insert = insert_into(conn.dialect.name, table)
    given, kept = insert.excluded, table.c
    statement = insert.on_conflict_do_update(
        index_elements=[kept.project, kept.version],
        set_={"created_at": given.created_at, "params": given.params},
        where=or_(
            kept.params.is_distinct_from(given.params), kept.created_at.is_distinct_from(given.created_at)
        ),
    )
    conn.execute(statement, sorted(versions, key=itemgetter("project", "version")))
