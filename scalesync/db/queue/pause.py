"""The gate that everybody passes before anything is sent, and how long until there is something to send."""

from sqlalchemy import Connection, func, or_, select, text, update

from scalesync.db.queue.claim_conditions import matches, pending
from scalesync.db.queue.selection import first_claimable, unblocked
from scalesync.db.schema.queue import SENDING, TIMED, UNHELD, commands, dispatch_gate
from scalesync.db.server_clock import seconds_from_now, seconds_until
from scalesync.db.statements import indexed
from scalesync.models.commands import PausedBy, PauseState

_G = dispatch_gate.c
_GATE = select(seconds_until(_G.paused_until).label("left"), _G.pause_reason, _G.paused_by).where(_G.id == 1)
_LOCK_GATE = _GATE.with_for_update()
_TIMED = commands.alias("timed")
_FIRST_TIME = indexed(
    select(seconds_until(_TIMED.c.not_before))
    .where(pending(_TIMED), matches(_TIMED, UNHELD), matches(_TIMED, TIMED), unblocked(_TIMED))
    .order_by(_TIMED.c.not_before)
    .limit(1),
    _TIMED,
    "ix_commands_timed",
)
_FIRST_LEASE = indexed(
    select(seconds_until(func.min(commands.c.leased_until))).where(text(SENDING)),
    commands,
    "ix_commands_leases",
)


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
    until = seconds_from_now(seconds)
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
    moments = [conn.scalar(query) for query in (_FIRST_TIME, _FIRST_LEASE)]
    return min((max(0.0, float(seconds)) for seconds in moments if seconds is not None), default=None)


def _gate(conn: Connection, *, lock: bool) -> PauseState:
    row = conn.execute(_LOCK_GATE if lock else _GATE).one()
    left = None if row.left is None else float(row.left)
    if row.pause_reason is None if left is None else left <= 0:
        return PauseState(False, None, None)
    # A pause that somebody wrote into the table by hand need not say whose it is.
    return PauseState(True, left, row.pause_reason, row.paused_by and PausedBy(row.paused_by))
