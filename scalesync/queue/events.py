"""The events of a running dispatcher. A watcher receives them and decides what to print."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from scalesync.models.commands import Command, Settlement


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step of a command began (look, prepare, arm, send or settle); reported a little late."""

    name: ClassVar = "stepped"
    command_id: int
    kind: str
    step: str


@dataclass(frozen=True, slots=True)
class CommandSettled:
    """A command was settled, and that is committed."""

    name: ClassVar = "settled"
    command: Command
    """As it was claimed."""
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API asked for a pause of all hosts."""

    name: ClassVar = "rested"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """The API refuses the key or the account; nothing is sent until a person acts."""

    name: ClassVar = "closed"
    reason: str


@dataclass(frozen=True, slots=True)
class ApiUnreachable:
    """The API could not be reached; the next try comes after `seconds`."""

    name: ClassVar = "unreachable"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class QueueUnavailable:
    """The database is unreachable; the next try comes after `seconds`."""

    name: ClassVar = "away"
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """No command is due."""

    name: ClassVar = "waiting"
    seconds: float | None
    """Seconds until a command is due; None: only a new command can be."""


DispatchEvent = (
    StepStarted | CommandSettled | Throttled | AccessDenied | ApiUnreachable | QueueUnavailable | Idle
)

DispatchWatcher = Callable[[DispatchEvent], None]
"""Called with one event after the other, from the coordinating thread only."""
