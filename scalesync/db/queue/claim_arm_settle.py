"""Claim, arm, settle: the three moments at which a command changes hands, each under its fence.

A claim's number is the command's `fence`. Whoever else moves the command raises it, and from then on nothing
that the claim's owner writes about it counts, except that its effect was seen.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from scalesync.db.queue import pause
from scalesync.db.queue.claim_conditions import due, matches, pending
from scalesync.db.queue.command_rows import log_steps
from scalesync.db.queue.discard_cascade import cascade, discard_matching
from scalesync.db.queue.enqueue import command_of
from scalesync.db.queue.rescue import rescue
from scalesync.db.queue.selection import first_claimable, unblocked
from scalesync.db.schema.queue import CREATES, IN_DOUBT, KEYED, SENDING, UNHELD, WAITING, commands
from scalesync.db.server_clock import seconds_from_now, seconds_until, utc_now
from scalesync.db.statements import ONCE, in_list, indexed
from scalesync.models.commands import AttemptStep, Claim, Command, CommandState, Outcome, PausedBy, Settlement

_C = commands.c
_BY_RESOURCE = "ix_commands_resource_kind"
_FINAL = (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
_AMBIGUOUS = {
    CommandState.QUEUED: (False,),
    CommandState.IN_DOUBT: (True,),
    CommandState.DELIVERED: (False,),
    CommandState.DEAD: (False, True),
    CommandState.DISCARDED: (False,),
}
"""What a claim comes to."""

_OWNERS = indexed(sa.select(_C.owner).where(sa.text(SENDING)).distinct(), commands, "ix_commands_leases")

_PICK = sa.select(_C.id).order_by(_C.priority, _C.id).limit(sa.bindparam("limit"))
_IS_CHOSEN = in_list(_C.id, "chosen")
_PICK_DOUBT = _PICK.where(sa.text(IN_DOUBT))
_PICK_CHOSEN_DOUBT = _PICK_DOUBT.where(_IS_CHOSEN)
_PICK_CHOSEN = _PICK.where(
    pending(commands), matches(commands, UNHELD), due(commands), unblocked(commands), _IS_CHOSEN
)

_LISTED = (
    sa.select(_C.id, _C.state)
    .where(_IS_CHOSEN)
    .with_for_update(skip_locked=True)
    .cte("listed")
    .prefix_with(ONCE)
)
_CLAIM = (
    sa.update(commands)
    .where(_C.id.in_(sa.select(_LISTED.c.id).where(matches(_LISTED, WAITING))))
    .values(
        state=CommandState.SENDING,
        fence=_C.fence + 1,
        owner=sa.bindparam("claimer"),
        leased_until=seconds_from_now("lease"),
        sent_at=sa.case((_C.ambiguous, _C.sent_at)),
    )
    .returning(commands, sa.case((_C.sent_at.is_not(None), -seconds_until(_C.sent_at))).label("since_sent"))
)
_CREATED_AGO = indexed(
    sa.select(_C.resource, -seconds_until(sa.func.max(_C.finished_at)))
    .where(
        in_list(_C.resource, "names"),
        sa.text(CREATES),
        _C.state == sa.literal_column(f"'{CommandState.DELIVERED}'"),
    )
    .group_by(_C.resource),
    commands,
    _BY_RESOURCE,
)
"""How many seconds ago each of some resources was created by this queue, if it was."""

_IS_OURS = sa.and_(_C.id == sa.bindparam("which"), _C.fence == sa.bindparam("ours"), sa.text(SENDING))
_NEW_BASE = sa.bindparam("new_base", type_=_C.base.type)
_ARM = (
    sa.update(commands)
    .where(_IS_OURS, _C.discard_requested.is_(sa.false()), _C.leased_until >= seconds_from_now("need"))
    .values(
        sent_at=utc_now(),
        sends=_C.sends + 1,
        base=sa.case((_C.ambiguous, sa.func.coalesce(_C.base, _NEW_BASE)), else_=_NEW_BASE),
        target=sa.func.coalesce(_C.target, sa.bindparam("new_target", type_=_C.target.type)),
    )
)
_RESULT = ("state", "outcome", "ambiguous", "hold_reason", "error_code", "error", "result")
_SETTLED: dict[str, Any] = {
    **{name: sa.bindparam(f"to_{name}", type_=_C[name].type) for name in _RESULT},
    "failures": _C.failures + sa.bindparam("failed", type_=_C.failures.type),
    "not_before": None,
    "finished_at": None,
    "owner": None,
    "leased_until": None,
}
_SETTLE = sa.update(commands).where(_IS_OURS).returning(_C.discard_requested)
_SETTLE_FINAL = _SETTLE.values(_SETTLED | {"finished_at": utc_now()})
_SETTLE_LATER = _SETTLE.values(_SETTLED | {"not_before": seconds_from_now("wait")})
_SETTLE_AT_ONCE = _SETTLE.values(_SETTLED)

_OTHER = commands.alias("other")
_KEY_TAKEN = sa.exists().where(
    _OTHER.c.idempotency_key == _C.idempotency_key,
    _OTHER.c.id != _C.id,
    sa.literal_column(f"other.{KEYED}"),
)
_MERGE = (
    sa.update(commands)
    .where(_C.id == sa.bindparam("which"), _C.state.not_in((CommandState.DELIVERED, CommandState.DISCARDED)))
    .values(
        _SETTLED
        | {
            "finished_at": utc_now(),
            "fence": _C.fence + 1,
            "idempotency_key": sa.case((~_KEY_TAKEN, _C.idempotency_key)),
        }
    )
)
"""Records a late success; a key that another command took meanwhile stays with that one."""


def owners(conn: sa.Connection) -> list[str]:
    """Return everybody who holds a claim."""
    return [str(owner) for owner in conn.scalars(_OWNERS)]


def claim(  # noqa: PLR0913 - by name, and each of them decides
    conn: sa.Connection,
    *,
    owner: str,
    lease: float,
    limit: int,
    gone: Collection[str] = (),
    in_hand: Collection[int] = (),
    looking_only: bool = False,
    only: Collection[int] | None = None,
) -> list[Claim]:
    """Return up to `limit` commands that are `owner`'s for `lease` seconds, in the order they are to be sent.

    Before that, commands whose lease ran out or whose owner is `gone` are taken from them, but not what the
    caller has `in_hand`, however the database's clock was set. Nothing is claimed while the gate is closed,
    nor what is held, not due, or blocked by another command; `only` chooses by id. With `looking_only` it is
    what is in doubt, held and not due included, whatever a person paused.
    """
    shut = pause.lock(conn)
    rescue(conn, lease, gone, in_hand)
    if limit <= 0 or (shut.paused and not (looking_only and shut.paused_by is PausedBy.PERSON)):
        return []
    ids = _pick(conn, only, limit, looking_only=looking_only)
    return _claim_ids(conn, ids, owner, lease) if ids else []


def arm(
    conn: sa.Connection, claim: Claim, *, need: float, base: int | None = None, target: str | None = None
) -> bool:
    """Return whether the command may be sent now: committing this says "I am about to send".

    False where it is not ours any more, its discard was requested, or less than `min_lease_left` seconds of
    the lease are left by the database's clock. A command that may have been sent before keeps the `base` it
    has, and one that ever had a `target` keeps that.
    """
    given = {**_key(claim), "need": need, "new_base": base, "new_target": target}
    return conn.execute(_ARM, given).rowcount == 1


def settle(conn: sa.Connection, claim: Claim, settlement: Settlement, steps: Sequence[AttemptStep]) -> bool:
    """Write what a claim came to, and log its steps. Returns whether it counted.

    A verdict on a command that is not ours any more is dropped, unless it is DELIVERED: that is a fact about
    the API, taken from anybody while the command is neither delivered nor discarded. A command that proves
    without effect and whose discard was requested is discarded, with what hung on it. Raises ValueError for a
    verdict that cannot be.
    """
    if settlement.ambiguous not in _AMBIGUOUS.get(settlement.state, ()):
        msg = f"No claim comes to {settlement.state} with ambiguous={settlement.ambiguous}."
        raise ValueError(msg)
    final = settlement.state in _FINAL
    statement = _SETTLE_FINAL if final else _SETTLE_LATER if settlement.wait > 0 else _SETTLE_AT_ONCE
    given = {**_key(claim), **_changes(settlement)}
    row = conn.execute(statement, given).first()
    merged = (
        row is None
        and settlement.state is CommandState.DELIVERED
        and conn.execute(_MERGE, given).rowcount == 1
    )
    if row is None:
        steps = [*steps, AttemptStep("settle", "merged" if merged else "dropped")]
    log_steps(conn, claim.command.id, claim.command.fence, steps)
    if merged or row is not None:
        _after_settle(conn, claim.command, settlement, unwanted=row is not None and row.discard_requested)
    return merged or row is not None


# The claim -----------------------------------------------------------------------------------------------


def _pick(conn: sa.Connection, only: Collection[int] | None, limit: int, *, looking_only: bool) -> list[int]:
    if only is None and not looking_only:
        return first_claimable(conn, limit)
    if only is None:
        return list(conn.scalars(_PICK_DOUBT, {"limit": limit}))
    query = _PICK_CHOSEN_DOUBT if looking_only else _PICK_CHOSEN
    return list(conn.scalars(query, {"limit": limit, "chosen": list(only)}))


def _claim_ids(conn: sa.Connection, ids: list[int], owner: str, lease: float) -> list[Claim]:
    given = {"chosen": ids, "claimer": owner, "lease": lease}
    rows = conn.execute(_CLAIM, given).mappings().all()
    names = {row[name] for row in rows for name in ("resource", "depends_on")} - {None}
    created: dict[str, float] = dict(conn.execute(_CREATED_AGO, {"names": list(names)}).all())
    claims = [
        Claim(
            command_of(row),
            row["since_sent"],
            created.get(row["resource"], created.get(row["depends_on"])),
        )
        for row in rows
    ]
    return sorted(claims, key=lambda one: (one.command.priority, one.command.id))


# Under the fence -----------------------------------------------------------------------------------------


def _key(claim: Claim) -> dict[str, Any]:
    return {"which": claim.command.id, "ours": claim.command.fence}


def _changes(settlement: Settlement) -> dict[str, Any]:
    return {
        "to_state": settlement.state,
        "to_outcome": settlement.outcome,
        "to_ambiguous": settlement.ambiguous,
        "to_hold_reason": settlement.hold_reason,
        "to_error_code": settlement.error_code,
        "to_error": settlement.error,
        "to_result": settlement.result,
        "failed": int(settlement.failed),
        "wait": settlement.wait,
    }


def _after_settle(conn: sa.Connection, command: Command, settlement: Settlement, *, unwanted: bool) -> None:
    """Bring up to date what hangs on a command that was just settled."""
    if settlement.frees_key:
        same = sa.and_(_C.resource == command.resource, _C.state == CommandState.DELIVERED)
        keyed = sa.update(commands).with_hint(f"INDEXED BY {_BY_RESOURCE}", dialect_name="sqlite")
        conn.execute(keyed.where(same).values(idempotency_key=None))
    if unwanted and settlement.state in (CommandState.QUEUED, CommandState.DEAD):
        details = {command.id: "It was asked for, and it proved without effect."}
        cascade(conn, discard_matching(conn, _C.id == command.id, Outcome.WITHDRAWN, details))
