"""What people do with commands that are in the queue.

Each function takes the gate first, as a claim does: nobody is choosing among the commands meanwhile, so a
person's hand and a claim come one after the other. Every change is in the command's log.
"""

import json
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from scalesync import advice
from scalesync.db.queue import pause, seals
from scalesync.db.queue.claim_conditions import matches
from scalesync.db.queue.command_rows import log_steps
from scalesync.db.queue.discard_cascade import cascade, discard_matching, named, words
from scalesync.db.queue.enqueue import command_of
from scalesync.db.schema.queue import IN_FLIGHT, KEYED, OPEN, UNSETTLED, command_attempts, commands
from scalesync.db.server_clock import utc_now
from scalesync.errors import QueueError
from scalesync.models.commands import (
    AttemptStep,
    Command,
    CommandKind,
    CommandState,
    DiscardAnswer,
    DiscardResult,
    Outcome,
)

__all__ = ["discard", "discard_dead", "distrust", "retry", "retry_dead"]

_C = commands.c
_WAITING = (CommandState.QUEUED, CommandState.IN_DOUBT)
_AGAIN = "Queue it anew if it is still wanted."


def discard(conn: sa.Connection, command_id: int) -> DiscardResult:
    """Withdraw a command: at once where no request of it can have an effect, with what hung on it.

    Otherwise it is requested: honoured before it is sent, or when the API shows that it was not applied. A
    discarded finalize opens its batch again. Raises QueueError where there is no such command, and for one
    that is dead with an unknown effect while another has its resource.
    """
    command = _in_hand(conn, command_id)
    if command.state is CommandState.DISCARDED:
        return DiscardResult(command_id, DiscardAnswer.DISCARDED)
    if command.state is CommandState.DELIVERED:
        return DiscardResult(command_id, DiscardAnswer.TOO_LATE, instead=_instead(command))
    gone = discard_matching(conn, _C.id == command_id, Outcome.WITHDRAWN, {})
    if gone:
        return DiscardResult(command_id, DiscardAnswer.DISCARDED, also=cascade(conn, gone))
    _request_discard(conn, command)
    return DiscardResult(command_id, DiscardAnswer.REQUESTED)


def retry(conn: sa.Connection, command_id: int) -> None:
    """Have a dead command queued again, or looked up first if its effect is unknown; let a held one go on.

    Raises QueueError, with nothing changed, for any other one, and where something newer has overtaken it.
    """
    _retry(conn, _in_hand(conn, command_id))


def retry_dead(conn: sa.Connection) -> list[int]:
    """Retry every dead command that `retry` takes, and return them; of two with one key the newer one."""
    pause.lock(conn)
    dead = sa.select(commands).where(_C.state == CommandState.DEAD).order_by(_C.id.desc()).with_for_update()
    retried = []
    for row in conn.execute(dead).all():
        try:
            _retry(conn, command_of(row))
        except QueueError:
            continue
        retried.append(row.id)
    return retried[::-1]


def discard_dead(conn: sa.Connection) -> list[DiscardResult]:
    """Discard every dead command that `discard` takes, oldest first, and return the answer for each."""
    pause.lock(conn)
    dead = sa.select(_C.id).where(_C.state == CommandState.DEAD).order_by(_C.id).with_for_update()
    answers = []
    for command_id in conn.scalars(dead).all():
        with suppress(QueueError):
            answers.append(discard(conn, command_id))
    return answers


def distrust(conn: sa.Connection) -> int:
    """Have everything that is open looked up before it is sent, and return how many commands that is.

    For a database restored from a backup: what it calls unsent may have been sent since, at any time until
    now. Whoever holds such a command cannot settle it any more. Of each resource the first command goes in
    doubt; the others stay queued, ambiguous, and are looked up when their turn comes, and dead ones when a
    person retries them.

    A look that shows nothing settles it, unless a request without an answer is known here, or the API would
    apply a late one a second time, as it does with an update: then the settle time counts from now.
    """
    pause.lock(conn)
    sending = _C.state == CommandState.SENDING
    sent = sa.and_(sending, _C.sent_at.is_not(None))
    late = sa.or_(_C.ambiguous, sent, _C.kind == CommandKind.UPDATE_PROJECT)
    distrusted = (
        sa.update(commands)
        .where(sa.text(UNSETTLED))
        .values(
            state=sa.case((sending, CommandState.IN_DOUBT), else_=_C.state),
            ambiguous=True,
            fence=_C.fence + 1,
            sent_at=sa.case((late, utc_now())),
            not_before=None,
            owner=None,
            leased_until=None,
        )
    )
    conn.execute(distrusted)
    other = commands.alias("other")
    before = sa.and_(other.c.id < _C.id, matches(other, UNSETTLED))
    in_the_way = sa.and_(
        other.c.resource == _C.resource, other.c.id != _C.id, sa.or_(before, matches(other, IN_FLIGHT))
    )
    first = ~sa.select(other.c.id).where(in_the_way).correlate(commands).exists()
    queued = _C.state == CommandState.QUEUED
    conn.execute(sa.update(commands).where(queued, first).values(state=CommandState.IN_DOUBT))
    _log_distrust(conn)
    return conn.execute(sa.select(sa.func.count()).select_from(commands).where(sa.text(OPEN))).scalar_one()


