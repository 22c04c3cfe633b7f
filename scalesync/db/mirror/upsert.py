"""Write a page's rows: what did not change is not written, and an older copy never overwrites a newer one.

All of it happens in the caller's transaction. Rows are locked in the order of their keys, and batches after
tasks, so that two writers wait for each other instead of deadlocking.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from scalesync.db import bulk_insert
from scalesync.db.caller_transaction import savepoint
from scalesync.db.mirror import annotations, batch_counts, changes, unchanged_spelling
from scalesync.db.mirror.changes import RowChange
from scalesync.db.mirror.documents import MAPPINGS, PROJECTS, TASKS, StreamMapping, to_row, versions_of
from scalesync.db.mirror.numeric_limits import with_numeric_fallback
from scalesync.db.schema.mirror import batches, project_versions
from scalesync.db.statements import Insert, byte_order, chunks, in_list, insert_into
from scalesync.errors import InconsistentPageError
from scalesync.models.api import Document
from scalesync.models.changes import SeenBy
from scalesync.models.sync import WriteCounts
from scalesync.parsing.annotation_rows import response_digest, task_response
from scalesync.parsing.row_parser import FORCE_REWRITE, Row
from scalesync.timestamps import format_instant, parse_instant

CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far ahead of a page's own clock a row here may be: readers and writers overlap, and clocks differ.

What is further ahead was stamped by a clock that was wrong, and keeps no copy out.
"""
_BEYOND_LIMITS = "54"  # the class of SQLSTATE for what is too large, such as an index entry


def write_rows(
    conn: sa.Connection,
    mapping: StreamMapping,
    rows: Sequence[Row],
    served_at: datetime,
    run_id: int | None = None,
) -> WriteCounts:
    """Bring the table up to the rows of one page that the API served at `served_at`.

    A copy equal by value to what is here is not written. Of two copies of a task the one with the larger
    `updated_at` stays; where these are equal or missing, and for batches and projects, the one served last;
    equal instants refresh. A distrusted row takes any copy, and so does one with times that lie ahead of
    the copy's clock. A written row is no longer missing, and its batches are to be counted anew. Of a key
    that comes twice the last copy counts. With a task go its annotations and its history, which names the
    run. Returns what became of each distinct key.
    """
    if mapping is TASKS:
        changes.lock_task_writes(conn)
    latest = {row.key: row for row in rows}
    here = _here(conn, mapping, latest)
    respelled = unchanged_spelling.only_respelled(conn, mapping, latest, here)
    fresh: list[Row] = []
    overruled: list[str] = []
    unchanged = stale = 0
    for key in sorted(latest):
        row, old = latest[key], here.get(key)
        ahead = old is not None and _is_ahead(old["synced_at"], served_at)
        alike = old is not None and (old["digest"] == row.digest or key in respelled)
        if old is not None and alike and old["missing_since"] is None and not ahead:
            unchanged += 1
            continue
        if old is not None and (ahead or _is_stale(row, old, served_at)):
            if not ahead and not _is_ahead(old.get("updated_at"), served_at):
                stale += 1
                continue
            overruled.append(key)
        fresh.append(row)
    _accept_next_copy(conn, mapping, overruled)
    unread = replaced = 0
    if fresh:
        seen = SeenBy(served_at, run_id)
        unread, replaced = with_numeric_fallback(
            conn, mapping, fresh, lambda held: _put(conn, mapping, held, here, seen)
        )
    new = sum(row.key not in here for row in fresh)
    return WriteCounts(new, len(fresh) - new, unchanged, stale, unread, replaced)


def write_last(
    conn: sa.Connection,
    mapping: StreamMapping,
    rows: Sequence[Row],
    served_at: datetime,
    run_id: int | None = None,
) -> WriteCounts:
    """Write rows as `write_rows`, but of two copies of a task the one served last stays.

    It does so whatever the `updated_at` of the two, except that what was changed in the very second of the
    copy, or after it, is not on it.
    """
    written = write_rows(conn, mapping, rows, served_at, run_id)
    if not written.stale or mapping is not TASKS:
        return written
    here = _here(conn, mapping, {row.key for row in rows})
    older = [
        row for row in rows if (old := here[row.key])["digest"] != row.digest and _came_before(old, served_at)
    ]
    _accept_next_copy(conn, mapping, sorted({row.key for row in older}))
    again = write_rows(conn, mapping, older, served_at, run_id)
    return replace(written, stale=written.stale - again.changed) + again


