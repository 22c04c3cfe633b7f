"""Decide how a claim is settled, from the answer to its send and from look-ups. Pure.

Hazard: a command may be sent again only if the earlier request can have no effect any more. That is known
if a look-up shows none after the settle time, or if the API itself refuses a second application.
"""

from dataclasses import dataclass, replace

from scalesync.errors import ScaleException, ScaleNoAnswer
from scalesync.models.commands import Claim, Command, CommandState, Outcome, Settlement
from scalesync.queue.handlers.interface import Conflict, Foreign, TooLate, Unseen
from scalesync.queue.timing import Timing, backoff

_HTTP_CONFLICT = 409
_MIN_LOOK_UP_WAIT = 1.0
"""Seconds between two look-ups of a name that the API calls taken."""


@dataclass(frozen=True, slots=True)
class ClaimState:
    """A claimed command with what is known of its earlier requests."""

    claim: Claim
    timing: Timing
    ambiguous: bool
    """Whether an earlier request may have had an effect, or may still get one."""

    @property
    def command(self) -> Command:
        """The command as it was claimed."""
        return self.claim.command

    @property
    def settle_left(self) -> float:
        """Seconds until a look-up that shows no effect means that there will be none."""
        since = self.claim.since_sent
        return 0.0 if since is None else max(0.0, self.timing.settle - since)

    @property
    def must_not_resend(self) -> bool:
        """Whether a person withdrew it, or it has no tries left."""
        return self.command.discard_requested or self.exhausted

    @property
    def may_resend_early(self) -> bool:
        """Whether it may be sent again before the settle time is over."""
        # After a 409 the name is taken, perhaps by our own request: another send can only get another 409.
        return not self.must_not_resend and self.command.error_code != _HTTP_CONFLICT

    @property
    def exhausted(self) -> bool:
        """Whether it failed `max_failures` times."""
        return self.command.failures >= self.command.max_failures


def release(state: ClaimState, *, wait: float = 0.0, error: ScaleException | None = None) -> Settlement:
    """Return the settlement that puts a command back into the state it was claimed from."""
    command = state.command
    return Settlement(
        CommandState.IN_DOUBT if state.ambiguous else CommandState.QUEUED,
        ambiguous=state.ambiguous,
        wait=wait,
        hold_reason=command.hold_reason,
        error_code=error.code if error else command.error_code,
        error=error.message if error else command.error,
    )


def retry_lookup(state: ClaimState, chance: float, error: ScaleException) -> Settlement:
    """Release a command whose look-up failed; its wait grows with the number of its claims."""
    return release(state, wait=backoff(state.command.fence, chance), error=error)


def retry_until_settled(state: ClaimState, chance: float) -> Settlement:
    """Release a command in doubt whose look-up showed no effect, to be looked up again."""
    if state.command.error_code != _HTTP_CONFLICT or state.must_not_resend:
        return release(state, wait=state.settle_left)
    # The API knows the object that has the name, so it should show it soon: look before the settle time ends.
    soon = max(_MIN_LOOK_UP_WAIT, backoff(state.command.fence, chance))
    return release(state, wait=min(state.settle_left, soon))


def reject_or_doubt(state: ClaimState, chance: float, refusal: ScaleException | None) -> Settlement:
    """Settle a send that was refused and whose look-up shows no effect: reject it, or keep it in doubt.

    `refusal` None: the answer was a bare `OK`.
    """
    if refusal is None:
        return put_in_doubt(state, chance, ScaleNoAnswer("The API answered OK, and shows no effect."))
    # A 409 claims that something exists which the look-up did not find, and a text that names another object
    # may be the answer to another request, such as by a proxy that mixes answers up. Both are believed only
    # when the same refusal comes a second time.
    command = state.command
    repeated = (command.error_code, command.error) == (refusal.code, refusal.message)
    doubtful = refusal.code == _HTTP_CONFLICT or refusal.about_another
    if state.ambiguous and (repeated or not doubtful):
        # An earlier request may still arrive: wait for it instead of sending a third.
        return replace(put_in_doubt(state, chance, refusal), wait=state.timing.settle)
    return reject(refusal) if repeated or not doubtful else put_in_doubt(state, chance, refusal)


def put_in_doubt(state: ClaimState, chance: float, error: ScaleException) -> Settlement:
    """Return the settlement of a send that may or may not have been applied."""
    return Settlement(
        CommandState.IN_DOUBT,
        ambiguous=True,
        failed=True,
        wait=backoff(state.command.failures, chance),
        error_code=error.code,
        error=error.message,
    )


