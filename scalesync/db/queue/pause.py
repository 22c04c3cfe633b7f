"""Pause and resume sending, and compute how long until the next command can be claimed.

The pause is the only row of `dispatch_gate`. Its row lock also serializes claims and people's changes.
"""

from sqlalchemy import Connection, func, or_, select, text, update

from scalesync.db.queue.claim_conditions import matches, pending
from scalesync.db.queue.selection import first_claimable, unblocked
from scalesync.db.schema.queue import SENDING, TIMED, UNHELD, commands, dispatch_gate
from scalesync.db.server_clock import seconds_from_now, seconds_until
from scalesync.db.statements import indexed
from scalesync.models.queue_state import PausedBy, PauseState

_P = dispatch_gate.c
_PAUSE = select(seconds_until(_P.paused_until).label("left"), _P.pause_reason, _P.paused_by).where(_P.id == 1)
_LOCK_PAUSE = _PAUSE.with_for_update()
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
    """Return whether sending is paused now, by the database's clock."""
    return _state(conn, lock=False)


def lock(conn: Connection) -> PauseState:
    """Lock the pause row until the transaction ends and return the pause; claims and pauses wait meanwhile.

    Code that puts commands in flight must call this before it locks any command.
    """
    return _state(conn, lock=True)


def pause(conn: Connection, *, seconds: float | None, reason: str, by: PausedBy) -> None:
    """Pause sending for `seconds`, or until somebody resumes if None.

    Never shortens a pause: if the present one ends later, nothing changes. Of two pauses without an end the
    later reason is kept.
    """
    paused = update(dispatch_gate).values(pause_reason=reason, paused_by=by)
    if seconds is None:
        conn.execute(paused.values(paused_until=None))
        return
    # A Retry-After of the API must not shorten a person's pause, so both are compared in the one UPDATE: in
    # two statements another process could pause in between.
    until = seconds_from_now(seconds)
    open_ended = dispatch_gate.c.paused_until.is_(None) & dispatch_gate.c.pause_reason.is_not(None)
    sooner = or_(dispatch_gate.c.paused_until.is_(None), dispatch_gate.c.paused_until < until)
    conn.execute(paused.where(~open_ended, sooner).values(paused_until=until))


def resume(conn: Connection) -> None:
    """End every pause, whoever made it."""
    conn.execute(update(dispatch_gate).values(paused_until=None, pause_reason=None, paused_by=None))


def next_due(conn: Connection) -> float | None:
    """Return the seconds until a command may be claimed: one becomes due, or a lease ends; None: never."""
    if first_claimable(conn, 1):
        return 0.0
    moments = [conn.scalar(query) for query in (_FIRST_TIME, _FIRST_LEASE)]
    return min((max(0.0, float(seconds)) for seconds in moments if seconds is not None), default=None)


def _state(conn: Connection, *, lock: bool) -> PauseState:
    row = conn.execute(_LOCK_PAUSE if lock else _PAUSE).one()
    left = None if row.left is None else float(row.left)
    # No time and no reason: not paused. A reason without a time: paused until somebody resumes.
    if row.pause_reason is None if left is None else left <= 0:
        return PauseState(False, None, None)
    # People may pause by SQL and leave `paused_by` empty.
    return PauseState(True, left, row.pause_reason, row.paused_by and PausedBy(row.paused_by))
