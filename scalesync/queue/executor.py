"""What is done with one claimed command, step by step."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace

from scalesync.errors import (
    DatabaseError,
    ScaleException,
    ScaleNoAnswer,
    ScaleNotSent,
    ScaleResourceNotFound,
    ScaleTooManyRequests,
    ScaleTurnTooLate,
)
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Outcome, Settlement
from scalesync.queue import settlements
from scalesync.queue.classify_response import (
    QueueWideSignal,
    ResponseClass,
    SendContext,
    classify,
    pause_reason,
    throttle_seconds,
)
from scalesync.queue.executor_deps import ArmTiming, ExecutorDeps, StepLog
from scalesync.queue.handlers.interface import (
    Absent,
    CommandHandler,
    Foreign,
    LookUp,
    LookUpOutcome,
    Prepared,
    Present,
    Seen,
    payload_of,
)
from scalesync.queue.timing import backoff

Steps = Generator[str, None, "CommandExecutor"]
"""Yields the name of each step just before it is taken, and returns the executor once it is settled."""

_MALFORMED = (400, 422)
"""What a look is answered that cannot even be asked for: there is nothing of such a name."""
_FOR_ALL = frozenset({ResponseClass.NOT_SENT, ResponseClass.THROTTLED, ResponseClass.ACCESS_DENIED})
"""What concerns more than the command that was asked about."""


@dataclass
class CommandExecutor:
    """One claim, from the look that may be due to the verdict. Used by one thread."""

    claim: Claim
    deps: ExecutorDeps
    claimed_at: float
    """`clock.boottime()` before the claim was asked for."""
    reconcile_only: bool = False
    """Whether nothing is armed and sent, whatever the look shows."""
    sends: int = 0
    """How many requests that change something left this machine."""
    looks: int = 0
    signal: QueueWideSignal | None = None
    """What an answer, or the lack of one, means for all commands."""
    document: Document | None = None
    """The API's answer, for the mirror."""
    settlement: Settlement | None = None
    """What the claim came to; None before it is settled."""
    state: CommandState | None = None
    """Where the command is after that; None: it belonged to somebody else by then."""
    log: StepLog = field(default_factory=StepLog)

    def __post_init__(self) -> None:
        self.claim = replace(self.claim, since_sent=self.deps.since_sent(self.claim))
        self.command = self.claim.command
        self.claim_state = settlements.claim_state(self.claim, self.deps.timing)

    def run(self) -> Steps:
        """Take every step and return what came of it.

        Raises DatabaseError where a step could not be written: then the end of the lease decides.
        """
        handler = self.deps.handlers.get(self.command.kind)
        if handler is None:
            words = f"This version of scalesync cannot send {self.command.kind}."
            return (yield from self._settle(settlements.hold(self.claim_state, words), None))
        settlement = yield from self._look_and_send(handler)
        return (yield from self._settle(settlement, handler))

    def _look_and_send(self, handler: CommandHandler) -> Generator[str, None, Settlement]:
        if self.claim_state.ambiguous:
            yield "look"
            ending = self._look_first(handler)
            if ending is not None:
                return ending
        if self.reconcile_only:
            return settlements.release(self.claim_state)
        yield "prepare"
        prepared = self._prepare(handler)
        if isinstance(prepared, Settlement):
            return prepared
        yield "arm"
        ending = self._arm(prepared)
        if ending is not None:
            return ending
        yield "send"
        answer = self._send(handler)
        if isinstance(answer, Settlement):
            return answer
        yield "look"
        return self._look_afterwards(handler, answer)

    # Looks -----------------------------------------------------------------------------------------------

    def _look_first(self, handler: CommandHandler) -> Settlement | None:
        """Return what the look decides, None if the command may be sent."""
        seen = self._look(handler)
        if isinstance(seen, ScaleException):
            return self._after_failed_look(seen)
        if not isinstance(seen, Absent):
            return self._after_look(handler, seen)
        if self.claim_state.unsettled:
            if handler.resend_before_settle and self.claim_state.may_be_repeated:
                return None
            return settlements.await_effect(self.claim_state, self.deps.random())
        self.claim_state = replace(self.claim_state, ambiguous=False)
        if self.command.discard_requested:
            return settlements.release(self.claim_state)
        return settlements.exhausted(self.command) if self.claim_state.exhausted else None

    def _look_afterwards(self, handler: CommandHandler, answer: ScaleException | None) -> Settlement:
        """Return what a look after the send decides; the answer was a refusal, or None for a bare `OK`.

        Neither proves anything: a refusal may be the echo of a request that was applied, or somebody else's,
        and `OK` names nobody.
        """
        seen = self._look(handler)
        if isinstance(seen, ScaleException):
            if answer is None or seen.code not in _MALFORMED:
                self.claim_state = replace(self.claim_state, ambiguous=True)
                return self._after_failed_look(seen)
            seen = Absent()
        if isinstance(seen, Present) and answer is None:
            return self._delivered(handler, Outcome.APPLIED, seen.document)
        if isinstance(seen, Absent) or (isinstance(seen, Foreign) and not self.claim_state.ambiguous):
            return settlements.without_effect(self.claim_state, self.deps.random(), answer)
        return self._after_look(handler, seen)

    def _look(self, handler: CommandHandler) -> LookUp | ScaleException:
        """Return what the API shows of the effect, or why nothing could be seen."""
        self.looks += 1
        seen = handler.try_look_up(self.deps.api, self.command, self.claim.since_created)
        if isinstance(seen, ScaleResourceNotFound):
            self.log.add("look", ResponseClass.NOT_VISIBLE_YET, seen)
        elif isinstance(seen, ScaleException):
            self.log.add("look", LookUpOutcome.FAILED, seen)
        else:
            self.log.add("look", seen.outcome)
        return seen

    def _after_failed_look(self, error: ScaleException) -> Settlement:
        """Return the ending after a look, or a preparation, that failed: nobody knows more than before."""
        meaning = classify(error, SendContext())
        if meaning in _FOR_ALL:
            return self._signalled(meaning, error)
        return settlements.retry_lookup(self.claim_state, self.deps.random(), error)

    def _after_look(self, handler: CommandHandler, seen: Seen) -> Settlement:
        if isinstance(seen, Present):
            ours = self.claim_state.ambiguous and self.command.sends > 0
            outcome = Outcome.APPLIED if ours else Outcome.ALREADY_APPLIED
            return self._delivered(handler, outcome, seen.document)
        if isinstance(seen, Foreign):
            return settlements.hold_external(self.claim_state, seen)
        return settlements.impossible(seen)

    # The send --------------------------------------------------------------------------------------------

    def _prepare(self, handler: CommandHandler) -> Prepared | Settlement:
        try:
            prepared = handler.prepare(self.deps.api, self.command)
        except ScaleException as error:
            meaning = classify(error, replace(self._send_context(handler), ambiguous=False))
            self.log.add("prepare", meaning, error)
            if meaning is not ResponseClass.REFUSED or error.about_another:
                return self._after_failed_look(error)
            wait = self.claim_state.unsettled
            return settlements.release(self.claim_state, wait=wait) if wait else settlements.rejected(error)
        if prepared.no_op is None:
            return prepared
        self.log.add("prepare", Outcome.NO_OP)
        return self._delivered(handler, Outcome.NO_OP, prepared.no_op)

    def _arm(self, prepared: Prepared) -> Settlement | None:
        """Return None if the command may be sent now. A process that is to stop sends nothing more."""
        clock = self.deps.clock
        try:
            # Nothing may stand between the arming and the send, least of all the wait for one's turn.
            self.deps.api.wait_for_rate_limit(self.deps.timing.request)
        except ScaleTooManyRequests as error:
            return self._signalled(ResponseClass.THROTTLED, error)
        except ScaleNotSent:
            return settlements.release(self.claim_state)
        self.armed_at = clock.boottime()
        self.deps.arms[self.command.id] = ArmTiming(self.command.fence, self.armed_at)
        arm, base, target = self.deps.store.arm, prepared.base, prepared.target
        if clock.stopping.is_set() or not arm(self.claim, base=base, target=target):
            self.log.steps.append(AttemptStep("arm", "stopping" if clock.stopping.is_set() else "refused"))
            return settlements.release(self.claim_state)
        base = self.command.base if self.claim_state.ambiguous else base
        target = self.command.target or target
        self.command = replace(self.command, sends=self.command.sends + 1, base=base, target=target)
        return None

    def _send(self, handler: CommandHandler) -> Settlement | ScaleException | None:
        """Send once. Returns an ending, or what calls for a look: a refusal, or None for a bare `OK`."""
        clock, timing = self.deps.clock, self.deps.timing
        # The settle time counts from the arming, so the request must not begin much later than that.
        deadline = min(self.claimed_at + timing.lease - timing.min_lease_left, self.armed_at + timing.margin)
        try:
            document = handler.send(self.deps.api.with_deadline(deadline), payload_of(self.command))
            if document is not None and not handler.proves(self.command, document):
                self.deps.api.reconnect()
                raise ScaleNoAnswer("The API's answer does not name the object and show the effect.")
        except ScaleNotSent as error:
            self.log.add("send", ResponseClass.NOT_SENT, error)
            own = clock.stopping.is_set() or clock.boottime() > deadline
            return (
                settlements.release(self.claim_state)
                if own
                else self._signalled(ResponseClass.NOT_SENT, error)
            )
        except ScaleException as error:
            return self._unsuccessful(handler, error)
        self.sends += 1
        seen = ResponseClass.NEEDS_LOOKUP if document is None else ResponseClass.DELIVERED
        self.log.add("send", seen, status=200)
        return None if document is None else self._delivered(handler, Outcome.APPLIED, document)

    def _unsuccessful(self, handler: CommandHandler, error: ScaleException) -> Settlement | ScaleException:
        self.sends += 1
        meaning = classify(error, self._send_context(handler))
        self.log.add("send", meaning, error)
        if meaning in _FOR_ALL:
            return self._signalled(meaning, error)
        match meaning:
            case ResponseClass.NEEDS_LOOKUP | ResponseClass.REFUSED:
                return error
            case ResponseClass.NOT_VISIBLE_YET:
                return settlements.retry_lookup(self.claim_state, self.deps.random(), error)
            case _:
                return settlements.in_doubt(self.claim_state, self.deps.random(), error)

    # The end ---------------------------------------------------------------------------------------------

    def _settle(self, settlement: Settlement, handler: CommandHandler | None) -> Steps:
        """Write what came of it, and try again while the lease lasts if the database is in trouble."""
        clock, tries = self.deps.clock, 0
        lease_ends = self.claimed_at + self.deps.timing.lease
        while True:
            yield "settle"
            try:
                self.state = self._write(settlement, handler)
                break
            except DatabaseError:
                wait = backoff(tries, 1.0)
                # After the lease another process may have claimed the command: its word counts then.
                if clock.stopping.is_set() or clock.boottime() + wait > lease_ends:
                    raise
            clock.sleep(wait)
            tries += 1
        self.settlement = settlement
        if self.state is not CommandState.IN_DOUBT:
            self.deps.arms.pop(self.claim.command.id, None)
        return self

    def _write(self, settlement: Settlement, handler: CommandHandler | None) -> CommandState | None:
        store, signal = self.deps.store, self.signal
        if signal is not None and signal.meaning is not ResponseClass.NOT_SENT:
            store.pause(signal.seconds, pause_reason(signal.error))
        answer = None if handler is None or self.document is None else (handler.stream, self.document)
        return store.settle(self.claim, settlement, self.log.steps, answer=answer)

    def _delivered(self, handler: CommandHandler, outcome: Outcome, document: Document | None) -> Settlement:
        result = None if document is None else handler.result(document)
        frees_key = handler.frees_key(payload_of(self.command))
        self.document = document
        return settlements.delivered(outcome, result, frees_key=frees_key)

    def _signalled(self, meaning: ResponseClass, error: ScaleException) -> Settlement:
        """Return the ending after what concerns everybody: the command is where it was."""
        if isinstance(error, ScaleTurnTooLate):
            return settlements.release(self.claim_state)
        throttled = meaning is ResponseClass.THROTTLED
        seconds = throttle_seconds(error.retry_after, self.deps.random()) if throttled else None
        self.signal = QueueWideSignal(meaning, error, seconds)
        return settlements.release(self.claim_state, error=error)

    def _send_context(self, handler: CommandHandler) -> SendContext:
        return SendContext(self.claim_state.ambiguous, handler.rejects_402, self.claim.since_created)
