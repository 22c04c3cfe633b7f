"""Taking commands from whoever is gone: done within every claim, so that nothing has to be up for it."""

from collections.abc import Collection

from sqlalchemy import Connection, and_, case, func, not_, or_, select, text, update

from scalesync.db.queue.command_rows import log
from scalesync.db.queue.discard_cascade import cascade, discard_matching
from scalesync.db.schema.queue import SENDING, command_attempts, commands
from scalesync.db.server_clock import seconds_from_now, utc_now
from scalesync.db.statements import in_list
from scalesync.models.commands import AttemptStep, CommandState, Outcome

CRASH_LOOP = 10
"""After so many rescues with nothing between them a command is held: it may be what kills its dispatchers."""
LONGEST_LEASE = 3600.0
"""No dispatcher's lease is taken for one of before the clock went back if it ends within so many seconds."""

_C = commands.c
_STEP = "rescue"
_NO_PROGRESS = (_STEP, "look")
"""Steps after which a command stands as before: an update is looked at between two crashes of its send."""
_MAYBE_SENT = or_(_C.sent_at.is_not(None), _C.ambiguous)
_FREE = (
    update(commands)
    .with_hint("INDEXED BY ix_commands_leases", dialect_name="sqlite")
    .where(
        text(SENDING),
        or_(
            _C.leased_until < utc_now(),
            _C.leased_until > seconds_from_now("too_far"),
            in_list(_C.owner, "gone"),
        ),
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
    """Free every command whose lease ran out or whose owner is `gone`, but for those `in_hand` of the caller.

    What may have been sent is in doubt, the rest is queued, or discarded if a person asked for that. A lease
    further away than two leases, and than an hour since others may have longer ones, has run out too: the
    database's clock went back.
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
    """Hold those of the commands that were rescued again and again, without a step in between."""
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
