"""What a claim comes to, from what was seen and answered. Pure."""

from dataclasses import dataclass, replace

from scalesync.errors import ScaleException, ScaleNoAnswer
from scalesync.models.commands import Claim, Command, CommandState, Outcome, Settlement
from scalesync.queue.handlers.interface import Conflict, Foreign, TooLate
from scalesync.queue.timing import Timing, backoff

_TAKEN = 409
_SOON = 1.0
"""Seconds at least between two looks for what has a name that is taken."""


@dataclass(frozen=True, slots=True)
class ClaimState:
    """How a claimed command stands."""

    claim: Claim
    timing: Timing
    ambiguous: bool
    """Whether a request of it may still have, or yet get, an effect."""

    @property
    def command(self) -> Command:
        """The command as it was claimed."""
        return self.claim.command

    @property
    def unsettled(self) -> float:
        """Seconds until a look that shows no effect proves that there will be none."""
        since = self.claim.since_sent
        return 0.0 if since is None else max(0.0, self.timing.settle - since)

    @property
    def unwanted(self) -> bool:
        """Whether it is not to be sent again: a person withdrew it, or it failed as often as it may."""
        return self.command.discard_requested or self.exhausted

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be sent before it is settled; not while the API says that its name is taken."""
        return not self.unwanted and self.command.error_code != _TAKEN

    @property
    def exhausted(self) -> bool:
        """Whether it failed as often as it may."""
        return self.command.failures >= self.command.max_failures


def claim_state(claim: Claim, timing: Timing) -> ClaimState:
    """Return how a command stands that was just claimed."""
    return ClaimState(claim, timing, claim.command.ambiguous or claim.since_sent is not None)


def release(state: ClaimState, *, wait: float = 0.0, error: ScaleException | None = None) -> Settlement:
    """Return the verdict by which a command goes to where it was, as if it had not been claimed."""
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
    """Return the same for a command that could not be looked at, after a wait that grows with its claims."""
    return release(state, wait=backoff(state.command.fence, chance), error=error)


def await_effect(state: ClaimState, chance: float) -> Settlement:
    """Return the verdict on a command in doubt that shows no effect, and is looked at again."""
    if state.command.error_code != _TAKEN or state.unwanted:
        return release(state, wait=state.unsettled)
    soon = max(_SOON, backoff(state.command.fence, chance))
    return release(state, wait=min(state.unsettled, soon))


def without_effect(state: ClaimState, chance: float, refusal: ScaleException | None) -> Settlement:
    """Return the verdict on a send that was refused (None: answered with `OK`), and shows no effect.

    The refusal is final where it can be about nothing else. A 409 says that something is there, and words
    that name another object may be somebody else's: these are final when they come again, after the settle
    time. An earlier request that may still arrive is waited for, without sending a third.
    """
    if refusal is None:
        return in_doubt(state, chance, ScaleNoAnswer("The API answered OK, and shows no effect."))
    command = state.command
    heard = (command.error_code, command.error) == (refusal.code, refusal.message)
    doubtful = refusal.code == _TAKEN or refusal.about_another
    if state.ambiguous and (heard or not doubtful):
        return replace(in_doubt(state, chance, refusal), wait=state.timing.settle)
    return rejected(refusal) if heard or not doubtful else in_doubt(state, chance, refusal)


def in_doubt(state: ClaimState, chance: float, error: ScaleException) -> Settlement:
    """Return the verdict on a send of which nobody knows whether it was applied."""
    return Settlement(
        CommandState.IN_DOUBT,
        ambiguous=True,
        failed=True,
        wait=backoff(state.command.failures, chance),
        error_code=error.code,
        error=error.message,
    )


def delivered(outcome: Outcome, result: str | None, *, frees_key: bool) -> Settlement:
    """Return the verdict on an effect that was seen."""
    return Settlement(CommandState.DELIVERED, outcome, result=result, frees_key=frees_key)


def rejected(error: ScaleException) -> Settlement:
    """Return the verdict on a send that the API refused for good."""
    outcome = Outcome.CONFLICT if error.code == _TAKEN else Outcome.REJECTED
    return Settlement(CommandState.DEAD, outcome, error_code=error.code, error=error.message)


def exhausted(command: Command) -> Settlement:
    """Return the verdict on a command that was not applied after as many failures as it may have."""
    return Settlement(
        CommandState.DEAD, Outcome.EXHAUSTED, error_code=command.error_code, error=command.error
    )


def impossible(sighting: Conflict | TooLate) -> Settlement:
    """Return the verdict on a command that can never be applied.

    Whose name is taken by something else is dead: a person has to choose another. What came too late is
    discarded: nobody could have won that race, and there is nothing to be done.
    """
    if isinstance(sighting, TooLate):
        return Settlement(CommandState.DISCARDED, Outcome.REJECTED, error=sighting.words)
    return Settlement(CommandState.DEAD, Outcome.CONFLICT, error=sighting.words)


def hold(state: ClaimState, words: str) -> Settlement:
    """Return the verdict by which a command stays as it is until a person has looked at it."""
    back_to = CommandState.IN_DOUBT if state.ambiguous else CommandState.QUEUED
    return Settlement(back_to, ambiguous=state.ambiguous, hold_reason=words)


def hold_external(state: ClaimState, sighting: Foreign) -> Settlement:
    """Return the verdict where somebody else changed the object: held, unless a person has withdrawn it."""
    if not state.command.discard_requested:
        return hold(state, sighting.words)
    return release(state, wait=state.unsettled) if state.unsettled else Settlement(CommandState.QUEUED)
