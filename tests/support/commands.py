"""Enqueue commands and bring them into the states in which other processes leave them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.queue import command_rows
from scalesync.db.queue import enqueue as queued
from scalesync.db.schema.queue import commands
from scalesync.errors import QueueError
from scalesync.models.changes import SeenBy
from scalesync.models.commands import Command, CommandState, Enqueued, NewCommand
from scalesync.queue import new_commands

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def task(unique_id: str, batch: str | None = None, **body: Any) -> NewCommand:
    """Return the create of a task."""
    return new_commands.create_task("annotation", {"unique_id": unique_id, "batch": batch, **body})


def put(database: Database, order: NewCommand) -> Enqueued:
    """Enqueue in a transaction of its own."""
    with database.write() as conn:
        return queued.enqueue(conn, order)


def put_all(database: Database, given: Iterable[NewCommand]) -> list[Enqueued | QueueError]:
    """Enqueue many in a transaction of its own."""
    with database.write() as conn:
        return list(queued.enqueue_many(conn, given))


def change(database: Database, command_id: int, state: CommandState, **values: Any) -> None:
    """Bring a command into a state, as somebody else would have."""
    now = datetime.now(UTC)
    final = state in (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
    values.setdefault("finished_at", now if final else None)
    values.setdefault("leased_until", now + timedelta(hours=1) if state is CommandState.SENDING else None)
    with database.write() as conn:
        conn.execute(update(commands).where(commands.c.id == command_id).values(state=state, **values))


def mirror(database: Database, stream: str, **document: object) -> None:
    """Have the mirror hold an object."""
    with database.write() as conn:
        kind = MAPPINGS[stream]
        write_rows(conn, kind, [to_row(kind, json.dumps(document).encode())], SeenBy(NOON))


def count(database: Database) -> int:
    """Return how many commands there are."""
    with database.read() as conn:
        return int(conn.execute(select(func.count()).select_from(commands)).scalar_one())


def found(database: Database, command_id: int) -> Command:
    """Return a command that is there."""
    with database.read() as conn:
        command = command_rows.find(conn, command_id)
    assert command is not None
    return command


def states(database: Database) -> dict[int, str]:
    """Return the state of every command by its id."""
    with database.read() as conn:
        query = select(commands.c.id, commands.c.state).order_by(commands.c.id)
        return dict(conn.execute(query).all())


def steps(database: Database, command_id: int) -> list[tuple[str, str, int]]:
    """Return what was logged of a command: step, outcome and fence."""
    with database.read() as conn:
        return [(one.step, one.outcome, one.fence) for one in command_rows.attempts(conn, command_id)]
