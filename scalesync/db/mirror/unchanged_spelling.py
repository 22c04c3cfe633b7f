"""Recognize documents that differ from the stored ones only in their JSON spelling: these are no changes.

Digests are computed from text, so that another order of names or form of numbers gives another digest.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, RowMapping, Text, and_, select, type_coerce, update

from scalesync.db.mirror import partition_changes
from scalesync.db.mirror.changes import UNKNOWN
from scalesync.db.mirror.documents import MAPPINGS, TASKS, StreamMapping, fields_of
from scalesync.db.statements import in_list
from scalesync.db.types import Instant
from scalesync.parsing.json_equality import differing_fields, same_content
from scalesync.parsing.row_parser import FORCE_REWRITE, VOLATILE, Row
from scalesync.timestamps import format_instant

_STORED = {
    mapping.table: select(
        # As text, so that a damaged time is a value that differs, and not an error.
        *(
            type_coerce(column, Text) if isinstance(column.type, Instant) else column
            for column in (
                mapping.table.c[name] for name in (*(field.name for field in mapping.mapped_fields), "extra")
            )
        )
    ).where(in_list(mapping.table.c[mapping.key], "keys"))
    for mapping in MAPPINGS.values()
}
"""By table: the query for the documents with the `keys`."""
_RESPONSES = select(TASKS.table.c.task_id, TASKS.table.c.response).where(
    in_list(TASKS.table.c.task_id, "keys")
)


def only_respelled(
    conn: Connection, mapping: StreamMapping, rows: Mapping[str, Row], here: Mapping[str, RowMapping]
) -> set[str]:
    """Return the keys of rows whose document differs from the stored one only in its spelling.

    Stores the new digest of such tasks, so that the next read need not compare them again.
    """
    # Whole documents are read only for keys whose digest differs without another sign of a change.
    candidates = sorted(key for key, old in here.items() if _may_be_respelled(mapping, rows[key], old))
    if not candidates:
        return set()
    stored = conn.execute(_STORED[mapping.table], {"keys": candidates}).mappings()
    alike = {found[mapping.key] for found in stored if _is_same(mapping, rows[found[mapping.key]], found)}
    columns = mapping.table.c
    if mapping is TASKS:
        partition_changes.mark(conn, set(partition_changes.of_stored(here[key] for key in alike)))
    # In the order of keys, as upserts write rows, so that two writers cannot deadlock. There are few batches
    # and projects: they are compared again each time.
    for key in sorted(alike) if mapping is TASKS else ():
        known = and_(columns[mapping.key] == key, columns.digest == here[key]["digest"])
        conn.execute(update(mapping.table).where(known).values(digest=rows[key].digest))
    return alike


def keep_response_digests(
    conn: Connection, tasks: Sequence[Row], here: Mapping[str, RowMapping]
) -> list[Row]:
    """Return the tasks, with the stored digest of the response where that has the same content as before.

    Otherwise a respelled response would be a change in the history, and its annotations written again.
    """
    candidates = {
        row.key: str(response)
        for row in tasks
        if row.derived
        and (old := here.get(row.key)) is not None
        and old["response_digest"] not in {None, UNKNOWN, row.derived.response_digest}
        and (response := TASKS.value(row, "response")) is not None
    }
    stored = conn.execute(_RESPONSES, {"keys": list(candidates)}) if candidates else ()
    same = {
        task_id
        for task_id, response in stored
        if response is not None and same_content(response, candidates[task_id])
    }
    return [
        replace(row, derived=replace(row.derived, response_digest=here[row.key]["response_digest"]))
        if row.key in same and row.derived
        else row
        for row in tasks
    ]


def _may_be_respelled(mapping: StreamMapping, row: Row, old: RowMapping) -> bool:
    """Return whether only the whole document can show a change: no sign of one except the digest."""
    if old["digest"] in {row.digest, FORCE_REWRITE} or old["missing_since"] is not None:
        return False
    # Nearly every change of a task moves `updated_at`: then the comparison of documents is saved.
    updated = old["updated_at"] if mapping is TASKS else None
    return mapping is not TASKS or (updated and format_instant(updated)) == mapping.value(row, "updated_at")


def _is_same(mapping: StreamMapping, row: Row, stored: RowMapping) -> bool:
    try:
        ours, theirs = fields_of(mapping, stored), fields_of(mapping, mapping.columns_of(row))
    except msgspec.MsgspecError:
        return False  # damaged `extra`: the write repairs it
    return not differing_fields(ours, theirs, VOLATILE, signed=True)
