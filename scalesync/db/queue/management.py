"""What people do with queued commands: discard, retry, and distrust after a restored backup.

Each function locks the pause row first, as a claim does, so that no claim chooses among the commands at the
same time. Every change is logged with the command.
"""

import json
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from scalesync import advice
from scalesync.db.caller_transaction import savepoint
from scalesync.db.queue import pause, seals
from scalesync.db.queue.claim_conditions import matches
from scalesync.db.queue.command_rows import command_of, log, named, words
from scalesync.db.queue.discard_cascade import cascade, discard_matching
from scalesync.db.schema.queue import IN_FLIGHT, KEYED, OPEN, UNSETTLED, command_attempts, commands
from scalesync.db.server_clock import utc_now
from scalesync.errors import QueueError
from scalesync.models.commands import APPLIED_ONCE, AttemptStep, Command, CommandKind, CommandState, Outcome
from scalesync.models.queue_state import DiscardAnswer, DiscardResult

_C = commands.c
_WAITING = (CommandState.QUEUED, CommandState.IN_DOUBT)
_AGAIN = "Queue it anew if it is still wanted."


def discard(conn: sa.Connection, command_id: int) -> DiscardResult:
    """Discard a command and its dependents, at once if no request of it can have an effect.

    Otherwise the discard is requested: it is carried out before the next sending, or when the API shows that
    the command was not applied. One that is held because nobody can see whether it was applied is discarded
    at once: the person has read that. A discarded finalize opens its batch again. Raises QueueError if there
    is no such command, or if it is dead with an unknown effect while another one occupies its resource.
    """
    command = _locked(conn, command_id)
    if command.state is CommandState.DISCARDED:
        return DiscardResult(command_id, DiscardAnswer.DISCARDED)
    if command.state is CommandState.DELIVERED:
        return DiscardResult(command_id, DiscardAnswer.TOO_LATE, instead=_instead(command))
    if command.left_to_a_person:
        _end_doubt(conn, command, AttemptStep("discard", "doubt ended", detail=command.error))
    # Nothing matches if the command is being sent, in doubt, or dead with an unknown effect.
    gone = discard_matching(conn, _C.id == command_id, Outcome.WITHDRAWN, {})
    if gone:
        return DiscardResult(command_id, DiscardAnswer.DISCARDED, also=cascade(conn, gone))
    _request_discard(conn, command)
    return DiscardResult(command_id, DiscardAnswer.REQUESTED)


def retry(conn: sa.Connection, command_id: int) -> None:
    """Queue a dead command again (look it up first if its effect is unknown), or release a held one.

    One that is held because nobody can see whether it was applied is sent again. Raises QueueError, with
    nothing changed, for any other command, and if a newer command replaced it.
    """
    _retry(conn, _locked(conn, command_id))


def retry_dead(conn: sa.Connection) -> list[int]:
    """Retry every dead command that `retry` accepts and return their ids; of two with one key the newer."""
    pause.lock(conn)
    # Newest first: the newest takes the key, and `_refuse_overtaken` then refuses the older ones.
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
    """Discard every dead command that `discard` accepts, oldest first; return a result for each."""
    pause.lock(conn)
    dead = sa.select(_C.id).where(_C.state == CommandState.DEAD).order_by(_C.id).with_for_update()
    answers = []
    for command_id in conn.scalars(dead).all():
        with suppress(QueueError):
            answers.append(discard(conn, command_id))
    return answers


def distrust(conn: sa.Connection) -> int:
    """Make every open command be looked up at the API before it is sent; return their number.

    For a database restored from a backup: commands that it has as unsent may have been sent since. Active
    claims are lost. Dead commands are looked up when a person retries them.
    """
    pause.lock(conn)
    # `sent_at` starts the settle time: only after it does "not found" mean "not applied". It is set where a
    # request may still be on its way, and for changes that the API applies a second time if they come late.
    sending = _C.state == CommandState.SENDING
    sent = sa.and_(sending, _C.sent_at.is_not(None))
    late = sa.or_(_C.ambiguous, sent, _C.kind.not_in(APPLIED_ONCE))
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
    # A unique index allows one command in flight per resource: only the first goes in doubt. The others stay
    # queued and ambiguous, and are looked up when their turn comes.
    other = commands.alias("other")
    before = sa.and_(other.c.id < _C.id, matches(other, UNSETTLED))
    in_the_way = sa.and_(
        other.c.resource == _C.resource, other.c.id != _C.id, sa.or_(before, matches(other, IN_FLIGHT))
    )
    first = ~sa.select(other.c.id).where(in_the_way).correlate(commands).exists()
    queued = _C.state == CommandState.QUEUED
    conn.execute(sa.update(commands).where(queued, first).values(state=CommandState.IN_DOUBT))
    step = sa.select(_C.id, _C.fence, utc_now(), sa.literal("distrust"), _C.state).order_by(_C.id)
    names = ["command_id", "fence", "at", "step", "outcome"]
    conn.execute(sa.insert(command_attempts).from_select(names, step.where(sa.text(UNSETTLED))))
    return conn.execute(sa.select(sa.func.count()).select_from(commands).where(sa.text(OPEN))).scalar_one()