def _log_distrust(conn: sa.Connection) -> None:
    step = sa.select(_C.id, _C.fence, utc_now(), sa.literal("distrust"), _C.state).order_by(_C.id)
    names = ["command_id", "fence", "at", "step", "outcome"]
    conn.execute(sa.insert(command_attempts).from_select(names, step.where(sa.text(UNSETTLED))))


def _retry(conn: sa.Connection, command: Command) -> None:
    if command.state in _WAITING and command.hold_reason is not None:
        _change(conn, command, AttemptStep("retry", "released"), hold_reason=None, not_before=None)
    elif command.state is CommandState.DEAD:
        _refuse_overtaken(conn, command)
        _revive(conn, command, AttemptStep("retry", "in_doubt" if command.ambiguous else "queued"))
    else:
        msg = f"{_named(command)} is {words(command.state)}: only what is dead or held can be retried."
        raise QueueError(msg)


def _in_hand(conn: sa.Connection, command_id: int) -> Command:
    """Return a command that nobody else can change before this transaction ends."""
    pause.lock(conn)
    row = conn.execute(sa.select(commands).where(_C.id == command_id).with_for_update()).one_or_none()
    if row is None:
        raise QueueError(f"There is no command {command_id}.")
    return command_of(row)


def _request_discard(conn: sa.Connection, command: Command) -> None:
    """Have the command dropped once it is known to have no effect; it is looked up for that if need be."""
    if command.discard_requested:
        return
    step = AttemptStep("discard", "requested")
    if command.state is CommandState.DEAD:
        _revive(conn, command, step, discard_requested=True)
        return
    # Whoever is sending it must be able to settle it, so the fence stays.
    requested = (
        sa.update(commands).where(_C.id == command.id).values(discard_requested=True, hold_reason=None)
    )
    conn.execute(requested)
    log_steps(conn, command.id, command.fence, [step])


def _revive(
    conn: sa.Connection, command: Command, step: AttemptStep, *, discard_requested: bool = False
) -> None:
    """Take a dead command back into the queue; it is looked up first if it may have an effect."""
    if command.ambiguous:
        flying = _first(conn, _C.resource == command.resource, sa.text(IN_FLIGHT))
        if flying is not None:
            raise QueueError(f"{_named(command)} must wait: {_about(flying)} at this moment.")
    revived = {
        "state": CommandState.IN_DOUBT if command.ambiguous else CommandState.QUEUED,
        "outcome": None,
        "failures": 0,
        "error_code": None,
        "error": None,
        "finished_at": None,
        "not_before": None,
        "hold_reason": None,
        "discard_requested": discard_requested,
    }
    try:
        with conn.begin_nested():
            _change(conn, command, step, **revived)
    except IntegrityError as error:
        msg = f"Another command came in the way of {_named(command)} at this moment."
        raise QueueError(msg, advice="Look at the queue again.") from error


def _change(conn: sa.Connection, command: Command, step: AttemptStep, **values: object) -> None:
    fence = command.fence + 1
    conn.execute(sa.update(commands).where(_C.id == command.id).values(fence=fence, **values))
    log_steps(conn, command.id, fence, [step])


def _refuse_overtaken(conn: sa.Connection, command: Command) -> None:
    """Raise QueueError where a newer command has the place or the effect of a dead one."""
    others = _C.id != command.id
    taken = None
    if command.idempotency_key is not None:
        taken = _first(conn, others, _C.idempotency_key == command.idempotency_key, sa.text(KEYED))
    if taken is not None:
        raise QueueError(f"{_named(command)} has been replaced: {_about(taken)}.")
    done = sa.or_(_C.state == CommandState.DELIVERED, sa.text(IN_FLIGHT))
    newer = _first(conn, _C.id > command.id, _C.resource == command.resource, done)
    if newer is not None:
        raise QueueError(f"{_named(command)} has been overtaken: {_about(newer)}.", advice=_AGAIN)
    seals_batch = command.kind == CommandKind.FINALIZE_BATCH and command.scope is not None
    if seals_batch and not seals.is_sealed_by(conn, str(command.scope), command.id):
        raise QueueError(f"{_named(command)} is out of date: its batch was opened again.", advice=_AGAIN)


def _first(conn: sa.Connection, *conditions: sa.ColumnElement[bool] | sa.TextClause) -> Command | None:
    row = conn.execute(sa.select(commands).where(*conditions).order_by(_C.id).limit(1)).one_or_none()
    return None if row is None else command_of(row)


def _about(command: Command) -> str:
    return f"{named(command.id, command.kind, command.resource)} is {words(command.state)}"


def _named(command: Command) -> str:
    text = named(command.id, command.kind, command.resource)
    return text[0].upper() + text[1:]


def _instead(command: Command) -> str | None:
    """Return the command line that undoes what a delivered command did, or None where nothing does."""
    if command.kind != CommandKind.CREATE_TASK:
        return None
    task_id = json.loads(command.result or "{}").get("task_id")
    return advice.cancel_task(task_id, command.resource.removeprefix("task:"))
