"""Which commands are in doubt, and which of some still wait."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from scalesync.commands import CommandState
from scalesync.db.order import holds, is_waiting
from scalesync.db.plans import among
from scalesync.db.queue_tables import UNHELD, commands


def in_doubt(conn: Connection) -> list[int]:
    """Return every command in doubt, held ones included, in the order in which they would be claimed."""
    columns = commands.c
    query = select(columns.id).where(columns.state == CommandState.IN_DOUBT)
    return list(conn.scalars(query.order_by(columns.priority, columns.id)))


def still_waiting(conn: Connection, ids: Collection[int]) -> set[int]:
    """Return those of `ids` that may be claimed once due: not settled, not held, in nobody's hands."""
    chosen = among(conn, commands.c.id, "chosen")
    waiting = select(commands.c.id).where(chosen, is_waiting(commands), holds(commands, UNHELD))
    return set(conn.scalars(waiting, {"chosen": list(ids)}))
