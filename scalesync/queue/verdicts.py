"""What a claim comes to, from what was seen and answered. Pure."""

from dataclasses import dataclass

from scalesync.commands import Claim, Command, CommandState, Outcome, Verdict
from scalesync.errors import ScaleException
from scalesync.queue.handlers import Conflict, Foreign, TooLate
from scalesync.queue.timing import Timing, backoff


@dataclass(frozen=True, slots=True)
class Standing:
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
    def exhausted(self) -> bool:
        """Whether it failed as often as it may."""
        return self.command.failures >= self.command.max_failures


def standing(claim: Claim, timing: Timing) -> Standing:
    """Return how a command stands that was just claimed."""
    return Standing(claim, timing, claim.command.ambiguous or claim.since_sent is not None)


def back(stands: Standing, *, wait: float = 0.0, error: ScaleException | None = None) -> Verdict:
    """Return the verdict by which a command goes to where it was, as if it had not been claimed."""
    command = stands.command
    return Verdict(
        CommandState.IN_DOUBT if stands.ambiguous else CommandState.QUEUED,
        ambiguous=stands.ambiguous,
        wait=wait,
        hold_reason=command.hold_reason,
        error_code=error.code if error else command.error_code,
        error=error.message if error else command.error,
    )


def later(stands: Standing, chance: float, error: ScaleException) -> Verdict:
    """Return the same for a command that could not be looked at, after a wait that grows with its claims."""
    return back(stands, wait=backoff(stands.command.fence, chance), error=error)


def in_doubt(stands: Standing, chance: float, error: ScaleException) -> Verdict:
    """Return the verdict on a send of which nobody knows whether it was applied."""
    return Verdict(
        CommandState.IN_DOUBT,
        ambiguous=True,
        failed=True,
        wait=backoff(stands.command.failures, chance),
        error_code=error.code,
        error=error.message,
    )


def delivered(outcome: Outcome, result: str | None, *, frees_key: bool) -> Verdict:
    """Return the verdict on an effect that was seen."""
    return Verdict(CommandState.DELIVERED, outcome, result=result, frees_key=frees_key)


def refused(error: ScaleException) -> Verdict:
    """Return the verdict on a send that the API refused for good."""
    return Verdict(CommandState.DEAD, Outcome.REJECTED, error_code=error.code, error=error.message)


def exhausted(command: Command) -> Verdict:
    """Return the verdict on a command that was not applied after as many failures as it may have."""
    return Verdict(CommandState.DEAD, Outcome.EXHAUSTED, error_code=command.error_code, error=command.error)


def hopeless(sighting: Conflict | TooLate) -> Verdict:
    """Return the verdict on a command that can never be applied."""
    outcome = Outcome.CONFLICT if isinstance(sighting, Conflict) else Outcome.REJECTED
    return Verdict(CommandState.DEAD, outcome, error=sighting.words)


def held(stands: Standing, words: str) -> Verdict:
    """Return the verdict by which a command stays as it is until a person has looked at it."""
    state = CommandState.IN_DOUBT if stands.ambiguous else CommandState.QUEUED
    return Verdict(state, ambiguous=stands.ambiguous, hold_reason=words)


def foreign(stands: Standing, sighting: Foreign) -> Verdict:
    """Return the verdict where somebody else changed the object: held, unless a person has withdrawn it."""
    if not stands.command.discard_requested:
        return held(stands, sighting.words)
    return back(stands, wait=stands.unsettled) if stands.unsettled else Verdict(CommandState.QUEUED)