def write_documents(
    conn: sa.Connection,
    mapping: StreamMapping,
    documents: Iterable[Document],
    run_id: int | None = None,
    write: Callable[..., WriteCounts] = write_rows,
) -> WriteCounts:
    """Write single objects, each as of its own answer; otherwise as `write_rows`, or as `write` does."""
    written = WriteCounts()
    for document in documents:
        written += write(conn, mapping, [to_row(mapping, document.raw)], document.served_at, run_id)
    return written


def apply_response(conn: sa.Connection, stream: str, document: Document) -> bool:
    """Write an object of a stream as of its own answer, and return whether the mirror could take it.

    What it cannot take leaves the transaction as it was. Other failures of the database are raised.
    """
    try:
        # On Postgres the writing undoes itself, and a savepoint more would be two waits for the server.
        with savepoint(conn) if conn.dialect.name == "sqlite" else nullcontext():
            write_documents(conn, MAPPINGS[stream], [document])
    except InconsistentPageError:
        return False
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if isinstance(error, sa.exc.DataError) or state.startswith(_BEYOND_LIMITS):
            return False
        raise
    return True


def _accept_next_copy(conn: sa.Connection, mapping: StreamMapping, keys: Sequence[str]) -> None:
    """Let the next copy of these objects replace what is here, older or not."""
    for chunk in chunks(keys):
        key = mapping.table.c[mapping.key]
        ours = key.in_(chunk)
        conn.execute(sa.select(key).where(ours).order_by(byte_order(key)).with_for_update()).all()
        conn.execute(sa.update(mapping.table).where(ours).values(digest=FORCE_REWRITE))


def mark_missing(
    conn: sa.Connection,
    mapping: StreamMapping,
    keys: Collection[str],
    at: datetime,
    run_id: int | None = None,
) -> int:
    """Note that the API answered 404 for these objects at `at`; return how many rows that changed.

    Rows already missing and rows that the API served later than `at`, by no more than clocks may differ, stay
    as they are. Nothing is deleted. A copy served before `at` does not bring an object back.
    """
    if mapping is TASKS:
        changes.lock_task_writes(conn)
    table, columns = mapping.table, mapping.table.c
    marked = 0
    touched: set[str | None] = set()
    for chunk in chunks(sorted(keys)):
        served = sa.or_(columns.synced_at <= at, columns.synced_at > at + CLOCK_TOLERANCE)
        going = sa.and_(columns[mapping.key].in_(chunk), columns.missing_since.is_(None), served)
        batch = columns.batch if mapping is TASKS else sa.null()
        key = columns[mapping.key]
        locked = conn.execute(
            sa.select(key, batch).where(going).order_by(byte_order(key)).with_for_update()
        ).all()
        touched.update(name for _, name in locked)
        if mapping is TASKS:
            changes.record_missing(conn, [task_id for task_id, _ in locked], SeenBy(at, run_id))
        marked += conn.execute(sa.update(table).where(going).values(missing_since=at, synced_at=at)).rowcount
    batch_counts.mark_stale(conn, touched)
    return marked


def _here(conn: sa.Connection, mapping: StreamMapping, keys: Collection[str]) -> dict[str, sa.RowMapping]:
    found = conn.execute(_by_keys(mapping), {"keys": list(keys)})
    return {row["key"]: row for row in found.mappings()}


@cache
def _by_keys(mapping: StreamMapping) -> sa.Select[*tuple[Any, ...]]:
    """Return what finds the rows of the `keys` as far as a write depends on them."""
    columns = mapping.table.c
    wanted = [columns[mapping.key].label("key"), columns.digest, columns.synced_at, columns.missing_since]
    if mapping is TASKS:
        followed = {column for column in changes.TRACKED.values() if column != "missing_since"}
        wanted += [columns.updated_at, *(columns[name] for name in sorted(followed))]
    return sa.select(*wanted).where(in_list(columns[mapping.key], "keys"))


