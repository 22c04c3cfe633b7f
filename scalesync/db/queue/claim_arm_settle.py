"""Claim, arm and settle commands: the SQL of a command's way from the queue to the API and back.

Each claim raises the command's `fence`; so does everything else that moves the command. A dispatcher whose
fence is no longer the command's cannot arm or settle it any more; it can only report a late success.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from scalesync.db.queue import pause
from scalesync.db.queue.claim_conditions import due, matches, pending
from scalesync.db.queue.command_rows import command_of, file_addresses, log
from scalesync.db.queue.discard_cascade import cascade, discard_matching
from scalesync.db.queue.rescue import rescue
from scalesync.db.queue.selection import first_claimable, unblocked
from scalesync.db.schema.queue import CREATES, IN_DOUBT, KEYED, SENDING, UNHELD, WAITING, commands
from scalesync.db.server_clock import seconds_from_now, seconds_until, utc_now
from scalesync.db.statements import ONCE, in_list, indexed
from scalesync.models.attachments import with_addresses
from scalesync.models.commands import AttemptStep, Claim, Command, CommandState, Outcome, Settlement
from scalesync.models.queue_state import PausedBy

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
"""The states that a settlement may set, each with the values of `ambiguous` that it allows."""

_OWNERS = indexed(sa.select(_C.owner).where(sa.text(SENDING)).distinct(), commands, "ix_commands_leases")

_PICK = sa.select(_C.id).order_by(_C.priority, _C.id).limit(sa.bindparam("limit"))
_IN_CHOSEN = in_list(_C.id, "chosen")
_PICK_IN_DOUBT = _PICK.where(sa.text(IN_DOUBT))
_PICK_CHOSEN_IN_DOUBT = _PICK_IN_DOUBT.where(_IN_CHOSEN)
_PICK_CHOSEN = _PICK.where(
    pending(commands), matches(commands, UNHELD), due(commands), unblocked(commands), _IN_CHOSEN
)

# Lock first, then test the state of the locked version: between pick and lock another transaction may have
# settled or discarded the command. SKIP LOCKED, since whoever holds a row is about to change it.
_LOCKED = (
    sa.select(_C.id, _C.state)
    .where(_IN_CHOSEN)
    .with_for_update(skip_locked=True)
    .cte("listed")
    .prefix_with(ONCE)
)
_CLAIM = (
    sa.update(commands)
    .where(_C.id.in_(sa.select(_LOCKED.c.id).where(matches(_LOCKED, WAITING))))
    .values(
        state=CommandState.SENDING,
        fence=_C.fence + 1,
        owner=sa.bindparam("claimer"),
        leased_until=seconds_from_now("lease"),
        # A sent_at left by an attempt that had no effect would look to `rescue` like a request of this claim.
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
"""Seconds since this queue created each of the resources `names`; resources not created here are left out."""

# The fence in the condition makes losing a claim visible as zero updated rows, without a lock beforehand.
_HAS_CLAIM = sa.and_(
    _C.id == sa.bindparam("which"), _C.fence == sa.bindparam("claim_fence"), sa.text(SENDING)
)
_NEW_BASE = sa.bindparam("new_base", type_=_C.base.type)
# One UPDATE tests for a discard request, tests the lease and records the sending: a discard commits either
# before it (nothing is sent) or after it (it is honoured at settlement). The lease must outlast the request,
# or another dispatcher could rescue the command and send it while our request is on its way.
_ARM = (
    sa.update(commands)
    .where(_HAS_CLAIM, _C.discard_requested.is_(sa.false()), _C.leased_until >= seconds_from_now("need"))
    .values(
        sent_at=utc_now(),
        sends=_C.sends + 1,
        # If an earlier request may have been applied, the look-up must compare with the state before that
        # one, and a cancel must go to the task that it may already have hit: the first base and target stay.
        base=sa.case((_C.ambiguous, sa.func.coalesce(_C.base, _NEW_BASE)), else_=_NEW_BASE),
        target=sa.func.coalesce(_C.target, sa.bindparam("new_target", type_=_C.target.type)),
    )
)
_RESULT = ("state", "outcome", "ambiguous", "hold_reason", "error_code", "error", "result")
_SETTLED: dict[str, Any] = {
    **{name: sa.bindparam(f"to_{name}", type_=_C[name].type) for name in _RESULT},
    **dict.fromkeys(("not_before", "finished_at", "owner", "leased_until")),
    "failures": _C.failures + sa.bindparam("failed", type_=_C.failures.type),
}
_SETTLE = sa.update(commands).where(_HAS_CLAIM).returning(_C.discard_requested)
_SETTLE_FINAL = _SETTLE.values(_SETTLED | {"finished_at": utc_now()})
_SETTLE_LATER = _SETTLE.values(_SETTLED | {"not_before": seconds_from_now("wait")})
_SETTLE_AT_ONCE = _SETTLE.values(_SETTLED)

_OTHER = commands.alias("other")
_KEY_TAKEN = sa.exists().where(
    _OTHER.c.idempotency_key == _C.idempotency_key,
    _OTHER.c.id != _C.id,
    sa.literal_column(f"other.{KEYED}"),
)
# A late success is a fact about the API, so it is recorded without the fence. If another command took the
# idempotency key while this one was dead, keeping it would violate the unique index: the newer one has it.
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


def owners(conn: sa.Connection) -> list[str]:
    """Return the distinct owners of active claims."""
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
    """Claim up to `limit` commands for `owner` for `lease` seconds; return them in sending order.

    First frees the commands of expired leases and of `gone` owners, except those with ids `in_hand`, which
    the caller is working on. Claims nothing while sending is paused, and never a command that is held, not
    due or blocked; `only` restricts the choice to these ids. With `looking_only`, claims only commands in
    doubt, held and not due ones included, even while a person's pause is in force.
    """
    # The pause row is the claim lock: it is locked before any command, by all who put commands in flight.
    # Locking it second could deadlock with them, and two claims could choose commands that block each other.
    state = pause.lock(conn)
    # Rescue also while paused: what a dead dispatcher may have sent has to become visible as in doubt.
    rescue(conn, lease, gone, in_hand)
    # Looking up sends nothing that changes data, so a person's pause allows it; a pause by the API means that
    # requests of any kind are refused.
    if limit <= 0 or (state.paused and not (looking_only and state.paused_by is PausedBy.PERSON)):
        return []
    ids = _pick(conn, only, limit, looking_only=looking_only)
    return _claim_ids(conn, ids, owner, lease) if ids else []


def arm(
    conn: sa.Connection, claim: Claim, *, need: float, base: int | None = None, target: str | None = None
) -> bool:
    """Record that the command is about to be sent; return whether it may be. Commit before sending.

    Returns False, with nothing changed, if the claim was lost, a discard was requested, or less than `need`
    seconds of the lease are left by the database's clock. A command that may have been sent before keeps its
    `base`; a command that already has a `target` keeps it.
    """
    given = {**_key(claim), "need": need, "new_base": base, "new_target": target}
    return conn.execute(_ARM, given).rowcount == 1


def settle(conn: sa.Connection, claim: Claim, settlement: Settlement, steps: Sequence[AttemptStep]) -> bool:
    """Write the result of a claim and log its steps; return whether the command was changed.

    If the claim was lost, the settlement is dropped, unless it is DELIVERED: that is recorded while the
    command is neither delivered nor discarded. If a discard was requested and the command had no effect, it
    is discarded with the commands that depended on it. Raises ValueError for an impossible settlement.
    """
    if settlement.ambiguous not in _AMBIGUOUS.get(settlement.state, ()):
        msg = f"No claim comes to {settlement.state} with ambiguous={settlement.ambiguous}."
        raise ValueError(msg)
    final = settlement.state in _FINAL
    statement = _SETTLE_FINAL if final else _SETTLE_LATER if settlement.wait > 0 else _SETTLE_AT_ONCE
    given = {**_key(claim), "failed": int(settlement.failed), "wait": settlement.wait}
    given |= {f"to_{name}": getattr(settlement, name) for name in _RESULT}
    row = conn.execute(statement, given).first()
    # No row: the claim was lost. Steps are logged all the same, under the old fence, as what really was sent.
    merged = (
        row is None
        and settlement.state is CommandState.DELIVERED
        and conn.execute(_MERGE, given).rowcount == 1
    )
    if row is None:
        steps = [*steps, AttemptStep("settle", "merged" if merged else "dropped")]
    log(conn, [(claim.command.id, claim.command.fence, step) for step in steps])
    if merged or row is not None:
        _after_settle(conn, claim.command, settlement, unwanted=row is not None and row.discard_requested)
    return merged or row is not None


# The claim -----------------------------------------------------------------------------------------------


def _pick(conn: sa.Connection, only: Collection[int] | None, limit: int, *, looking_only: bool) -> list[int]:
    # The query for chosen ids tests each of them; only `first_claimable` stays fast on long queues.
    if only is None and not looking_only:
        return first_claimable(conn, limit)
    if only is None:
        return list(conn.scalars(_PICK_IN_DOUBT, {"limit": limit}))
    query = _PICK_CHOSEN_IN_DOUBT if looking_only else _PICK_CHOSEN
    return list(conn.scalars(query, {"limit": limit, "chosen": list(only)}))


def _claim_ids(conn: sa.Connection, ids: list[int], owner: str, lease: float) -> list[Claim]:
    given = {"chosen": ids, "claimer": owner, "lease": lease}
    rows = conn.execute(_CLAIM, given).mappings().all()
    # RETURNING has no order, on either database: the claims are sorted again below.
    names = {row[name] for row in rows for name in ("resource", "depends_on")} - {None}
    created: dict[str, float] = dict(conn.execute(_CREATED_AGO, {"names": list(names)}).all())
    found = [(command_of(row), row["since_sent"]) for row in rows]
    needed = {resource for command, _ in found for resource in command.needed_files}
    addresses = file_addresses(conn, needed) if needed else {}
    claims = [
        Claim(
            replace(command, payload=with_addresses(command.payload, addresses))
            if command.needs
            else command,
            since_sent,
            created.get(command.resource, created.get(command.depends_on or "")),
            tuple(resource for resource in command.needed_files if not addresses.get(resource)),
        )
        for command, since_sent in found
    ]
    return sorted(claims, key=lambda one: (one.command.priority, one.command.id))


# Under the fence -----------------------------------------------------------------------------------------


def _key(claim: Claim) -> dict[str, Any]:
    return {"which": claim.command.id, "claim_fence": claim.command.fence}


def _after_settle(conn: sa.Connection, command: Command, settlement: Settlement, *, unwanted: bool) -> None:
    """Free the idempotency key and carry out a requested discard, where a settlement calls for that."""
    if settlement.frees_key:
        # The name is free at the API: a new create with it must not be taken for a repetition.
        same = sa.and_(_C.resource == command.resource, _C.state == CommandState.DELIVERED)
        keyed = sa.update(commands).with_hint(f"INDEXED BY {_BY_RESOURCE}", dialect_name="sqlite")
        conn.execute(keyed.where(same).values(idempotency_key=None))
    # Only now is it certain that no request had an effect; in doubt, the discard has to wait longer.
    if unwanted and settlement.state in (CommandState.QUEUED, CommandState.DEAD):
        details = {command.id: "It was asked for, and it proved without effect."}
        cascade(conn, discard_matching(conn, _C.id == command.id, Outcome.WITHDRAWN, details))
