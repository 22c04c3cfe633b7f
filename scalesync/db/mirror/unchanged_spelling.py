"""What is here in another spelling already: it is no change, and no row of the history."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, Text, and_, select, type_coerce, update

from scalesync.db.mirror.changes import UNKNOWN
from scalesync.db.mirror.documents import MAPPINGS, TASKS, StreamMapping, fields_of
from scalesync.db.statements import in_list
from scalesync.db.types import Instant
from scalesync.parsing.json_equality import differing_fields, same_content
from scalesync.parsing.row_parser import FORCE_REWRITE, VOLATILE, Row
from scalesync.timestamps import format_instant

_STORED = {
    mapping.table: select(
        # A damaged time is one more value that differs, and no error.
        *(
            type_coerce(column, Text) if isinstance(column.type, Instant) else column
            for column in (
                mapping.table.c[name] for name in (*(field.name for field in mapping.mapped_fields), "extra")
            )
        )
    ).where(in_list(mapping.table.c[mapping.key], "keys"))
    for mapping in MAPPINGS.values()
}
"""By table: what finds the documents of the `keys`."""
_RESPONSES = select(TASKS.table.c.task_id, TASKS.table.c.response).where(
    in_list(TASKS.table.c.task_id, "keys")
)


def only_respelled(
    conn: Connection, mapping: StreamMapping, rows: Mapping[str, Row], here: Mapping[str, RowMapping]
) -> set[str]:
    """Return the keys of rows whose document differs from the one here in nothing but its spelling.

    Tasks take their digest over, so that the next reading need not look. Of the rest there are few, and they
    are locked in the order in which they are written.
    """
    doubtful = sorted(key for key, old in here.items() if _may_be_respelled(mapping, rows[key], old))
    if not doubtful:
        return set()
    stored = conn.execute(_STORED[mapping.table], {"keys": doubtful}).mappings()
    alike = {found[mapping.key] for found in stored if _is_same(mapping, rows[found[mapping.key]], found)}
    columns = mapping.table.c
    for key in sorted(alike) if mapping is TASKS else ():
        known = and_(columns[mapping.key] == key, columns.digest == here[key]["digest"])
        conn.execute(update(mapping.table).where(known).values(digest=rows[key].digest))
    return alike


def keep_response_digests(
    conn: Connection, given: Sequence[dict[str, object]], here: Mapping[str, RowMapping]
) -> None:
    """Leave tasks the digest of the response that is here if the given one says the same."""
    doubtful = {
        str(values["task_id"]): values
        for values in given
        if (old := here.get(str(values["task_id"]))) is not None
        and old["response_digest"] not in {None, UNKNOWN, values["response_digest"]}
        and values["response"] is not None
    }
    if not doubtful:
        return
    for task_id, response in conn.execute(_RESPONSES, {"keys": list(doubtful)}):
        values = doubtful[task_id]
        if response is not None and same_content(response, str(values["response"])):
            values["response_digest"] = here[task_id]["response_digest"]


def _may_be_respelled(mapping: StreamMapping, row: Row, old: RowMapping) -> bool:
    """Return whether it takes the whole document to know; of tasks most changes move `updated_at`."""
    if old["digest"] in {row.digest, FORCE_REWRITE} or old["missing_since"] is not None:
        return False
    updated = old["updated_at"] if mapping is TASKS else None
    return mapping is not TASKS or (updated and format_instant(updated)) == row.values["updated_at"]


def _is_same(mapping: StreamMapping, row: Row, stored: RowMapping) -> bool:
    try:
        ours, theirs = fields_of(mapping, stored), fields_of(mapping, row.values)
    except msgspec.MsgspecError:
        return False
    return not differing_fields(ours, theirs, VOLATILE, signed=True)
