"""Free the commands of dispatchers that died. Every claim does it, so that no extra process is needed."""

from collections.abc import Collection

from sqlalchemy import Connection, and_, case, func, not_, or_, select, text, update

from scalesync.db.queue.command_rows import log
from scalesync.db.queue.discard_cascade import cascade, discard_matching
from scalesync.db.schema.queue import SENDING, command_attempts, commands
from scalesync.db.server_clock import seconds_from_now, utc_now
from scalesync.db.statements import in_list
from scalesync.models.commands import AttemptStep, CommandState, Outcome

CRASH_LOOP = 10
"""Rescues in a row after which a command is held, since it may be what kills its dispatchers."""
LONGEST_LEASE = 3600.0
"""Seconds: a lease that ends sooner than this is valid, even if it is longer than those of the rescuer."""

_C = commands.c
_STEP = "rescue"
# An update is looked up between two crashes of its sending: a look-up alone is no progress.
_NO_PROGRESS = (_STEP, "look")
# `arm` committed sent_at before the request went out: without it, nothing was sent under this claim.
_MAYBE_SENT = or_(_C.sent_at.is_not(None), _C.ambiguous)
_FREE = (
    update(commands)
    .with_hint("INDEXED BY ix_commands_leases", dialect_name="sqlite")
    .where(
        text(SENDING),
        or_(
            _C.leased_until < utc_now(),
            # Longer than any lease: the database's clock went back, and it would not end for hours.
            _C.leased_until > seconds_from_now("too_far"),
            in_list(_C.owner, "gone"),
        ),
        # If the clock jumps ahead, the caller's own leases seem to have run out while it is sending.
        not_(in_list(_C.id, "in_hand")),
    )
    .values(
        state=case((_MAYBE_SENT, CommandState.IN_DOUBT), else_=CommandState.QUEUED),
        ambiguous=_MAYBE_SENT,
        fence=_C.fence + 1,
        owner=None,
        leased_until=None,
        not_before=None,
    )
    .returning(_C.id, _C.fence, _C.state)
)


def rescue(conn: Connection, lease: float, gone: Collection[str], in_hand: Collection[int] = ()) -> None:
    """Free the commands whose lease ran out or whose owner is `gone`, except those with ids `in_hand`.

    Commands that may have been sent become in doubt; the others are queued, or discarded if a person asked
    for it. A lease that lasts longer than both two leases and LONGEST_LEASE counts as run out.
    """
    given = {"gone": list(gone), "too_far": max(2 * lease, LONGEST_LEASE), "in_hand": list(in_hand)}
    rows = conn.execute(_FREE, given).all()
    if not rows:
        return
    log(conn, ((row.id, row.fence, AttemptStep(_STEP, row.state)) for row in rows))
    ids = [row.id for row in rows]
    unwanted = and_(_C.id.in_(ids), _C.discard_requested)
    cascade(conn, discard_matching(conn, unwanted, Outcome.WITHDRAWN, {}))
    _hold_crash_loops(conn, ids)


def _hold_crash_loops(conn: Connection, ids: list[int]) -> None:
    """Hold the commands that were rescued CRASH_LOOP times without progress in between."""
    # Count the rescues after the last step of another kind; the log is the only place that has them.
    steps, other = command_attempts, command_attempts.alias("other")
    since = select(func.coalesce(func.max(other.c.id), 0)).where(
        other.c.command_id == steps.c.command_id, other.c.step.not_in(_NO_PROGRESS)
    )
    looping = (
        select(steps.c.command_id)
        .where(steps.c.command_id.in_(ids), steps.c.step == _STEP, steps.c.id > since.scalar_subquery())
        .group_by(steps.c.command_id)
        .having(func.count() >= CRASH_LOOP)
    )
    reason = f"Its dispatcher died or froze {CRASH_LOOP} times in a row while it had this command."
    waiting = _C.state.in_((CommandState.QUEUED, CommandState.IN_DOUBT))
    conn.execute(update(commands).where(_C.id.in_(looping), waiting).values(hold_reason=reason))
