"""The state of the queue as people see it: pauses, counts, why commands wait, and answers to discards."""

from dataclasses import dataclass
from enum import StrEnum

from scalesync.models.commands import Command


class PausedBy(StrEnum):
    """The cause of a pause: a person, or an answer of the API (throttled, key or account refused)."""

    PERSON = "person"
    API = "api"


@dataclass(frozen=True, slots=True)
class PauseState:
    """The pause of a queue, which holds for every host that uses the database."""

    paused: bool
    seconds: float | None
    """Seconds until it ends by itself; None: only `queue resume` ends it."""
    reason: str | None
    paused_by: PausedBy | None = None


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Counts of a queue."""

    open: int
    """Commands that are neither final nor dead."""
    by_state: dict[str, int]
    oldest_seconds: float | None
    """Age of the oldest open command by the database's clock."""
    dead: int
    in_doubt: int
    held: int
    held_in_doubt: int = 0
    """Commands that are both."""

    @property
    def unheld_in_doubt(self) -> int:
        """Commands in doubt without those that are held, which `held` counts."""
        return self.in_doubt - self.held_in_doubt

    @property
    def needs_a_person(self) -> bool:
        """Whether any command is dead, in doubt or held."""
        return bool(self.dead or self.in_doubt or self.held)


class DisplayState(StrEnum):
    """The state of a command for people: `queued` and `in_doubt` are split by what they wait for."""

    READY = "ready"
    SCHEDULED = "scheduled"
    RETRYING = "retrying"
    BLOCKED = "blocked"
    HELD = "held"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command with its display state and why it waits."""

    command: Command
    display: DisplayState
    waits_for: int | None = None
    """The command that blocks it, by the same conditions that a claim uses."""
    reason: str | None = None
    """Why it waits, in one sentence."""


class DiscardAnswer(StrEnum):
    """The possible answers to a discard."""

    DISCARDED = "discarded"
    """It will never be sent."""
    REQUESTED = "requested"
    """It is being sent or in doubt: it will be discarded if verified as not applied."""
    TOO_LATE = "too late"
    """It is delivered; only another command can undo it."""


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """The result of discarding one command."""

    command_id: int
    answer: DiscardAnswer
    also: tuple[int, ...] = ()
    """Commands that depended on it and were discarded with it."""
    instead: str | None = None
    """For TOO_LATE: the command line that undoes it, if there is one."""
