"""Write the rows that an upsert decided to write, and what follows from them.

Tasks bring annotations and history, and make the counts of their batches stale; projects bring versions. All
in the caller's transaction. Rows come in the order of their keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from operator import itemgetter

import sqlalchemy as sa

from scalesync.annotations.urls import is_signed
from scalesync.db import bulk_insert
from scalesync.db.mirror import (
    annotations,
    batch_counts,
    changes,
    partition_changes,
    replaced_responses,
    reviews,
    unchanged_spelling,
)
from scalesync.db.mirror.changes import RowChange
from scalesync.db.mirror.documents import PROJECTS, TASKS, StreamMapping, versions_of
from scalesync.db.schema.mirror import batches, project_versions
from scalesync.db.statements import Insert, insert_into
from scalesync.models.changes import SeenBy
from scalesync.parsing.annotation_rows import make_task_deriver
from scalesync.parsing.row_parser import FORCE_REWRITE, Row
from scalesync.parsing.task_inserts import ADDED_COLUMNS
from scalesync.timestamps import format_instant

derive_task = make_task_deriver(TASKS.spec)
"""Adds to a task's row its derived values."""

_TASK_COLUMNS = (*TASKS.spec.names, *ADDED_COLUMNS)
_INSERT_TASKS = bulk_insert.InsertTarget.of(TASKS.table, _TASK_COLUMNS)


def write(
    conn: sa.Connection,
    mapping: StreamMapping,
    rows: Sequence[Row],
    here: Mapping[str, sa.RowMapping],
    seen: SeenBy,
) -> int:
    """Write rows and everything derived from them; return the number of responses not understood.

    `here` has the stored rows by key. On Postgres a task that another program adds at the same time raises
    IntegrityError.
    """
    if mapping is TASKS:
        return _write_tasks(conn, rows, here, seen)
    target, synced_at = _upsert(mapping), format_instant(seen.at)
    given = (mapping.columns_of(row) | {"digest": row.digest, "synced_at": synced_at} for row in rows)
    bulk_insert.write(conn, target, target.rows(given))
    if mapping is PROJECTS:
        _write_versions(conn, rows)
    return 0


def _write_tasks(
    conn: sa.Connection,
    rows: Sequence[Row],
    here: Mapping[str, sa.RowMapping],
    seen: SeenBy,
) -> int:
    derived = [row if row.derived else derive_task(row) for row in rows]
    tasks = unchanged_spelling.keep_response_digests(conn, derived, here)
    new = [row for row in tasks if row.key not in here]
    known = [row for row in tasks if row.key in here]
    # On SQLite an upsert of a new row costs no more than an INSERT. Postgres copies straight into the table
    # only without ON CONFLICT.
    for_new = _upsert(TASKS) if conn.dialect.name == "sqlite" else _INSERT_TASKS
    if seen.keeps_responses:
        replaced_responses.record(conn, known, here, seen)
    _insert_tasks(conn, for_new, new, seen)
    _insert_tasks(conn, _upsert(TASKS), known, seen)
    # A task that moved changes the counts of two batches. Batches are locked after tasks, everywhere.
    batch = TASKS.positions["batch"]
    moved_from = {here[row.key]["batch"] for row in known}
    batch_counts.mark_stale(conn, {row.values[batch] for row in tasks} | moved_from)
    # Of a task whose project or time of creation changed, both partitions.
    before = partition_changes.of_stored(here[row.key] for row in known)
    partition_changes.mark(conn, {*partition_changes.of_rows(tasks), *before})
    steps = [_change(row, here[row.key]) for row in known]
    changes.record_new(conn, [row.key for row in new], seen)
    changes.record(conn, steps, seen)
    reviews.write(conn, tasks)
    answered = [row for row, step in zip(known, steps, strict=True) if _is_answered_anew(step)]
    return annotations.write_tasks(conn, [*new, *answered])


def _insert_tasks(
    conn: sa.Connection, target: bulk_insert.InsertTarget, rows: Sequence[Row], seen: SeenBy
) -> None:
    at = format_instant(seen.at)
    digests = [row.derived.response_digest if row.derived else None for row in rows]
    given = [(*row.values, row.digest, at, digest) for row, digest in zip(rows, digests, strict=True)]
    bulk_insert.write(conn, target, given)


def _change(row: Row, before: sa.RowMapping) -> RowChange:
    digest = row.derived.response_digest if row.derived else None
    return RowChange(row.key, before, TASKS.columns_of(row) | {"response_digest": digest})


def _is_answered_anew(step: RowChange) -> bool:
    if step.before["response_digest"] != step.after["response_digest"]:
        return True
    response = step.after["response"]
    # The digest ignores signatures of links; expired ones in the rows must be replaced all the same.
    return isinstance(response, str) and is_signed(response)


@cache
def _upsert(mapping: StreamMapping) -> bulk_insert.InsertTarget:
    """Return the upsert of rows, which skips those that are newer in the table."""
    table = mapping.table
    names = _TASK_COLUMNS if mapping is TASKS else (*mapping.spec.names, "digest", "synced_at")

    def on_conflict(insert: Insert) -> Insert:
        given, kept = insert.excluded, table.c
        changes: dict[str, object] = {name: given[name] for name in names if name != mapping.key}
        changes["missing_since"] = sa.null()
        if table is batches:
            changes["counted_at"] = sa.null()
        # The rule of `upsert`, on the locked row: another writer may have committed since we read it.
        newer = given.synced_at >= kept.synced_at
        if mapping is TASKS:
            undecided = sa.or_(
                given.updated_at == kept.updated_at, given.updated_at.is_(None), kept.updated_at.is_(None)
            )
            newer = sa.or_(given.updated_at > kept.updated_at, sa.and_(undecided, newer))
        newer = sa.or_(newer, kept.digest == sa.literal_column(f"'{FORCE_REWRITE}'"))
        return insert.on_conflict_do_update(index_elements=[kept[mapping.key]], set_=changes, where=newer)

    return bulk_insert.InsertTarget.of(table, names, on_conflict)


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
