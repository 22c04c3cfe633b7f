"""Read commands from their rows, and read and write the log of the steps taken with each."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, insert, select

from scalesync.db.schema.queue import command_attempts, commands
from scalesync.db.server_clock import utc_now
from scalesync.models.commands import Attempt, AttemptStep, Command, CommandState, Outcome

_FIELDS = tuple(field.name for field in fields(Command))
_ADD = insert(command_attempts).values(at=utc_now())


def command_of(row: Row[Any] | RowMapping) -> Command:
    """Return the command in a row that has at least all columns of `commands`."""
    given = row._mapping if isinstance(row, Row) else row  # noqa: SLF001 - SQLAlchemy's documented name
    values = {name: given[name] for name in _FIELDS}
    values["state"] = CommandState(values["state"])
    values["outcome"] = None if values["outcome"] is None else Outcome(values["outcome"])
    return Command(**values)


def find(conn: Connection, command_id: int) -> Command | None:
    """Return the command with this id, or None."""
    row = conn.execute(select(commands).where(commands.c.id == command_id)).one_or_none()
    return None if row is None else command_of(row)


def log_steps(conn: Connection, command_id: int, fence: int, steps: Sequence[AttemptStep]) -> None:
    """Append steps to the log of a command, in order, dated by the database's clock."""
    log(conn, [(command_id, fence, step) for step in steps])


def log(conn: Connection, entries: Iterable[tuple[int, int, AttemptStep]]) -> None:
    """Append entries (command id, fence, step) to the logs of several commands, in order."""
    # The fence says under which claim a step was taken: two dispatchers may log on one command.
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
    """Return the whole log of a command, oldest first; empty if there is no such command."""
    table = command_attempts
    rows = conn.execute(select(table).where(table.c.command_id == command_id).order_by(table.c.id))
    return [Attempt(**row) for row in rows.mappings()]