def _given(mapping: StreamMapping, row: Row, synced_at: str) -> dict[str, object]:
    """Return a row's columns with those of our own."""
    given = {**row.values, "digest": row.digest, "synced_at": synced_at}
    if mapping is TASKS:
        known = row.derived
        given["response_digest"] = known.response_digest if known else response_digest(task_response(row)[1])
    return given


def _put(
    conn: sa.Connection,
    mapping: StreamMapping,
    fresh: Sequence[Row],
    here: Mapping[str, sa.RowMapping],
    seen: SeenBy,
) -> int:
    """Write rows, and what follows from them, and return how many responses were not understood."""
    synced_at = format_instant(seen.at)
    given = [_given(mapping, row, synced_at) for row in fresh]
    if mapping is TASKS:
        unchanged_spelling.keep_response_digests(conn, given, here)
    into = _into(mapping, tuple(given[0]))
    bulk_insert.write(conn, into, into.rows(given))
    _follow(conn, mapping, fresh, [here[row.key] for row in fresh if row.key in here])
    if mapping is not TASKS:
        return 0
    steps = [RowChange(row.key, here.get(row.key), after) for row, after in zip(fresh, given, strict=True)]
    changes.record(conn, steps, seen)
    return annotations.write_changed(conn, fresh, steps)


def _is_stale(row: Row, old: sa.RowMapping, served_at: datetime) -> bool:
    if old["digest"] == FORCE_REWRITE:
        return False
    ours, theirs = old.get("updated_at"), row.values.get("updated_at")
    if isinstance(ours, datetime) and isinstance(theirs, str) and ours != (updated := parse_instant(theirs)):
        return updated < ours
    synced_at = old["synced_at"]
    return isinstance(synced_at, datetime) and served_at < synced_at


def _is_ahead(instant: object, served_at: datetime) -> bool:
    return isinstance(instant, datetime) and instant > served_at + CLOCK_TOLERANCE


def _came_before(old: sa.RowMapping, served_at: datetime) -> bool:
    """Return whether the row here was served and changed before a copy that was served at this time."""
    return old["synced_at"] <= served_at and (old["updated_at"] is None or old["updated_at"] < served_at)


@cache
def _into(mapping: StreamMapping, names: tuple[str, ...]) -> bulk_insert.InsertTarget:
    """Return where rows of `names` go: over an older copy, but not over a newer one that came in between."""
    table = mapping.table

    def on_conflict(insert: Insert) -> Insert:
        given, kept = insert.excluded, table.c
        changes: dict[str, object] = {name: given[name] for name in names if name != mapping.key}
        changes["missing_since"] = sa.null()
        if table is batches:
            changes["counted_at"] = sa.null()
        newer = given.synced_at >= kept.synced_at
        if mapping is TASKS:
            undecided = sa.or_(
                given.updated_at == kept.updated_at, given.updated_at.is_(None), kept.updated_at.is_(None)
            )
            newer = sa.or_(given.updated_at > kept.updated_at, sa.and_(undecided, newer))
        newer = sa.or_(newer, kept.digest == sa.literal_column(f"'{FORCE_REWRITE}'"))
        return insert.on_conflict_do_update(index_elements=[kept[mapping.key]], set_=changes, where=newer)

    return bulk_insert.InsertTarget.of(table, names, on_conflict)


def _follow(
    conn: sa.Connection, mapping: StreamMapping, fresh: Sequence[Row], old: Sequence[sa.RowMapping]
) -> None:
    """Bring up to date what depends on rows just written over `old`."""
    if mapping is TASKS:
        batch_counts.mark_stale(conn, {row.values["batch"] for row in fresh} | {row["batch"] for row in old})
    elif mapping is PROJECTS:
        _write_versions(conn, fresh)


def _write_versions(conn: sa.Connection, rows: Sequence[Row]) -> None:
    versions = [asdict(version) for row in rows for version in versions_of(row)]
    if not versions:
        return
    insert = insert_into(conn.dialect.name, project_versions)
    given, kept = insert.excluded, project_versions.c
    statement = insert.on_conflict_do_update(
        index_elements=[kept.project, kept.version],
        set_={"created_at": given.created_at, "params": given.params},
        where=sa.or_(
            kept.params.is_distinct_from(given.params), kept.created_at.is_distinct_from(given.created_at)
        ),
    )
    conn.execute(statement, sorted(versions, key=itemgetter("project", "version")))
