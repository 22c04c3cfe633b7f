"""What every claim is worked on with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.models.commands import Claim
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.handlers import HANDLERS, CommandHandler
from scalesync.queue.timing import Timing


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
