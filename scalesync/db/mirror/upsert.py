"""Upsert the rows of a page: unchanged rows are skipped, and an older copy never overwrites a newer one.

All in the caller's transaction. Rows are locked in the order of their keys, and batches after tasks, so that
two writers wait for each other instead of deadlocking.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from scalesync.db.caller_transaction import savepoint
from scalesync.db.mirror import (
    batch_counts,
    changes,
    partition_changes,
    row_writes,
    unchanged_spelling,
)
from scalesync.db.mirror.documents import MAPPINGS, TASKS, StreamMapping, to_row
from scalesync.db.mirror.numeric_limits import with_numeric_fallback
from scalesync.db.statements import byte_order, chunks, in_list
from scalesync.errors import InconsistentPageError
from scalesync.models.api import Document
from scalesync.models.changes import SeenBy
from scalesync.models.publishing import Partition
from scalesync.models.sync import WriteCounts
from scalesync.parsing.row_parser import FORCE_REWRITE, Row
from scalesync.timestamps import parse_instant

CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far a stored row may be ahead of a page's clock, since readers overlap and servers' clocks differ."""
_TOO_LARGE = "54"  # the class of SQLSTATE for what is too large, such as an index entry


def write_rows(
    conn: sa.Connection,
    mapping: StreamMapping,
    rows: Sequence[Row],
    seen: SeenBy,
) -> WriteCounts:
    """Upsert the rows of one page, served as `seen` has it; return the counts of distinct keys.

    Rows equal to the stored ones in value are skipped. Of two copies of a task the one with the larger
    `updated_at` wins; if that is equal or missing, and for batches and projects, the one served last. Written
    rows are no longer missing; their batch counts become stale. Annotations, reviews and history of tasks are
    written too; the history names the run.
    """
    if mapping is TASKS:
        changes.lock_task_writes(conn)
    latest = {row.key: row for row in rows}  # of a key that comes twice, the last copy
    try:
        return _write_latest(conn, mapping, latest, seen)
    except sa.exc.IntegrityError:
        # Another program added one of these tasks meanwhile: now it is found, and compared.
        return _write_latest(conn, mapping, latest, seen)


def _write_latest(
    conn: sa.Connection, mapping: StreamMapping, latest: Mapping[str, Row], seen: SeenBy
) -> WriteCounts:
    here = _here(conn, mapping, latest)
    respelled = unchanged_spelling.only_respelled(conn, mapping, latest, here) if here else set()
    fresh: list[Row] = []
    overruled: list[str] = []
    unchanged = stale = 0
    for key in sorted(latest):
        row, old = latest[key], here.get(key)
        if old is None:
            fresh.append(row)
            continue
        # A stored time too far ahead of this page is from a wrong clock: it must not keep newer copies out.
        ahead = _is_ahead(old["synced_at"], seen.at)
        alike = old["digest"] == row.digest or key in respelled
        if alike and old["missing_since"] is None and not ahead:
            unchanged += 1
            continue
        if ahead or _is_stale(row, old, seen.at):
            # The upsert itself compares times again, so such a row has to be unlocked for this copy first.
            if not ahead and not _is_ahead(old.get("updated_at"), seen.at):
                stale += 1
                continue
            overruled.append(key)
        fresh.append(row)
    _accept_next_copy(conn, mapping, overruled)
    unread = replaced = 0
    if fresh:
        unread, replaced = with_numeric_fallback(
            conn,
            mapping,
            fresh,
            lambda held: row_writes.write(conn, mapping, held, here, seen),
        )
    new = sum(row.key not in here for row in fresh)
    return WriteCounts(new, len(fresh) - new, unchanged, stale, unread, replaced)


def write_last(
    conn: sa.Connection,
    mapping: StreamMapping,
    rows: Sequence[Row],
    seen: SeenBy,
) -> WriteCounts:
    """Upsert rows as `write_rows` does, but let the copy of a task that was served last win.

    Exception: a stored task changed at the time of `seen` or after it stays.
    """
    several = mapping is TASKS and conn.dialect.name != "sqlite"
    if several and (nothing_new := _count_unchanged(conn, rows, seen)) is not None:
        return nothing_new
    written = write_rows(conn, mapping, rows, seen)
    if not written.stale or mapping is not TASKS:
        return written
    here = _here(conn, mapping, {row.key for row in rows})
    older = [
        row for row in rows if (old := here[row.key])["digest"] != row.digest and _came_before(old, seen.at)
    ]
    _accept_next_copy(conn, mapping, sorted({row.key for row in older}))
    again = write_rows(conn, mapping, older, seen)
    return replace(written, stale=written.stale - again.changed) + again


