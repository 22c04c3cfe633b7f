"""Count what is in the queue. `status` reads this, and loads no statement of a claim or an enqueue for it."""

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, or_, select

from scalesync.db.queue.claim_conditions import matches, pending
from scalesync.db.schema.queue import IN_DOUBT, SENDING, UNHELD, commands
from scalesync.db.server_clock import seconds_until
from scalesync.db.statements import indexed
from scalesync.models.commands import CommandState
from scalesync.models.queue_state import QueueStats

_C = commands.alias("c")
_ANY_UNFINISHED = select(
    or_(
        indexed(select(_C.c.id).where(pending(_C), matches(_C, UNHELD)), _C, "ix_commands_waiting").exists(),
        indexed(select(_C.c.id).where(matches(_C, SENDING)), _C, "ix_commands_leases").exists(),
    )
)


def queue_stats(conn: Connection) -> QueueStats:
    """Return the counts of open and dead commands and the age of the oldest open one."""
    # Each count is answered by one partial index, so that millions of finished commands cost nothing.
    waiting, oldest_waiting = _count(conn, and_(pending(_C), matches(_C, UNHELD)), "ix_commands_waiting")
    held, oldest_held = _count(conn, and_(pending(_C), _C.c.hold_reason.is_not(None)), "ix_commands_held")
    sending, oldest_sending = _count(conn, matches(_C, SENDING), "ix_commands_leases")
    in_doubt, _ = _count(conn, matches(_C, IN_DOUBT), "ix_commands_in_doubt")
    held_in_doubt, _ = _count(
        conn, and_(matches(_C, IN_DOUBT), _C.c.hold_reason.is_not(None)), "ix_commands_in_doubt"
    )
    dead, _ = _count(conn, _C.c.state == literal_column("'dead'"), "ix_commands_state")
    counts = {
        CommandState.QUEUED: waiting + held - in_doubt,
        CommandState.SENDING: sending,
        CommandState.IN_DOUBT: in_doubt,
    }
    oldest = min((number for number in (oldest_waiting, oldest_held, oldest_sending) if number), default=None)
    age_query = select(seconds_until(_C.c.created_at)).where(_C.c.id == oldest)
    age = None if oldest is None else conn.execute(age_query).scalar_one()
    return QueueStats(
        open=waiting + held + sending,
        by_state={str(state): count for state, count in counts.items() if count},
        oldest_seconds=None if age is None else max(0.0, -float(age)),
        dead=dead,
        in_doubt=in_doubt,
        held=held,
        held_in_doubt=held_in_doubt,
    )


def _count(conn: Connection, where: ColumnElement[bool], index: str) -> tuple[int, int | None]:
    """Return the number of matching commands and the smallest id, read from a partial index."""
    query = indexed(select(func.count(), func.min(_C.c.id)).where(where), _C, index)
    count, first = conn.execute(query).one()
    return int(count), first


def any_unfinished(conn: Connection) -> bool:
    """Return whether any command is pending and not held, blocked or not, or is being sent."""
    return bool(conn.scalar(_ANY_UNFINISHED))
