"""What follows from writing tasks: their annotations and their history, in the same transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection

from scalesync.annotations.urls import is_signed
from scalesync.db.mirror import annotations, changes
from scalesync.db.mirror.annotations import TaskResponse
from scalesync.db.mirror.changes import RowChange
from scalesync.models.changes import SeenBy
from scalesync.parsing.annotation_rows import task_response
from scalesync.parsing.row_parser import Row


def write_consequences(
    conn: Connection, rows: Sequence[Row], steps: Sequence[RowChange], seen: SeenBy
) -> int:
    """Note what changed in tasks just written, and write their annotations anew: the step of each row.

    Those of a response that is as it was stay, unless its links have signatures: these are new. Returns how
    many of the responses were not understood.
    """
    changes.record(conn, steps, seen)
    answered = [
        TaskResponse(row.key, *task_response(row), row.derived.annotation_rows if row.derived else None)
        for row, step in zip(rows, steps, strict=True)
        if _is_answered_anew(step)
    ]
    if not answered:
        return 0
    return annotations.write(conn, answered).unread


def _is_answered_anew(step: RowChange) -> bool:
    before = None if step.before is None else step.before["response_digest"]
    if before != step.after["response_digest"]:
        return True
    response = step.after["response"]
    return isinstance(response, str) and is_signed(response)
