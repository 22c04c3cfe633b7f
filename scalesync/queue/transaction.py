"""Queue commands in one database transaction: all of them are queued, or none. Part of the Python API."""

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from scalesync.db.caller_transaction import Connection, savepoint
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import BATCHES
from scalesync.db.queue import enqueue, listing, mirror_lookup
from scalesync.errors import QueueError
from scalesync.models import attachments
from scalesync.models.commands import CommandKind, Enqueued, NewCommand
from scalesync.queue import bulk_submit, file_commands, new_commands
from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate
from scalesync.queue.file_commands import FileOptions


class TaskOptions(TypedDict, total=False):
    """Options for queueing tasks."""

    allow_duplicates: bool
    """Whether a task without a unique_id is a new one each time. Otherwise its unique_id is made from type,
    project and content, so that queueing it again does nothing."""
    priority: int
    """Commands of lower priority are sent first; 0 unless given."""


class BatchOptions(TypedDict, total=False):
    """Fields of `POST /batches` besides name and project (documented)."""

    callback: str | None
    """A URL or an e-mail address that Scale reports to."""
    metadata: Mapping[str, Any] | None
    calibration_batch: bool | None
    self_label_batch: bool | None


class ProjectOptions(TypedDict, total=False):
    """Fields of `POST /projects` besides name, type and params (documented)."""

    rapid: bool | None
    studio: bool | None
    dataset_id: str | None
    """The dataset that its tasks belong to."""


