"""Read commands from their rows, name them for people, and read and write the log of their steps."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, insert, select, text

from scalesync.db.schema.queue import FILES, command_attempts, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import in_list, indexed
from scalesync.models.commands import Attempt, AttemptStep, Command, CommandState, Outcome

_FIELDS = tuple(field.name for field in fields(Command))
_FILES = indexed(
    select(commands.c.resource, commands.c.state, commands.c.result).where(
        in_list(commands.c.resource, "names"), text(FILES), commands.c.state != CommandState.DISCARDED
    ),
    commands,
    "ix_commands_resource_kind",
)
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


def file_addresses(conn: Connection, resources: Collection[str]) -> dict[str, str | None]:
    """Return the addresses of the queued files among `resources`; None for one that is not delivered."""
    found: dict[str, str | None] = {}
    for resource, state, result in conn.execute(_FILES, {"names": [*resources]}):
        delivered = state == CommandState.DELIVERED and result is not None
        address = json.loads(result).get("attachment_url") if delivered else None
        found[resource] = address or found.get(resource)
    return found


def named(command_id: int, kind: str, resource: str) -> str:
    """Return a command as people know it: its number, kind and object."""
    return f"command {command_id} ({kind} {resource.partition(':')[2] or resource})"


def words(state: CommandState) -> str:
    """Return a state as a phrase for messages."""
    return {CommandState.QUEUED: "not sent yet", CommandState.SENDING: "being sent"}.get(
        state, state.replace("_", " ")
    )


def log(conn: Connection, entries: Iterable[tuple[int, int, AttemptStep]]) -> None:
    """Append entries (command id, fence, step) to the logs of commands, dated by the database's clock."""
    # The fence says under which claim a step was taken: two dispatchers may log on one command.
    rows = [{"command_id": one, "fence": fence, **asdict(step)} for one, fence, step in entries]
    if rows:
        conn.execute(_ADD, rows)


def attempts(conn: Connection, command_id: int) -> list[Attempt]:
    """Return the whole log of a command, oldest first; empty if there is no such command."""
    table = command_attempts
    rows = conn.execute(select(table).where(table.c.command_id == command_id).order_by(table.c.id))
    return [Attempt(**row) for row in rows.mappings()]
