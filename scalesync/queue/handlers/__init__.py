"""The kinds of commands, one handler each. A further kind is one more handler, named here."""

from collections.abc import Mapping
from types import MappingProxyType

from scalesync.models.commands import CommandKind
from scalesync.queue.handlers.batches import CreateBatch, FinalizeBatch
from scalesync.queue.handlers.interface import (
    Absent,
    CommandHandler,
    Conflict,
    Foreign,
    LookUp,
    LookUpOutcome,
    Payload,
    Prepared,
    Present,
    Seen,
    TooLate,
    payload_of,
)
from scalesync.queue.handlers.projects import CreateProject, UpdateProject
from scalesync.queue.handlers.tasks import CancelTask, CreateTask

__all__ = [
    "HANDLERS",
    "Absent",
    "CommandHandler",
    "Conflict",
    "Foreign",
    "LookUp",
    "LookUpOutcome",
    "Payload",
    "Prepared",
    "Present",
    "Seen",
    "TooLate",
    "payload_of",
]

HANDLERS: Mapping[str, CommandHandler] = MappingProxyType(
    {
        CommandKind.CREATE_TASK: CreateTask(),
        CommandKind.CANCEL_TASK: CancelTask(),
        CommandKind.CREATE_BATCH: CreateBatch(),
        CommandKind.FINALIZE_BATCH: FinalizeBatch(),
        CommandKind.CREATE_PROJECT: CreateProject(),
        CommandKind.UPDATE_PROJECT: UpdateProject(),
    }
)
"""By `commands.kind`."""