class Transaction:
    """Methods that queue commands; dispatchers see them once the transaction is committed.

    Nothing here calls the API. Each method raises ConflictError if the same name is queued or mirrored with
    other content, BatchSealedError if the batch is being finalized, and QueueError for invalid content; the
    same content under the same name is not queued twice, see `Enqueued`.
    """

    def __init__(self, conn: Connection) -> None:
        """Use a connection whose transaction the caller commits or rolls back."""
        self._conn = conn

    def enqueue(self, order: NewCommand) -> Enqueued:
        """Queue a command from `scalesync.queue.new_commands`."""
        return enqueue.enqueue(self._conn, order)

    def create_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        **options: Unpack[TaskOptions],
    ) -> Enqueued:
        """Queue a task of any type; `body` is that of `POST /task/{type}`, with project, batch, unique_id."""
        return enqueue.enqueue(self._conn, TaskTemplate(type, **options).to_command(body))

    def create_tasks(
        self,
        type: str,  # noqa: A002 - Scale's word
        bodies: Iterable[Mapping[str, Any]],
        *,
        unique_id_field: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> SubmitResult:
        """Queue many tasks in constant memory; raise SubmissionError with all problems, and queue none.

        `unique_id_field` names the field, with dots into objects, that holds each task's unique_id.
        """
        template = TaskTemplate(type, unique_id_field=unique_id_field, **options)
        with bulk_submit.validate(bodies, template) as spool:
            return bulk_submit.enqueue(self._conn, spool)

    def cancel_task(
        self, task_id: str | None = None, *, unique_id: str | None = None, clear_unique_id: bool = False
    ) -> Enqueued:
        """Queue the cancel of a task, by id or unique_id; withdraw its create if that was never sent.

        `clear_unique_id` frees the unique_id for another task.
        """
        named = self._named(task_id, unique_id)
        return self.enqueue(new_commands.cancel_task(**named, clear_unique_id=clear_unique_id))

    def cancel_tasks(
        self,
        task_ids: Iterable[str] = (),
        *,
        unique_ids: Iterable[str] = (),
        batch: str | None = None,
        clear_unique_id: bool = False,
    ) -> SubmitResult:
        """Queue the cancels of tasks by ids, unique_ids and batch; all of them, or none.

        For a batch: its tasks that are pending in the mirror or queued. Raises QueueError for an unknown one.
        """
        named: list[tuple[str | None, str | None]] = [(task_id, None) for task_id in task_ids]
        named += [(None, unique_id) for unique_id in unique_ids]
        if batch is not None:
            named += self._tasks_of(batch)
        submitted = SubmitResult()
        with savepoint(self._conn):
            for task_id, unique_id in named:
                submitted.add(self.cancel_task(task_id, unique_id=unique_id, clear_unique_id=clear_unique_id))
        return submitted

    def audit_task(
        self,
        task_id: str | None = None,
        *,
        unique_id: str | None = None,
        accepted: bool,
        comments: str | None = None,
    ) -> Enqueued:
        """Queue the review of a completed task: accept or reject it, with comments for its annotators."""
        return self.enqueue(
            new_commands.audit_task(**self._named(task_id, unique_id), accepted=accepted, comments=comments)
        )

    def send_callback(self, task_id: str | None = None, *, unique_id: str | None = None) -> Enqueued:
        """Queue a request to send the callback of a task again."""
        return self.enqueue(new_commands.send_callback(**self._named(task_id, unique_id)))

    def create_evaluation_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        *,
        allow_duplicates: bool = False,
    ) -> Enqueued:
        """Queue a task with an `expected_response`, by which annotators are checked (Rapid projects)."""
        return self._quality_task(CommandKind.CREATE_EVALUATION_TASK, type, body, allow_duplicates)

    def create_training_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        *,
        allow_duplicates: bool = False,
    ) -> Enqueued:
        """Queue a task with an `expected_response`, by which annotators are trained (Rapid projects)."""
        return self._quality_task(CommandKind.CREATE_TRAINING_TASK, type, body, allow_duplicates)

    def _quality_task(
        self, kind: CommandKind, task_type: str, body: Mapping[str, Any], allow_duplicates: bool
    ) -> Enqueued:
        duplicate = uuid.uuid4().hex if allow_duplicates else None
        return self.enqueue(new_commands.create_quality_task(kind, task_type, body, duplicate=duplicate))

    def set_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue the tags of a task, in place of all that it has."""
        return self.enqueue(
            new_commands.change_tags(CommandKind.SET_TASK_TAGS, tags, **self._named(task_id, unique_id))
        )

    def add_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue tags to be added to those of a task."""
        return self.enqueue(
            new_commands.change_tags(CommandKind.ADD_TASK_TAGS, tags, **self._named(task_id, unique_id))
        )

    def delete_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue tags to be removed from a task."""
        return self.enqueue(
            new_commands.change_tags(CommandKind.DELETE_TASK_TAGS, tags, **self._named(task_id, unique_id))
        )

    def set_task_metadata(
        self, task_id: str | None = None, *, unique_id: str | None = None, metadata: Mapping[str, Any]
    ) -> Enqueued:
        """Queue the metadata of a task, in place of all that it has."""
        return self.enqueue(new_commands.set_task_metadata(metadata, **self._named(task_id, unique_id)))

    def update_task_unique_id(
        self, task_id: str | None = None, *, unique_id: str | None = None, new_unique_id: str
    ) -> Enqueued:
        """Queue another unique_id for a task."""
        return self.enqueue(
            new_commands.update_task_unique_id(new_unique_id, **self._named(task_id, unique_id))
        )

    def clear_task_unique_id(self, task_id: str | None = None, *, unique_id: str | None = None) -> Enqueued:
        """Queue the removal of a task's unique_id, so that another task can have it."""
        return self.enqueue(new_commands.clear_task_unique_id(**self._named(task_id, unique_id)))

    def create_batch(self, name: str, project: str, **more: Unpack[BatchOptions]) -> Enqueued:
        """Queue the create of a batch; it waits for its project's create if that is queued."""
        return enqueue.enqueue(self._conn, new_commands.create_batch(name, project, **more))

    def finalize_batch(self, name: str) -> Enqueued:
        """Queue the finalize of a batch behind its queued tasks; further tasks for it are refused."""
        return enqueue.enqueue(self._conn, new_commands.finalize_batch(name))

    def set_batch_metadata(self, name: str, metadata: Mapping[str, Any]) -> Enqueued:
        """Queue the metadata of a batch, in place of all that it has."""
        return self.enqueue(new_commands.set_batch_metadata(name, metadata))

    def create_project(
        self,
        name: str,
        type: str,  # noqa: A002 - Scale's word
        params: Mapping[str, Any],
        **more: Unpack[ProjectOptions],
    ) -> Enqueued:
        """Queue the create of a project for tasks of one type, with its first parameters."""
        return enqueue.enqueue(self._conn, new_commands.create_project(name, type, params, **more))

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Enqueued:
        """Queue new parameters of a project; they replace the latest ones or (`patch`) merge into them."""
        return enqueue.enqueue(self._conn, new_commands.update_project(name, params, patch=patch))

    def import_file(self, file_url: str, **fields: Unpack[FileOptions]) -> Enqueued:
        """Queue the import of a file, which Scale fetches; `.attachment` stands for it in tasks."""
        return self._file(file_commands.import_file(file_url, **fields))

    def upload_file(self, path: str | os.PathLike[str], **fields: Unpack[FileOptions]) -> Enqueued:
        """Queue the upload of a file, which must be the same when it is sent; `.attachment` as above."""
        return self._file(file_commands.upload_file(path, **fields))

    def _file(self, order: NewCommand) -> Enqueued:
        return replace(self.enqueue(order), attachment=attachments.reference(order.resource))

    def _named(self, task_id: str | None, unique_id: str | None) -> dict[str, str | None]:
        """Return a task's names, with the unique_id that the mirror has for its id."""
        # By unique_id a change gets the same resource as the task's create, and stays in order behind it.
        if task_id is not None and unique_id is None:
            unique_id = mirror_lookup.unique_ids(self._conn, [task_id]).get(task_id)
        return {"task_id": task_id, "unique_id": unique_id}

    def _tasks_of(self, batch: str) -> list[tuple[str | None, str | None]]:
        """Return (task_id, unique_id) of a batch's cancelable tasks; a queued create has no task_id."""
        pending = mirror_lookup.pending_tasks(self._conn, batch)
        creates = enqueue.queued_creates(self._conn, batch)
        known = pending or creates or query.find(self._conn, BATCHES, batch)
        if not known and next(listing.list_commands(self._conn, batch=batch, limit=1), None) is None:
            msg = f"There is no batch {batch!r} in the mirror or in the queue."
            raise QueueError(msg, advice="If it is new at Scale, run `scalesync sync` first.")
        return [*pending, *((None, unique_id) for unique_id in creates)]
