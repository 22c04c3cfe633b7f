"""The handlers of all command kinds. To add a kind, write a handler and register it here."""

from collections.abc import Mapping
from types import MappingProxyType

from scalesync.models.commands import CommandKind
from scalesync.queue.handlers.batches import CreateBatch, FinalizeBatch
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.handlers.projects import CreateProject, UpdateProject
from scalesync.queue.handlers.tasks import CancelTask, CreateTask

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
