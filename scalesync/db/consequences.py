"""What follows from writing tasks: their annotations and their history, in the same transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping

from scalesync.db import annotations, changes
from scalesync.db.annotations import Answered
from scalesync.db.changes import Sighting, Step
from scalesync.flatten.addresses import is_signed, lasting_digest


def response_digest(response: object) -> str | None:
    """Return the digest of a response's JSON text, the same whatever the signatures in its links."""
    return lasting_digest(response) if isinstance(response, str) else None


def follow(
    conn: Connection,
    written: Sequence[Mapping[str, object]],
    here: Mapping[str, RowMapping],
    seen: Sighting,
) -> int:
    """Note what changed in tasks just `written` over what was `here`, and write their annotations anew.

    Those of a response that is as it was stay, unless its links have signatures: these are new. Returns how
    many of the responses were not understood.
    """
    steps = [Step(str(row["task_id"]), here.get(str(row["task_id"])), row) for row in written]
    changes.note(conn, steps, seen)
    answered = [_answered(step) for step in steps if _is_answered_anew(step)]
    if not answered:
        return 0
    return annotations.write(conn, answered).unread


def _is_answered_anew(step: Step) -> bool:
    before = None if step.before is None else step.before["response_digest"]
    response = step.after["response"]
    return before != step.after["response_digest"] or (isinstance(response, str) and is_signed(response))


def _answered(step: Step) -> Answered:
    kind, response = step.after["type"], step.after["response"]
    return Answered(
        step.task_id,
        kind if isinstance(kind, str) else None,
        response if isinstance(response, str) else None,
    )
