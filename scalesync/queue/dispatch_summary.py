"""The summary that a dispatcher returns: what it did, and why it ended."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from scalesync.errors import ScaleException
from scalesync.models.commands import CommandState
from scalesync.queue.executor import CommandExecutor


class StopReason(StrEnum):
    """Why a dispatcher ended."""

    DONE = "done"
    """Nothing can be done, now or by waiting; commands may still be blocked, held or dead."""
    ENOUGH = "enough"
    """As many commands as allowed were started, and all of them settled."""
    LATER = "later"
    """The rest is not due within the patience."""
    STOPPED = "stopped"
    """It was asked to stop: active commands were settled, the others stay queued."""
    PAUSED = "paused"
    """A person paused the queue."""
    RESTING = "resting"
    """The API asked for a pause that is longer than the patience."""
    CLOSED = "closed"
    """The API refuses the key or the account: the queue is paused until a person resumes it."""
    UNREACHABLE = "unreachable"
    """The API gave no answer for longer than the patience."""


@dataclass(frozen=True, slots=True)
class DispatchSummary:
    """The work of one dispatcher. Each command counts once, by the state it was left in."""

    ended: StopReason
    delivered: int
    dead: int
    discarded: int
    returned: int
    """Queued again: not sent, or verified as not applied."""
    in_doubt: int
    sends: int
    """Requests that change something, answered or not."""
    looks: int
    """Look-ups of commands in doubt."""
    requests: int
    """All requests that left this machine."""
    seconds: float
    error: ScaleException | None = None
    """The API's last refusal, or why it could not be reached, if that ended the dispatcher."""


@dataclass
class SummaryBuilder:
    """Counters of a dispatcher that is still running."""

    states: dict[int, CommandState] = field(default_factory=dict)
    """The state in which each command was left last, by id."""
    sends: int = 0
    looks: int = 0

    def add(self, done: CommandExecutor) -> None:
        """Count a claim that ended. A command that was claimed twice counts with its last state."""
        self.sends += done.sends
        self.looks += done.looks
        if done.state is not None:
            self.states[done.claim.command.id] = done.state

    def summary(
        self, ended: StopReason, *, requests: int, seconds: float, error: ScaleException | None
    ) -> DispatchSummary:
        """Return the totals."""
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
