"""What a dispatcher did, and why it ended."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from scalesync.errors import ScaleException
from scalesync.models.commands import CommandState
from scalesync.queue.executor import CommandExecutor


class StopReason(StrEnum):
    """Why a dispatcher ended."""

    DONE = "done"
    """Nothing is left that it could do, now or by waiting. Commands may be blocked, held or dead."""
    ENOUGH = "enough"
    """It took as many commands as it may, and saw them through."""
    LATER = "later"
    """What is left cannot be done within its patience."""
    STOPPED = "stopped"
    """It was asked to stop; what was being sent is settled, the rest is where it was."""
    PAUSED = "paused"
    """A person paused the queue."""
    RESTING = "resting"
    """The API asked for a rest that is longer than its patience."""
    CLOSED = "closed"
    """The API refuses the key or the account: nothing is sent before somebody resumes."""
    UNREACHABLE = "unreachable"
    """The API gave no answer for longer than its patience."""


@dataclass(frozen=True, slots=True)
class DispatchSummary:
    """What one dispatcher did. Commands are counted once, by where it left them."""

    ended: StopReason
    delivered: int
    dead: int
    discarded: int
    returned: int
    """Queued as before: not sent, or proven not applied."""
    in_doubt: int
    sends: int
    """Requests that change something, answered or not."""
    looks: int
    requests: int
    """All requests that left this machine."""
    seconds: float
    error: ScaleException | None = None
    """What the API said last, or how it could not be reached, where that ended it."""


@dataclass
class SummaryBuilder:
    """Counts while it goes on."""

    states: dict[int, CommandState] = field(default_factory=dict)
    """Where each command was left last, by id."""
    sends: int = 0
    looks: int = 0

    def add(self, done: CommandExecutor) -> None:
        """Count one more claim."""
        self.sends += done.sends
        self.looks += done.looks
        if done.state is not None:
            self.states[done.claim.command.id] = done.state

    def summary(
        self, ended: StopReason, *, requests: int, seconds: float, error: ScaleException | None
    ) -> DispatchSummary:
        """Return the sum of it all."""
        counts = Counter(self.states.values())
        return DispatchSummary(
            ended=ended,
            delivered=counts[CommandState.DELIVERED],
            dead=counts[CommandState.DEAD],
            discarded=counts[CommandState.DISCARDED],
            returned=counts[CommandState.QUEUED],
            in_doubt=counts[CommandState.IN_DOUBT],
            sends=self.sends,
            looks=self.looks,
            requests=requests,
            seconds=seconds,
            error=error,
        )