def _count_unchanged(conn: sa.Connection, rows: Sequence[Row], seen: SeenBy) -> WriteCounts | None:
    """Return the counts if nothing is to be written of these tasks, and None otherwise; takes no lock.

    Several hosts that read everything again do not wait for each other then.
    """
    latest = {row.key: row for row in rows}
    here = _here(conn, TASKS, latest)
    same = all(
        (old := here.get(key)) is not None
        and old["digest"] == row.digest
        and old["missing_since"] is None
        and not _is_ahead(old["synced_at"], seen.at)
        for key, row in latest.items()
    )
    return WriteCounts(unchanged=len(latest)) if same else None


def write_documents(
    conn: sa.Connection,
    mapping: StreamMapping,
    documents: Iterable[Document],
    run_id: int | None = None,
    write: Callable[..., WriteCounts] = write_rows,
) -> WriteCounts:
    """Upsert single objects by `write`, each with the time of its own response; return the sum of counts."""
    written = WriteCounts()
    for document in documents:
        seen = SeenBy(document.served_at, run_id)
        written += write(conn, mapping, [to_row(mapping, document.raw)], seen)
    return written


def apply_response(conn: sa.Connection, stream: str, document: Document) -> bool:
    """Upsert the object of a response; return False, with nothing changed, if the mirror cannot store it.

    Other database errors are raised.
    """
    try:
        # On Postgres `with_numeric_fallback` has a savepoint; another one would be two more round trips.
        with savepoint(conn) if conn.dialect.name == "sqlite" else nullcontext():
            write_documents(conn, MAPPINGS[stream], [document])
    except InconsistentPageError:
        return False
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if isinstance(error, sa.exc.DataError) or state.startswith(_TOO_LARGE):
            return False
        raise
    return True


def _accept_next_copy(conn: sa.Connection, mapping: StreamMapping, keys: Sequence[str]) -> None:
    """Mark these rows so that the next copy replaces them, even if it is older."""
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
    """Mark objects for which the API answered 404 at `at` as missing; return the number of changed rows.

    Rows already missing, and rows served later than `at` (but within CLOCK_TOLERANCE), stay as they are.
    """
    if mapping is TASKS:
        changes.lock_task_writes(conn)
    table, columns = mapping.table, mapping.table.c
    marked = 0
    touched: set[str | None] = set()
    for chunk in chunks(sorted(keys)):
        served = sa.or_(columns.synced_at <= at, columns.synced_at > at + CLOCK_TOLERANCE)
        going = sa.and_(columns[mapping.key].in_(chunk), columns.missing_since.is_(None), served)
        key = columns[mapping.key]
        places = [columns.batch, columns.project, partition_changes.CREATED_AT] if mapping is TASKS else []
        locked = conn.execute(
            sa.select(key, *places).where(going).order_by(byte_order(key)).with_for_update()
        ).all()
        if mapping is TASKS:
            touched.update(row.batch for row in locked)
            changes.record_missing(conn, [row.task_id for row in locked], SeenBy(at, run_id))
            partition_changes.mark(conn, {Partition.of(row.project, row.created_at) for row in locked})
        # `synced_at` too, so that a copy served before the 404 and written after it does not bring it back.
        marked += conn.execute(sa.update(table).where(going).values(missing_since=at, synced_at=at)).rowcount
    batch_counts.mark_stale(conn, touched)
    return marked


def _here(conn: sa.Connection, mapping: StreamMapping, keys: Collection[str]) -> dict[str, sa.RowMapping]:
    found = conn.execute(_by_keys(mapping), {"keys": list(keys)})
    return {row["key"]: row for row in found.mappings()}


@cache
def _by_keys(mapping: StreamMapping) -> sa.Select[*tuple[Any, ...]]:
    """Return the query for the columns, of the rows with the `keys`, that decide about a write."""
    columns = mapping.table.c
    wanted = [columns[mapping.key].label("key"), columns.digest, columns.synced_at, columns.missing_since]
    if mapping is TASKS:
        followed = {column for column in changes.TRACKED.values() if column != "missing_since"}
        wanted += [columns.updated_at, *(columns[name] for name in sorted(followed))]
        wanted += [columns.project, partition_changes.CREATED_AT]
    return sa.select(*wanted).where(in_list(columns[mapping.key], "keys"))


def _is_stale(row: Row, old: sa.RowMapping, served_at: datetime) -> bool:
    if old["digest"] == FORCE_REWRITE:
        return False
    ours = old.get("updated_at")
    theirs = None if ours is None else TASKS.value(row, "updated_at")
    if isinstance(ours, datetime) and isinstance(theirs, str) and ours != (updated := parse_instant(theirs)):
        return updated < ours
    synced_at = old["synced_at"]
    return isinstance(synced_at, datetime) and served_at < synced_at


def _is_ahead(instant: object, served_at: datetime) -> bool:
    return isinstance(instant, datetime) and instant > served_at + CLOCK_TOLERANCE


def _came_before(old: sa.RowMapping, served_at: datetime) -> bool:
    """Return whether the stored row was served and changed before a copy served at `served_at`."""
    return old["synced_at"] <= served_at and (old["updated_at"] is None or old["updated_at"] < served_at)
