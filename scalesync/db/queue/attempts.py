"""The log that every command keeps: what was tried with it, by whom, and what came of it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, insert, select

from scalesync.db.schema.queue import command_attempts
from scalesync.db.server_clock import utc_now
from scalesync.models.commands import Attempt, AttemptStep

_ADD = insert(command_attempts).values(at=utc_now())


def log_steps(conn: Connection, command_id: int, fence: int, steps: Sequence[AttemptStep]) -> None:
    """Add steps to the log of a command, in order, as of now by the database's clock."""
    log(conn, [(command_id, fence, step) for step in steps])


def log(conn: Connection, entries: Iterable[tuple[int, int, AttemptStep]]) -> None:
    """Add (command's id, its fence, step) to the logs of any number of commands, in order."""
    rows = [
        {
            "command_id": command_id,
            "fence": fence,
            "step": step.step,
            "http_status": step.http_status,
            "outcome": step.outcome,
            "detail": step.detail,
        }
        for command_id, fence, step in entries
    ]
    if rows:
        conn.execute(_ADD, rows)


def attempts(conn: Connection, command_id: int) -> list[Attempt]:
    """Return the whole log of a command, oldest first; empty for one that does not exist."""
    table = command_attempts
    rows = conn.execute(select(table).where(table.c.command_id == command_id).order_by(table.c.id))
    return [Attempt(**row) for row in rows.mappings()]
