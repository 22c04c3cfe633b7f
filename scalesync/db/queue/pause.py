"""The gate that everybody passes before anything is sent, and how long until there is something to send."""

from sqlalchemy import Connection, Select, func, or_, select, text, update

from scalesync.db.queue.claim_conditions import matches, pending
from scalesync.db.queue.selection import first_claimable, unblocked
from scalesync.db.schema.queue import SENDING, TIMED, UNHELD, commands, dispatch_gate
from scalesync.db.server_clock import database_time, seconds_until
from scalesync.db.statements import built, indexed
from scalesync.models.commands import PausedBy, PauseState


def pause_state(conn: Connection) -> PauseState:
    """Return whether anything may be sent now, by the database's clock."""
    return _gate(conn, lock=False)


def lock(conn: Connection) -> PauseState:
    """Return the same, with everybody else who claims or pauses waiting until this transaction ends.

    Who puts commands in flight by other means than a claim locks the gate first, before any command: then no
    claim can be choosing among them.
    """
    return _gate(conn, lock=True)


def pause(conn: Connection, *, seconds: float | None, reason: str, by: PausedBy) -> None:
    """Close the gate for `seconds`, or until somebody resumes if None.

    It never opens sooner than it would have: a pause that would end before the present one changes nothing.
    Between two without an end the later one's reason counts.
    """
    paused = update(dispatch_gate).values(pause_reason=reason, paused_by=by)
    if seconds is None:
        conn.execute(paused.values(paused_until=None))
        return
    until = database_time(conn, seconds)
    open_ended = dispatch_gate.c.paused_until.is_(None) & dispatch_gate.c.pause_reason.is_not(None)
    sooner = or_(dispatch_gate.c.paused_until.is_(None), dispatch_gate.c.paused_until < until)
    conn.execute(paused.where(~open_ended, sooner).values(paused_until=until))


def resume(conn: Connection) -> None:
    """Open the gate, whoever closed it and for however long."""
    conn.execute(update(dispatch_gate).values(paused_until=None, pause_reason=None, paused_by=None))


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
        pending(c), matches(c, UNHELD), matches(c, TIMED), unblocked(c)
    )
    return indexed(timed, c, "ix_commands_timed").order_by(c.c.not_before).limit(1)


def _first_lease(conn: Connection) -> Select[float]:
    first = select(seconds_until(conn, func.min(commands.c.leased_until))).where(text(SENDING))
    return indexed(first, commands, "ix_commands_leases")


def _gate(conn: Connection, *, lock: bool) -> PauseState:
    row = conn.execute(built(conn, _reading, lock)).one()
    left = None if row.left is None else float(row.left)
    if row.pause_reason is None if left is None else left <= 0:
        return PauseState(False, None, None)
    # A pause that somebody wrote into the table by hand need not say whose it is.
    return PauseState(True, left, row.pause_reason, row.paused_by and PausedBy(row.paused_by))


def _reading(conn: Connection, lock: bool) -> Select[float, str | None, str | None]:
    gate = dispatch_gate.c
    left = seconds_until(conn, gate.paused_until).label("left")
    query = select(left, gate.pause_reason, gate.paused_by).where(gate.id == 1)
    return query.with_for_update() if lock else query
