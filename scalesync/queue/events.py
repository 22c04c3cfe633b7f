"""What a dispatcher tells whoever watches it. Wording and drawing are the watcher's business."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from scalesync.models.commands import Command, Settlement


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step with a command began, a moment ago at most: look, prepare, arm, send or settle."""

    name: ClassVar = "stepped"
    command_id: int
    kind: str
    step: str


@dataclass(frozen=True, slots=True)
class CommandSettled:
    """What came of a command is in the database."""

    name: ClassVar = "settled"
    command: Command
    """As it was claimed."""
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API asked everybody to wait."""

    name: ClassVar = "rested"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """Nothing can be sent before a person acts: the API refuses the key or the account."""

    name: ClassVar = "closed"
    reason: str


@dataclass(frozen=True, slots=True)
class ApiUnreachable:
    """The API could not be reached; the next attempt comes after so many seconds."""

    name: ClassVar = "unreachable"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class QueueUnavailable:
    """The database does not answer; the next attempt comes after so many seconds."""

    name: ClassVar = "away"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing can be done at present."""

    name: ClassVar = "waiting"
    seconds: float | None
    """Until something can be done by itself; None: not before something is queued."""


DispatchEvent = (
    StepStarted | CommandSettled | Throttled | AccessDenied | ApiUnreachable | QueueUnavailable | Idle
)

DispatchWatcher = Callable[[DispatchEvent], None]
"""Takes note of one event after the other; called from the coordinating thread only."""
