"""What all executors of a dispatcher share, and the log of steps that each one keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.models.commands import AttemptStep, Claim, CommandState
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.timing import Timing

SETTLED = (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
"""States that only a person's retry can change again."""


@dataclass(frozen=True, slots=True)
class ArmTiming:
    """When this process armed a command, valid while no other process has changed the command."""

    fence: int
    """The command's fence when this process last released it."""
    at: float
    """`clock.boottime()` just before the arming."""


@dataclass(frozen=True)
class ExecutorDeps:
    """Collaborators shared by all claims of a dispatcher."""

    store: DispatcherStore
    api: ScaleApi
    clock: Clock
    timing: Timing
    random: Callable[[], float]
    """Returns a number from 0 to 1, the jitter of a wait."""
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)
    arms: dict[int, ArmTiming] = field(default_factory=dict)
    """Armings that are not settled yet, by command id. Each command has one thread, so no lock is needed."""

    def since_sent(self, claim: Claim) -> float | None:
        """Return the seconds since a command was armed; None: no request of it can have an effect."""
        # The database's clock can be set, and a step forward would end the settle time too early. If this
        # process armed the command and its fence shows no change by others since, count by the monotonic
        # clock of this machine instead.
        arm, fence = self.arms.pop(claim.command.id, None), claim.command.fence
        if arm is None or claim.since_sent is None or fence != arm.fence + 1:
            return claim.since_sent
        self.arms[claim.command.id] = ArmTiming(fence, arm.at)
        return self.clock.boottime() - arm.at


@dataclass
class StepLog:
    """The steps of one claim for `command_attempts`, and whether the API answered any of them."""

    steps: list[AttemptStep] = field(default_factory=list)
    answered: bool | None = None
    """Whether the API answered any request; None: it was asked nothing."""
    error: ScaleException | None = None
    """The last error."""

    def add(
        self, step: str, outcome: str, error: ScaleException | None = None, *, status: int | None = None
    ) -> None:
        """Add a step that asked the API; `status` is the HTTP status if there was no error."""
        self.answered = self.answered or not isinstance(error, ScaleNotSent | ScaleNoAnswer)
        self.error = error or self.error
        code, words = (status, None) if error is None else (error.code, error.message)
        self.steps.append(AttemptStep(step, outcome, code, words))
