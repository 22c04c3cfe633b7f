"""Mark the partitions of tasks in which a transaction writes, so that publishing reads nothing else.

Call it in the transaction that writes, under the task-write lock: numbers are in the order of commits then.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.mirror import tasks
from scalesync.db.statements import chunks, in_list
from scalesync.models.publishing import Partition
from scalesync.parsing.row_parser import Row

# One statement for all partitions of a page. The next number is that of the largest one committed, plus one:
# whoever writes next waits for the lock, and so for this commit.
_NEXT = "(SELECT coalesce(max(change_number), 0) + 1 FROM partition_changes)"
_MARK = "INSERT INTO partition_changes (project, month, change_number) SELECT {columns}, " + _NEXT
_RENEW = " ON CONFLICT (project, month) DO UPDATE SET change_number = excluded.change_number"
_MARK_IN = {
    "sqlite": _MARK.format(columns="json_extract(value, '$[0]'), json_extract(value, '$[1]')")
    + " FROM json_each(:marked) WHERE true"
    + _RENEW,
    "postgresql": _MARK.format(columns="value ->> 0, value ->> 1")
    + " FROM jsonb_array_elements(CAST(:marked AS jsonb))"
    + _RENEW,
}
_MARKS = {dialect: sa.text(statement) for dialect, statement in _MARK_IN.items()}
# As text, where that is what the database has: a damaged time is no error here.
CREATED_AT = sa.type_coerce(tasks.c.created_at, sa.Text).label("created_at")
_PLACES = sa.select(tasks.c.project, CREATED_AT).where(in_list(tasks.c.task_id, "tasks")).distinct()
_encode = msgspec.json.Encoder().encode
_PROJECT, _CREATED = TASKS.positions["project"], TASKS.positions["created_at"]


def mark(conn: sa.Connection, partitions: Collection[Partition]) -> None:
    """Give these partitions the next change number."""
    if partitions:
        conn.execute(_MARKS[conn.dialect.name], {"marked": _encode(sorted(partitions)).decode()})


def mark_tasks(conn: sa.Connection, task_ids: Iterable[str]) -> None:
    """Mark the partitions in which these tasks are now."""
    for chunk in chunks(task_ids):
        mark(conn, {Partition.of(*place) for place in conn.execute(_PLACES, {"tasks": chunk})})


def of_rows(rows: Iterable[Row]) -> Iterator[Partition]:
    """Yield the partitions of tasks as they are written."""
    return (Partition.of(row.values[_PROJECT], row.values[_CREATED]) for row in rows)


def of_stored(stored: Iterable[sa.RowMapping | Mapping[str, Any]]) -> Iterator[Partition]:
    """Yield the partitions in which stored tasks are; rows have `project` and `created_at`."""
    return (Partition.of(row["project"], row["created_at"]) for row in stored)
