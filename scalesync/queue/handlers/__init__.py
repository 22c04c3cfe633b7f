"""The handlers of all command kinds. To add a kind, write a handler and register it here."""

from collections.abc import Mapping
from types import MappingProxyType

from scalesync.models.commands import CommandKind
from scalesync.queue.handlers.batches import CreateBatch, FinalizeBatch, SetBatchMetadata
from scalesync.queue.handlers.files import ImportFile, UploadFile
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.handlers.projects import CreateProject, UpdateProject
from scalesync.queue.handlers.task_changes import (
    AddTags,
    AuditTask,
    ClearUniqueId,
    DeleteTags,
    SetMetadata,
    SetTags,
    UpdateUniqueId,
)
from scalesync.queue.handlers.tasks import CancelTask, CreateTask
from scalesync.queue.handlers.unrepeatable import CreateEvaluationTask, CreateTrainingTask, SendCallback

HANDLERS: Mapping[str, CommandHandler] = MappingProxyType(
    {
        CommandKind.CREATE_TASK: CreateTask(),
        CommandKind.CANCEL_TASK: CancelTask(),
        CommandKind.CREATE_BATCH: CreateBatch(),
        CommandKind.FINALIZE_BATCH: FinalizeBatch(),
        CommandKind.CREATE_PROJECT: CreateProject(),
        CommandKind.UPDATE_PROJECT: UpdateProject(),
        CommandKind.AUDIT_TASK: AuditTask(),
        CommandKind.SET_TASK_TAGS: SetTags(),
        CommandKind.ADD_TASK_TAGS: AddTags(),
        CommandKind.DELETE_TASK_TAGS: DeleteTags(),
        CommandKind.SET_TASK_METADATA: SetMetadata(),
        CommandKind.UPDATE_TASK_UNIQUE_ID: UpdateUniqueId(),
        CommandKind.CLEAR_TASK_UNIQUE_ID: ClearUniqueId(),
        CommandKind.SET_BATCH_METADATA: SetBatchMetadata(),
        CommandKind.IMPORT_FILE: ImportFile(),
        CommandKind.UPLOAD_FILE: UploadFile(),
        CommandKind.SEND_CALLBACK: SendCallback(),
        CommandKind.CREATE_EVALUATION_TASK: CreateEvaluationTask(),
        CommandKind.CREATE_TRAINING_TASK: CreateTrainingTask(),
    }
)
"""By `commands.kind`."""
