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
from scalesync.models.commands import AttemptStep, Claim, CommandState, Outcome
from scalesync.queue import settlements
from scalesync.queue.classify_response import (
    READ_LAG,
    ResponseClass,
    SendContext,
    classify,
    pause_reason,
    throttle_seconds,
)
from scalesync.queue.execution_result import ExecutionResult, PendingSettlement, QueueWideSignal
from scalesync.queue.handlers import (
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
from scalesync.queue.tools import ArmTiming, ExecutorDeps

Steps = Generator[str, None, ExecutionResult]
"""Names each step just before it is taken, and returns what came of them all."""

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
    looks: int = 0
    answered: bool | None = None
    error: ScaleException | None = None
    steps: list[AttemptStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.claim = replace(self.claim, since_sent=self.deps.since_sent(self.claim))
        self.command = self.claim.command
        self.stands = settlements.claim_state(self.claim, self.deps.timing)

    def run(self) -> Steps:
        """Take every step and return what came of it.

        Raises DatabaseError where a step could not be written: then the end of the lease decides.
        """
        handler = self.deps.handlers.get(self.command.kind)
        if handler is None:
            words = f"This version of scalesync cannot send {self.command.kind}."
            return (yield from self._settle(PendingSettlement(settlements.hold(self.stands, words)), None))
        ending = yield from self._look_and_send(handler)
        return (yield from self._settle(ending, handler))

    def _look_and_send(self, handler: CommandHandler) -> Generator[str, None, PendingSettlement]:
        if self.stands.ambiguous:
            yield "look"
            ending = self._look_first(handler)
            if ending is not None:
                return ending
        if self.reconcile_only:
            return PendingSettlement(settlements.release(self.stands))
        yield "prepare"
        prepared = self._prepare(handler)
        if isinstance(prepared, PendingSettlement):
            return prepared
        yield "arm"
        ending = self._arm(prepared)
        if ending is not None:
            return ending
        yield "send"
        answer = self._send(handler)
        if isinstance(answer, PendingSettlement):
            return answer
        yield "look"
        return self._look_afterwards(handler, answer)

    # Looks -----------------------------------------------------------------------------------------------

    def _look_first(self, handler: CommandHandler) -> PendingSettlement | None:
        """Return what the look decides, None if the command may be sent."""
        sighting = self._look(handler)
        if isinstance(sighting, ScaleException):
            return self._not_seen(sighting)
        if not isinstance(sighting, Absent):
            return self._seen(handler, sighting)
        if self.stands.unsettled:
            if handler.resend_before_settle and self.stands.may_be_repeated:
                return None
            return PendingSettlement(settlements.await_effect(self.stands, self.deps.random()))
        self.stands = replace(self.stands, ambiguous=False)
        if self.command.discard_requested:
            return PendingSettlement(settlements.release(self.stands))
        return PendingSettlement(settlements.exhausted(self.command)) if self.stands.exhausted else None

    def _look_afterwards(self, handler: CommandHandler, answer: ScaleException | None) -> PendingSettlement:
        """Return what a look after the send decides; the answer was a refusal, or None for a bare `OK`.

        Neither proves anything: a refusal may be the echo of a request that was applied, or somebody else's,
        and `OK` names nobody.
        """
        sighting = self._look(handler)
        if isinstance(sighting, ScaleException):
            if answer is None or sighting.code not in _MALFORMED:
                self.stands = replace(self.stands, ambiguous=True)
                return self._not_seen(sighting)
            sighting = Absent()
        if isinstance(sighting, Present) and answer is None:
            return self._delivered(handler, Outcome.APPLIED, sighting.document)
        if isinstance(sighting, Absent) or (isinstance(sighting, Foreign) and not self.stands.ambiguous):
            return PendingSettlement(settlements.without_effect(self.stands, self.deps.random(), answer))
        return self._seen(handler, sighting)

    def _look(self, handler: CommandHandler) -> LookUp | ScaleException:
        """Return what the API shows of the effect, or why nothing could be seen."""
        self.looks += 1
        try:
            sighting = handler.look_up(self.deps.api, self.command)
        except ScaleResourceNotFound as error:
            since = self.claim.since_created
            if since is not None and since < READ_LAG:
                self._noted("look", ResponseClass.NOT_VISIBLE_YET, error)
                return error
            sighting = handler.missing(self.command)
        except ScaleException as error:
            self._noted("look", LookUpOutcome.FAILED, error)
            return error
        self._noted("look", sighting.outcome)
        return sighting

    def _not_seen(self, error: ScaleException) -> PendingSettlement:
        """Return the ending after a look, or a preparation, that failed: nobody knows more than before."""
        meaning = classify(error, SendContext())
        if meaning in _FOR_ALL:
            return self._alarmed(meaning, error)
        return PendingSettlement(settlements.retry_lookup(self.stands, self.deps.random(), error))

    def _seen(self, handler: CommandHandler, sighting: Seen) -> PendingSettlement:
        if isinstance(sighting, Present):
            ours = self.stands.ambiguous and self.command.sends > 0
            outcome = Outcome.APPLIED if ours else Outcome.ALREADY_APPLIED
            return self._delivered(handler, outcome, sighting.document)
        if isinstance(sighting, Foreign):
            return PendingSettlement(settlements.hold_external(self.stands, sighting))
        return PendingSettlement(settlements.impossible(sighting))

    # The send --------------------------------------------------------------------------------------------

    def _prepare(self, handler: CommandHandler) -> Prepared | PendingSettlement:
        try:
            prepared = handler.prepare(self.deps.api, self.command)
        except ScaleException as error:
            meaning = classify(error, replace(self._circumstances(handler), ambiguous=False))
            self._noted("prepare", meaning, error)
            if meaning is not ResponseClass.REFUSED or error.about_another:
                return self._not_seen(error)
            wait = self.stands.unsettled
            return PendingSettlement(
                settlements.release(self.stands, wait=wait) if wait else settlements.rejected(error)
            )
        if prepared.no_op is None:
            return prepared
        self._noted("prepare", Outcome.NO_OP)
        return self._delivered(handler, Outcome.NO_OP, prepared.no_op)

    def _arm(self, prepared: Prepared) -> PendingSettlement | None:
        """Return None if the command may be sent now. A process that is to stop sends nothing more."""
        clock = self.deps.clock
        try:
            # Nothing may stand between the arming and the send, least of all the wait for one's turn.
            self.deps.api.wait_for_rate_limit(self.deps.timing.request)
        except ScaleTooManyRequests as error:
            return self._alarmed(ResponseClass.THROTTLED, error)
        except ScaleNotSent:
            return PendingSettlement(settlements.release(self.stands))
        self.armed_at = clock.boottime()
        self.deps.arms[self.command.id] = ArmTiming(self.command.fence, self.armed_at)
        arm, base, target = self.deps.store.arm, prepared.base, prepared.target
        if clock.stopping.is_set() or not arm(self.claim, base=base, target=target):
            self.steps.append(AttemptStep("arm", "stopping" if clock.stopping.is_set() else "refused"))
            return PendingSettlement(settlements.release(self.stands))
        base = self.command.base if self.stands.ambiguous else base
        target = self.command.target or target
        self.command = replace(self.command, sends=self.command.sends + 1, base=base, target=target)
        return None

    def _send(self, handler: CommandHandler) -> PendingSettlement | ScaleException | None:
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
            self._noted("send", ResponseClass.NOT_SENT, error)
            own = clock.stopping.is_set() or clock.boottime() > deadline
            return (
                PendingSettlement(settlements.release(self.stands))
                if own
                else self._alarmed(ResponseClass.NOT_SENT, error)
            )
        except ScaleException as error:
            return self._unsuccessful(handler, error)
        self.sends += 1
        self._noted(
            "send", ResponseClass.NEEDS_LOOKUP if document is None else ResponseClass.DELIVERED, status=200
        )
        return None if document is None else self._delivered(handler, Outcome.APPLIED, document)

    def _unsuccessful(
        self, handler: CommandHandler, error: ScaleException
    ) -> PendingSettlement | ScaleException:
        self.sends += 1
        meaning = classify(error, self._circumstances(handler))
        self._noted("send", meaning, error)
        if meaning in _FOR_ALL:
            return self._alarmed(meaning, error)
        match meaning:
            case ResponseClass.NEEDS_LOOKUP | ResponseClass.REFUSED:
                return error
            case ResponseClass.NOT_VISIBLE_YET:
                return PendingSettlement(settlements.retry_lookup(self.stands, self.deps.random(), error))
            case _:
                return PendingSettlement(settlements.in_doubt(self.stands, self.deps.random(), error))

    # The end ---------------------------------------------------------------------------------------------

    def _settle(self, ending: PendingSettlement, handler: CommandHandler | None) -> Steps:
        """Write what came of it, and try again while the lease lasts if the database is in trouble."""
        clock, tries = self.deps.clock, 0
        lease_ends = self.claimed_at + self.deps.timing.lease
        while True:
            yield "settle"
            try:
                state = self._write(ending, handler)
                break
            except DatabaseError:
                wait = backoff(tries, 1.0)
                if clock.stopping.is_set() or clock.boottime() + wait > lease_ends:
                    raise
            clock.sleep(wait)
            tries += 1
        if state is not CommandState.IN_DOUBT:
            self.deps.arms.pop(self.claim.command.id, None)
        return ExecutionResult(
            command=self.claim.command,
            settlement=ending.settlement,
            state=state,
            sends=self.sends,
            looks=self.looks,
            answered=self.answered,
            error=self.error,
            alarm=ending.alarm,
        )

    def _write(self, ending: PendingSettlement, handler: CommandHandler | None) -> CommandState | None:
        ledger, alarm = self.deps.store, ending.alarm
        if alarm is not None and alarm.meaning is not ResponseClass.NOT_SENT:
            ledger.pause(alarm.seconds, pause_reason(alarm.error))
        answer = None if handler is None or ending.document is None else (handler.stream, ending.document)
        return ledger.settle(self.claim, ending.settlement, self.steps, answer=answer)

    def _delivered(
        self, handler: CommandHandler, outcome: Outcome, document: Document | None
    ) -> PendingSettlement:
        result = None if document is None else handler.result(document)
        frees_key = handler.frees_key(payload_of(self.command))
        return PendingSettlement(settlements.delivered(outcome, result, frees_key=frees_key), document)

    def _alarmed(self, meaning: ResponseClass, error: ScaleException) -> PendingSettlement:
        """Return the ending after what concerns everybody: the command is where it was."""
        if isinstance(error, ScaleTurnTooLate):
            return PendingSettlement(settlements.release(self.stands))
        rest = (
            throttle_seconds(error.retry_after, self.deps.random())
            if meaning is ResponseClass.THROTTLED
            else None
        )
        return PendingSettlement(
            settlements.release(self.stands, error=error), alarm=QueueWideSignal(meaning, error, rest)
        )

    def _circumstances(self, handler: CommandHandler) -> SendContext:
        return SendContext(self.stands.ambiguous, handler.rejects_402, self.claim.since_created)

    def _noted(
        self, step: str, outcome: str, error: ScaleException | None = None, *, status: int | None = None
    ) -> None:
        """Keep a step in which the API was asked something."""
        self.answered = self.answered or not isinstance(error, ScaleNotSent | ScaleNoAnswer)
        self.error = error or self.error
        code, words = (status, None) if error is None else (error.code, error.message)
        self.steps.append(AttemptStep(step, outcome, code, words))
