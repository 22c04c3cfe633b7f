"""The gate that everybody passes before anything is sent, and how long until there is something to send."""

from sqlalchemy import Connection, Select, func, or_, select, text, update

from scalesync.commands import Gate
from scalesync.db.clock import database_time, seconds_until
from scalesync.db.order import holds, is_waiting
from scalesync.db.picking import first_claimable, unblocked
from scalesync.db.plans import built, indexed
from scalesync.db.queue_tables import SENDING, TIMED, UNHELD, commands, dispatch_gate

BY_A_PERSON = "paused by a person"
"""How the reason of a person's pause begins; any other pause was made by an answer of the API."""


def gate(conn: Connection) -> Gate:
    """Return whether anything may be sent now, by the database's clock."""
    return _gate(conn, lock=False)


def lock(conn: Connection) -> Gate:
    """Return the same, with everybody else who claims or pauses waiting until this transaction ends.

    Who puts commands in flight by other means than a claim locks the gate first, before any command: then no
    claim can be choosing among them.
    """
    return _gate(conn, lock=True)


def paused_by_person(gate: Gate) -> bool:
    """Return whether it is a person's pause that is in force: the API refused nothing."""
    return gate.paused and (gate.reason or "").startswith(BY_A_PERSON)


def pause(conn: Connection, *, seconds: float | None, reason: str) -> None:
    """Close the gate for `seconds`, or until somebody resumes if None.

    It never opens sooner than it would have: a pause that would end before the present one changes nothing.
    Between two without an end the later one's reason counts.
    """
    if seconds is None:
        conn.execute(update(dispatch_gate).values(paused_until=None, pause_reason=reason))
        return
    until = database_time(conn, seconds)
    open_ended = dispatch_gate.c.paused_until.is_(None) & dispatch_gate.c.pause_reason.is_not(None)
    sooner = or_(dispatch_gate.c.paused_until.is_(None), dispatch_gate.c.paused_until < until)
    conn.execute(
        update(dispatch_gate).where(~open_ended, sooner).values(paused_until=until, pause_reason=reason)
    )


def resume(conn: Connection) -> None:
    """Open the gate, whoever closed it and for however long."""
    conn.execute(update(dispatch_gate).values(paused_until=None, pause_reason=None))


def next_due(conn: Connection) -> float | None:
    """Return in how many seconds there may be something to claim; None: never, by waiting alone.

    That is when a command which nothing else keeps back is due, or when somebody's lease ends.
    """
    if first_claimable(conn, 1):
        return 0.0
    moments = [conn.scalar(built(conn, build)) for build in (_first_time, _first_lease)]
    return min((max(0.0, float(seconds)) for seconds in moments if seconds is not None), default=None)


def _first_time(conn: Connection) -> Select[float]:
    c = commands.alias("timed")
    timed = select(seconds_until(conn, c.c.not_before)).where(
        is_waiting(c), holds(c, UNHELD), holds(c, TIMED), unblocked(c)
    )
    return indexed(timed, c, "ix_commands_timed").order_by(c.c.not_before).limit(1)


def _first_lease(conn: Connection) -> Select[float]:
    first = select(seconds_until(conn, func.min(commands.c.leased_until))).where(text(SENDING))
    return indexed(first, commands, "ix_commands_leases")


def _gate(conn: Connection, *, lock: bool) -> Gate:
    row = conn.execute(built(conn, _reading, lock)).one()
    if row.left is not None:
        shut = float(row.left) > 0
        return Gate(shut, max(0.0, float(row.left)) if shut else None, row.pause_reason if shut else None)
    return Gate(row.pause_reason is not None, None, row.pause_reason)


def _reading(conn: Connection, lock: bool) -> Select[float, str | None]:
    left = seconds_until(conn, dispatch_gate.c.paused_until)
    query = select(left.label("left"), dispatch_gate.c.pause_reason).where(dispatch_gate.c.id == 1)
    return query.with_for_update() if lock else query