def reject(error: ScaleException) -> Settlement:
    """Return the settlement of a command that the API refused for good: dead."""
    outcome = Outcome.CONFLICT if error.code == _HTTP_CONFLICT else Outcome.REJECTED
    return Settlement(CommandState.DEAD, outcome, error_code=error.code, error=error.message)


def after_doubt(state: ClaimState) -> Settlement | None:
    """Return the settlement of a command without effect: withdrawn, or dead without tries; None: send it."""
    command = state.command
    if command.discard_requested:
        return release(state)
    if not state.exhausted:
        return None
    return Settlement(
        CommandState.DEAD, Outcome.EXHAUSTED, error_code=command.error_code, error=command.error
    )


def refuse_impossible(found: Conflict | TooLate) -> Settlement:
    """Return the settlement of a command that can never be applied: dead, or discarded if too late."""
    # Too late leaves nothing to do for anybody. A taken name needs a person, who chooses another one.
    if isinstance(found, TooLate):
        return Settlement(CommandState.DISCARDED, Outcome.REJECTED, error=found.words)
    return Settlement(CommandState.DEAD, Outcome.CONFLICT, error=found.words)


def hold(state: ClaimState, reason: str) -> Settlement:
    """Put the command on hold until a person acts; `reason` is the sentence people see."""
    back_to = CommandState.IN_DOUBT if state.ambiguous else CommandState.QUEUED
    return Settlement(back_to, ambiguous=state.ambiguous, hold_reason=reason)


def hold_without_file(state: ClaimState) -> Settlement:
    """Hold a command that needs the address of a file that has none here."""
    name = state.claim.missing_files[0].partition(":")[2]
    reason = f"It needs the address of the file {name!r}, which this queue did not get from Scale."
    return hold(state, f"{reason} Queue the file again under that reference_id, or discard this command.")


def hold_external(state: ClaimState, found: Foreign) -> Settlement:
    """Hold a command whose object was changed by somebody else; let go of it if it was withdrawn."""
    if not state.command.discard_requested:
        return hold(state, found.words)
    # Withdrawn: a person need not look, but our own request may still arrive until the settle time is over.
    return release(state, wait=state.settle_left) if state.settle_left else Settlement(CommandState.QUEUED)


def unprepared(state: ClaimState, error: ScaleException, unseen: Unseen | None) -> Settlement:
    """Settle a command that cannot be sent, because what it is about is missing or not as it was queued."""
    # `unseen`: an earlier request may have been applied, and another send was to show that.
    if unseen is not None and state.ambiguous:
        return hold_unseen(f"{error.message} {unseen.words}")
    # Gone perhaps by our own earlier request: final only after the settle time.
    return release(state, wait=state.settle_left) if state.settle_left else reject(error)


def unseen_before_send(state: ClaimState, found: Unseen) -> Settlement | None:
    """Hold a command in doubt that nobody can look up; None: sending it again shows what is there."""
    return None if found.taken and not state.must_not_resend else hold_unseen(found.words)


def unseen_after_refusal(
    state: ClaimState, chance: float, found: Unseen, refusal: ScaleException
) -> Settlement:
    """Settle a send that was refused and cannot be looked up: reject it, send it once more, or hold it."""
    if found.taken is None:
        doubtful = state.ambiguous or refusal.about_another
        return hold_unseen(found.words) if doubtful else reject(refusal)
    if refusal.code == _HTTP_CONFLICT and not refusal.about_another:
        return hold_unseen(found.taken, _HTTP_CONFLICT)
    # A refusal may be the answer to another request. Sent again, ours is refused the same way, or with a 409
    # if the first one was applied. That proves nothing if there was a request without an answer before it.
    if refusal.about_another or not state.ambiguous:
        return put_in_doubt(state, chance, refusal)
    command = state.command
    repeated = (command.error_code, command.error) == (refusal.code, refusal.message)
    if repeated and command.failures == 1:
        return reject(refusal)
    return hold_unseen(f"{found.words} It was refused when it was sent again: {refusal.message}")


def hold_unseen(reason: str, error_code: int | None = None) -> Settlement:
    """Hold a command of which nobody can see whether it was applied; see `Command.left_to_a_person`."""
    return Settlement(
        CommandState.IN_DOUBT, ambiguous=True, hold_reason=reason, error_code=error_code, error=reason
    )