def _retry(conn: sa.Connection, command: Command) -> None:
    if command.left_to_a_person:
        _end_doubt(conn, command, AttemptStep("retry", "queued"), error=None, error_code=None)
    elif command.state in _WAITING and command.hold_reason is not None:
        _change(conn, command, AttemptStep("retry", "released"), hold_reason=None, not_before=None)
    elif command.state is CommandState.DEAD:
        _refuse_overtaken(conn, command)
        _revive(conn, command, AttemptStep("retry", "in_doubt" if command.ambiguous else "queued"))
    else:
        msg = f"{_named(command)} is {words(command.state)}: only what is dead or held can be retried."
        raise QueueError(msg)


def _end_doubt(conn: sa.Connection, command: Command, step: AttemptStep, **values: object) -> None:
    """Take a command that nobody can look up out of doubt, by a person's word."""
    ended = {"state": CommandState.QUEUED, "ambiguous": False, "sent_at": None, "not_before": None}
    _change(conn, command, step, **ended, hold_reason=None, discard_requested=False, failures=0, **values)


def _locked(conn: sa.Connection, command_id: int) -> Command:
    """Lock a command for this transaction and return it; raise QueueError if there is no such id."""
    # The pause row before the command: the same order as in a claim, so that the two cannot deadlock.
    pause.lock(conn)
    row = conn.execute(sa.select(commands).where(_C.id == command_id).with_for_update()).one_or_none()
    if row is None:
        raise QueueError(f"There is no command {command_id}.")
    return command_of(row)


def _request_discard(conn: sa.Connection, command: Command) -> None:
    """Request the discard of a command that may have had an effect; a dead one is revived to be looked up."""
    if command.discard_requested:
        return
    step = AttemptStep("discard", "requested")
    if command.state is CommandState.DEAD:
        _revive(conn, command, step, discard_requested=True)
        return
    # The fence stays as it is: the dispatcher that is sending the command must be able to settle it.
    requested = (
        sa.update(commands).where(_C.id == command.id).values(discard_requested=True, hold_reason=None)
    )
    conn.execute(requested)
    log(conn, [(command.id, command.fence, step)])


def _revive(
    conn: sa.Connection, command: Command, step: AttemptStep, *, discard_requested: bool = False
) -> None:
    """Put a dead command back into the queue, in doubt if it may have had an effect."""
    # In doubt it is in flight at once, and a unique index allows one command in flight per resource.
    if command.ambiguous:
        flying = _first(conn, _C.resource == command.resource, sa.text(IN_FLIGHT))
        if flying is not None:
            raise QueueError(f"{_named(command)} must wait: {_about(flying)} at this moment.")
    emptied = ("outcome", "error_code", "error", "finished_at", "not_before", "hold_reason")
    revived = {
        **dict.fromkeys(emptied),
        "state": CommandState.IN_DOUBT if command.ambiguous else CommandState.QUEUED,
        "failures": 0,
        "discard_requested": discard_requested,
    }
    try:
        # An enqueue does not lock the pause row and may take the key at this moment: a savepoint keeps the
        # caller's transaction usable after the unique index refuses.
        with savepoint(conn):
            _change(conn, command, step, **revived)
    except IntegrityError as error:
        msg = f"Another command came in the way of {_named(command)} at this moment."
        raise QueueError(msg, advice="Look at the queue again.") from error


def _change(conn: sa.Connection, command: Command, step: AttemptStep, **values: object) -> None:
    fence = command.fence + 1
    conn.execute(sa.update(commands).where(_C.id == command.id).values(fence=fence, **values))
    log(conn, [(command.id, fence, step)])


def _refuse_overtaken(conn: sa.Connection, command: Command) -> None:
    """Raise QueueError if a newer command has the key of a dead one, or was sent for its resource."""
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
    if seals_batch and seals.lock(conn, [str(command.scope)]).get(str(command.scope)) != command.id:
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
    """Return the command line that undoes a delivered command, or None if there is none."""
    if command.kind != CommandKind.CREATE_TASK:
        return None
    task_id = json.loads(command.result or "{}").get("task_id")
    return advice.cancel_task(task_id, command.resource.removeprefix("task:"))
