"""What a claim ends with."""

from dataclasses import dataclass

from scalesync.errors import ScaleException
from scalesync.models.api import Document
from scalesync.models.commands import Command, CommandState, Settlement
from scalesync.queue.classify_response import ResponseClass


@dataclass(frozen=True, slots=True)
class QueueWideSignal:
    """An answer, or the lack of one, that concerns more than the command it was about."""

    meaning: ResponseClass
    """NOT_SENT, REST or CLOSED."""
    error: ScaleException
    seconds: float | None = None
    """For how long everybody rests; None where that is not what the API asks for."""


@dataclass(frozen=True, slots=True)
class PendingSettlement:
    """What is to be written about a claim."""

    settlement: Settlement
    document: Document | None = None
    """The API's answer, for the mirror."""
    alarm: QueueWideSignal | None = None


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What became of a claim."""

    command: Command
    """As it was claimed."""
    settlement: Settlement
    state: CommandState | None
    """Where the command is now; None: it belonged to somebody else by then."""
    sends: int
    """How many requests that change something left this machine."""
    looks: int
    answered: bool | None
    """Whether the API answered anything at all; None: it was asked nothing."""
    error: ScaleException | None
    """What went wrong last."""
    alarm: QueueWideSignal | None

    @property
    def progress(self) -> bool:
        """Whether the command is settled."""
        return self.state in (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
