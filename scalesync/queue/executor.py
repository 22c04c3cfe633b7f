"""Work on one claimed command: look up, prepare, arm, send, look up again, settle.

Hazard: the order of the steps makes every effect happen once; `tests/queue/failure_matrix` breaks each one.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace

from scalesync import errors
from scalesync.errors import ScaleException
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Outcome, Settlement
from scalesync.queue import settlements
from scalesync.queue.classify_response import (
    QUEUE_WIDE,
    QueueWideSignal,
    ResponseClass,
    SendContext,
    classify,
    pause_reason,
    throttle_seconds,
)
from scalesync.queue.executor_deps import ArmTiming, ExecutorDeps, StepLog
from scalesync.queue.handlers import interface
from scalesync.queue.timing import backoff

Steps = Generator[str, None, "CommandExecutor"]
"""Yields the name of each step just before it is taken; returns the executor once it is settled."""


@dataclass
class CommandExecutor:
    """One claim, from its first look-up to its settlement. Used by one thread."""

    claim: Claim
    deps: ExecutorDeps
    claimed_at: float
    """`clock.boottime()` before the claim was made: the lease is counted from here, never from later."""
    reconcile_only: bool = False
    """Whether to look up only, and send nothing."""
    sends: int = 0
    """Requests that change something and left this machine."""
    looks: int = 0
    signal: QueueWideSignal | None = None
    """An answer, or the lack of one, that concerns all commands."""
    document: Document | None = None
    """The API's answer, for the mirror."""
    settlement: Settlement | None = None
    state: CommandState | None = None
    """The command's state after that; None: another process had claimed it, and nothing was written."""
    log: StepLog = field(default_factory=StepLog)

    def __post_init__(self) -> None:
        self.claim = replace(self.claim, since_sent=self.deps.since_sent(self.claim))
        self.command = self.claim.command
        ambiguous = self.command.ambiguous or self.claim.since_sent is not None
        self.claim_state = settlements.ClaimState(self.claim, self.deps.timing, ambiguous)

    def run(self) -> Steps:
        """Yield each step while taking it, and return this executor, settled.

        Raises DatabaseError if a step could not be written: then the lease has to run out.
        """
        handler = self.deps.handlers.get(self.command.kind)
        if handler is None:
            reason = f"This version of scalesync cannot send {self.command.kind}."
            return (yield from self._settle(settlements.hold(self.claim_state, reason), None))
        settlement = yield from self._look_up_and_send(handler)
        return (yield from self._settle(settlement, handler))

    def _look_up_and_send(self, handler: interface.CommandHandler) -> Generator[str, None, Settlement]:
        # 1. An earlier request may have been applied: look before anything is sent again.
        if self.claim_state.ambiguous:
            yield "look"
            if settlement := self._look_up_before_send(handler):
                return settlement
        if self.reconcile_only:
            return settlements.release(self.claim_state)
        # 2. Read what the send depends on (ids, versions); this may show that nothing has to be sent.
        yield "prepare"
        prepared = self._prepare(handler)
        if isinstance(prepared, Settlement):
            return prepared
        # 3. Commit "may have been sent" before the first byte leaves: if this process dies from here on, the
        #    next one finds the command in doubt and looks it up instead of sending it again.
        yield "arm"
        if settlement := self._arm(prepared):
            return settlement
        # 4. Send once, under a deadline that ends before the lease does.
        yield "send"
        answer = self._send(handler)
        if isinstance(answer, Settlement):
            return answer
        # 5. A refusal or a bare `OK` is not trusted: a look-up decides.
        yield "look"
        return self._look_up_after_send(handler, answer)

    # Look-ups --------------------------------------------------------------------------------------------

    def _look_up_before_send(self, handler: interface.CommandHandler) -> Settlement | None:
        """Return the settlement that the look-up decides, None if the command may be sent."""
        found = self._look_up(handler)
        if isinstance(found, ScaleException):
            return self._release_after_failed_look_up(found)
        if isinstance(found, interface.Unseen):
            return settlements.unseen_before_send(self.claim_state, found)
        if not isinstance(found, interface.Absent):
            return self._settle_by_look_up(handler, found)
        if self.claim_state.settle_left:
            # The earlier request may still arrive. Sending again is safe only if the API refuses a second
            # application by itself (names and unique_ids: 409); a second setParams would simply be applied.
            if handler.resend_before_settle and self.claim_state.may_resend_early:
                return None
            return settlements.retry_until_settled(self.claim_state, self.deps.random())
        # No effect after the settle time: the earlier request was not applied, and the doubt is over.
        self.claim_state = replace(self.claim_state, ambiguous=False)
        return settlements.after_doubt(self.claim_state)

    def _look_up_after_send(
        self, handler: interface.CommandHandler, answer: ScaleException | None
    ) -> Settlement:
        """Return the settlement after a look-up; `answer` is the refusal, None for a bare `OK`."""
        # Neither answer proves anything. A refusal may follow from an earlier request that was applied, or be
        # the answer to another request; and `OK` does not name the object that it is about.
        found = self._look_up(handler)
        if isinstance(found, ScaleException):
            # 400 and 422 to a look-up: no object can have such a name, so there is none.
            if answer is None or found.code not in (400, 422):
                self.claim_state = replace(self.claim_state, ambiguous=True)
                return self._release_after_failed_look_up(found)
            found = interface.Absent()
        if isinstance(found, interface.Unseen):
            if answer is None:
                return self._delivered(handler, Outcome.APPLIED, None)
            return settlements.unseen_after_refusal(self.claim_state, self.deps.random(), found, answer)
        if isinstance(found, interface.Present) and answer is None:
            return self._delivered(handler, Outcome.APPLIED, found.document)
        if isinstance(found, interface.Absent) or (
            isinstance(found, interface.Foreign) and not self.claim_state.ambiguous
        ):
            return settlements.reject_or_doubt(self.claim_state, self.deps.random(), answer)
        return self._settle_by_look_up(handler, found)

    def _look_up(self, handler: interface.CommandHandler) -> interface.LookUp | ScaleException:
        """Ask the API for the effect; return what it shows, or the error. Logs the step."""
        self.looks += handler.unseen is None
        found = handler.try_look_up(self.deps.api, self.command, self.claim.since_created)
        if isinstance(found, errors.ScaleResourceNotFound):
            self.log.add("look", ResponseClass.NOT_VISIBLE_YET, found)
        elif isinstance(found, ScaleException):
            self.log.add("look", interface.LookUpOutcome.FAILED, found)
        elif not isinstance(found, interface.Unseen):  # of which nothing was asked
            self.log.add("look", found.outcome)
        return found

    def _release_after_failed_look_up(self, error: ScaleException) -> Settlement:
        """Release the command after a look-up or a preparation that failed: nothing new is known."""
        meaning = classify(error, SendContext())
        if meaning in QUEUE_WIDE:
            return self._release_with_signal(meaning, error)
        return settlements.retry_lookup(self.claim_state, self.deps.random(), error)

    def _settle_by_look_up(self, handler: interface.CommandHandler, found: interface.Seen) -> Settlement:
        if isinstance(found, interface.Present):
            # Sent before and in doubt: the effect is most likely ours; else it was there already.
            ours = self.claim_state.ambiguous and self.command.sends > 0
            outcome = Outcome.APPLIED if ours else Outcome.ALREADY_APPLIED
            return self._delivered(handler, outcome, found.document)
        if isinstance(found, interface.Foreign):
            return settlements.hold_external(self.claim_state, found)
        return settlements.refuse_impossible(found)

    def _prepare(self, handler: interface.CommandHandler) -> interface.Prepared | Settlement:
        if self.claim.missing_files:
            return settlements.hold_without_file(self.claim_state)
        try:
            prepared = handler.prepare(self.deps.api, self.command)
        except ScaleException as error:
            meaning = classify(error, replace(self._send_context(handler), ambiguous=False))
            self.log.add("prepare", meaning, error)
            if meaning is not ResponseClass.REFUSED or error.about_another:
                return self._release_after_failed_look_up(error)
            return settlements.unprepared(self.claim_state, error, handler.unseen)
        if prepared.no_op is None:
            return prepared
        self.log.add("prepare", Outcome.NO_OP)
        return self._delivered(handler, Outcome.NO_OP, prepared.no_op)

    def _arm(self, prepared: interface.Prepared) -> Settlement | None:
        """Arm the command and return None if it may be sent now, else its settlement."""
        clock = self.deps.clock
        try:
            # Wait for the rate limiter before arming: between arming and send nothing may take time, since
            # the settle time counts from the arming.
            self.deps.api.wait_for_rate_limit(self.deps.timing.request)
        except errors.ScaleTooManyRequests as error:
            return self._release_with_signal(ResponseClass.THROTTLED, error)
        except errors.ScaleNotSent:
            return settlements.release(self.claim_state)
        # Taken before the commit: if its outcome is unknown, the settle time still counts from here.
        self.armed_at = clock.boottime()
        self.deps.arms[self.command.id] = ArmTiming(self.command.fence, self.armed_at)
        arm, base, target = self.deps.store.arm, prepared.base, prepared.target
        # Arming fails if the lease is nearly over or another process has claimed the command since.
        if clock.stopping.is_set() or not arm(self.claim, base=base, target=target):
            self.log.steps.append(AttemptStep("arm", "stopping" if clock.stopping.is_set() else "refused"))
            return settlements.release(self.claim_state)
        # A command in doubt keeps its first base: versions after it may be its own earlier effect.
        base = self.command.base if self.claim_state.ambiguous else base
        target = self.command.target or target
        self.command = replace(self.command, sends=self.command.sends + 1, base=base, target=target)
        return None

    def _send(self, handler: interface.CommandHandler) -> Settlement | ScaleException | None:
        """Send once. Returns a settlement, or what needs a look-up: a refusal, or None for a bare `OK`."""
        clock, timing = self.deps.clock, self.deps.timing
        # The request must begin while the lease still covers all of it, so that no other process sends
        # meanwhile; and soon after the arming, because the settle time counts from there.
        deadline = min(self.claimed_at + timing.lease - timing.min_lease_left, self.armed_at + timing.margin)
        try:
            document = handler.send(self.deps.api.with_deadline(deadline), interface.payload_of(self.command))
            if document is not None and not handler.confirms(self.command, document):
                # The answer belongs to another request: this connection is out of step, drop it.
                self.deps.api.reconnect()
                raise errors.ScaleNoAnswer("The API's answer does not name the object and show the effect.")
        except errors.ScaleNotSent as error:
            self.log.add("send", ResponseClass.NOT_SENT, error)
            if clock.stopping.is_set() or clock.boottime() > deadline:
                return settlements.release(self.claim_state)
            return self._release_with_signal(ResponseClass.NOT_SENT, error)
        except ScaleException as error:
            return self._after_send_error(handler, error)
        self.sends += 1
        meaning = ResponseClass.NEEDS_LOOKUP if document is None else ResponseClass.DELIVERED
        self.log.add("send", meaning, status=200)
        return None if document is None else self._delivered(handler, Outcome.APPLIED, document)

    def _after_send_error(
        self, handler: interface.CommandHandler, error: ScaleException
    ) -> Settlement | ScaleException:
        self.sends += 1
        meaning = classify(error, self._send_context(handler))
        self.log.add("send", meaning, error)
        if meaning in QUEUE_WIDE:
            return self._release_with_signal(meaning, error)
        match meaning:
            case ResponseClass.NEEDS_LOOKUP | ResponseClass.REFUSED:
                return error
            case ResponseClass.NOT_VISIBLE_YET:
                return settlements.retry_lookup(self.claim_state, self.deps.random(), error)
            case _:
                return settlements.put_in_doubt(self.claim_state, self.deps.random(), error)

    def _settle(self, settlement: Settlement, handler: interface.CommandHandler | None) -> Steps:
        """Write the settlement; if the database fails, try again until the lease ends."""
        clock, tries = self.deps.clock, 0
        lease_ends = self.claimed_at + self.deps.timing.lease
        while True:
            yield "settle"
            try:
                self.state = self._write(settlement, handler)
                break
            except errors.DatabaseError:
                wait = backoff(tries, 1.0)
                # After the lease another process may have claimed the command: the fence drops ours then.
                if clock.stopping.is_set() or clock.boottime() + wait > lease_ends:
                    raise
            clock.sleep(wait)
            tries += 1
        self.settlement = settlement
        if self.state is not CommandState.IN_DOUBT:
            self.deps.arms.pop(self.claim.command.id, None)
        return self

    def _write(self, settlement: Settlement, handler: interface.CommandHandler | None) -> CommandState | None:
        store, signal = self.deps.store, self.signal
        if signal is not None and signal.meaning is not ResponseClass.NOT_SENT:
            store.pause(signal.seconds, pause_reason(signal.error))
        answer = (handler.stream, self.document) if handler and handler.stream and self.document else None
        return store.settle(self.claim, settlement, self.log.steps, answer=answer)

    def _delivered(
        self, handler: interface.CommandHandler, outcome: Outcome, document: Document | None
    ) -> Settlement:
        self.document = document
        result = None if document is None else handler.result(document)
        frees_key = handler.frees_key(interface.payload_of(self.command))
        return Settlement(CommandState.DELIVERED, outcome, result=result, frees_key=frees_key)

    def _release_with_signal(self, meaning: ResponseClass, error: ScaleException) -> Settlement:
        """Release the command, and set the signal that concerns all commands."""
        if isinstance(error, errors.ScaleTurnTooLate):
            return settlements.release(self.claim_state)
        throttled = meaning is ResponseClass.THROTTLED
        seconds = throttle_seconds(error.retry_after, self.deps.random()) if throttled else None
        self.signal = QueueWideSignal(meaning, error, seconds)
        return settlements.release(self.claim_state, error=error)

    def _send_context(self, handler: interface.CommandHandler) -> SendContext:
        return SendContext(self.claim_state.ambiguous, handler.rejects_402, self.claim.since_created)
