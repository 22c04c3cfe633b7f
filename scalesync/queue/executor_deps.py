"""What the executors of a dispatcher share, and the log that each keeps of its steps."""

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
"""States that no dispatcher leaves again by itself."""


@dataclass(frozen=True, slots=True)
class ArmTiming:
    """An arming by this process, as long as nobody else has changed the command since."""

    fence: int
    """The command's fence when this process last left it."""
    at: float
    """`clock.boottime()` just before."""


@dataclass(frozen=True)
class ExecutorDeps:
    """The same for all claims of a dispatcher."""

    store: DispatcherStore
    api: ScaleApi
    clock: Clock
    timing: Timing
    random: Callable[[], float]
    """Gives a number from 0 to 1 for each wait."""
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)
    arms: dict[int, ArmTiming] = field(default_factory=dict)
    """What this process armed and did not see settled, by the command's id. Each command has one thread."""

    def since_sent(self, claim: Claim) -> float | None:
        """Return the seconds since a command was armed, None as in the claim.

        By a clock that nobody can set where this process armed it and nobody changed it since, else by the
        database's.
        """
        arm, fence = self.arms.pop(claim.command.id, None), claim.command.fence
        if arm is None or claim.since_sent is None or fence != arm.fence + 1:
            return claim.since_sent
        self.arms[claim.command.id] = ArmTiming(fence, arm.at)
        return self.clock.boottime() - arm.at


@dataclass
class StepLog:
    """The steps taken with one claim, for the log of attempts, and how the API took part in them."""

    steps: list[AttemptStep] = field(default_factory=list)
    answered: bool | None = None
    """Whether the API answered anything at all; None: it was asked nothing."""
    error: ScaleException | None = None
    """What went wrong last."""

    def add(
        self, step: str, outcome: str, error: ScaleException | None = None, *, status: int | None = None
    ) -> None:
        """Add a step in which the API was asked something; `status` is the HTTP status where it went well."""
        self.answered = self.answered or not isinstance(error, ScaleNotSent | ScaleNoAnswer)
        self.error = error or self.error
        code, words = (status, None) if error is None else (error.code, error.message)
        self.steps.append(AttemptStep(step, outcome, code, words))
