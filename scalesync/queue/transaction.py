"""One database transaction that commands are queued in: all of them, or none."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from scalesync.db.caller_transaction import Connection, savepoint
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import BATCHES
from scalesync.db.queue import enqueue, listing
from scalesync.errors import QueueError
from scalesync.models.commands import Enqueued, NewCommand
from scalesync.queue import bulk_submit, new_commands
from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate


class TaskOptions(TypedDict, total=False):
    """How tasks are queued."""

    allow_duplicates: bool
    """Whether a task without a unique_id is another one each time. Otherwise it gets a unique_id that is the
    same for the same type, project and content, so that queueing it again does nothing."""
    priority: int
    """Commands of lower priority are sent first; 0 unless given."""


class BatchOptions(TypedDict, total=False):
    """What `POST /batches` takes besides name and project (documented)."""

    callback: str | None
    """Where Scale reports to: a URL or an e-mail address."""
    metadata: Mapping[str, Any] | None
    calibration_batch: bool | None
    self_label_batch: bool | None


class ProjectOptions(TypedDict, total=False):
    """What `POST /projects` takes besides name, type and params (documented)."""

    rapid: bool | None
    studio: bool | None


class Transaction:
    """Queues commands; they are in the queue once the transaction is committed, and nowhere before.

    Nothing here talks to the API. Each method raises ConflictError where the same name is queued or mirrored
    with other content, BatchSealedError where the batch is being finalized, and QueueError for what cannot be
    sent; the same content under the same name is not queued twice, see `Enqueued`.
    """

    def __init__(self, conn: Connection) -> None:
        """Queue through a connection whose transaction somebody else ends."""
        self._conn = conn

    def enqueue(self, order: NewCommand) -> Enqueued:
        """Queue a command that was made by `scalesync.queue.new_commands`."""
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
        """Queue many tasks, in flat memory; raise SubmissionError, which names every bad one, and queue none.

        `unique_id_field` names the field, with dots into objects, that holds each task's unique_id.
        """
        recipe = TaskTemplate(type, unique_id_field=unique_id_field, **options)
        with bulk_submit.validate(bodies, recipe) as spool:
            return bulk_submit.enqueue(self._conn, spool)

    def cancel_task(
        self, task_id: str | None = None, *, unique_id: str | None = None, clear_unique_id: bool = False
    ) -> Enqueued:
        """Queue the canceling of a task, known by its id or its unique_id; a create never sent is withdrawn.

        `clear_unique_id` frees the unique_id for another task.
        """
        if task_id is not None and unique_id is None:
            unique_id = enqueue.unique_ids(self._conn, [task_id]).get(task_id)
        order = new_commands.cancel_task(
            task_id=task_id, unique_id=unique_id, clear_unique_id=clear_unique_id
        )
        return enqueue.enqueue(self._conn, order)

    def cancel_tasks(
        self,
        task_ids: Iterable[str] = (),
        *,
        unique_ids: Iterable[str] = (),
        batch: str | None = None,
        clear_unique_id: bool = False,
    ) -> SubmitResult:
        """Queue the canceling of tasks by their ids, their unique_ids, and all of a batch; all, or none.

        Of a batch it takes what is pending in the mirror or still queued here. Raises QueueError for a batch
        that neither holds.
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

    def create_batch(self, name: str, project: str, **more: Unpack[BatchOptions]) -> Enqueued:
        """Queue a batch; if its project is queued here, the batch waits for it."""
        return enqueue.enqueue(self._conn, new_commands.create_batch(name, project, **more))

    def finalize_batch(self, name: str) -> Enqueued:
        """Queue the finalizing of a batch, after every task that is queued for it; it takes no more."""
        return enqueue.enqueue(self._conn, new_commands.finalize_batch(name))

    def create_project(
        self,
        name: str,
        type: str,  # noqa: A002 - Scale's word
        params: Mapping[str, Any],
        **more: Unpack[ProjectOptions],
    ) -> Enqueued:
        """Queue a project for tasks of one type, with its first parameters."""
        return enqueue.enqueue(self._conn, new_commands.create_project(name, type, params, **more))

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Enqueued:
        """Queue new parameters of a project, in place of the latest ones or (`patch`) merged over them."""
        return enqueue.enqueue(self._conn, new_commands.update_project(name, params, patch=patch))

    def _tasks_of(self, batch: str) -> list[tuple[str | None, str | None]]:
        """Return (task_id, unique_id) of what can be canceled of a batch; a queued create has no task_id."""
        pending, creates = enqueue.pending_tasks(self._conn, batch), enqueue.queued_creates(self._conn, batch)
        known = pending or creates or query.find(self._conn, BATCHES, batch)
        if not known and next(listing.list_commands(self._conn, batch=batch, limit=1), None) is None:
            msg = f"There is no batch {batch!r} in the mirror or in the queue."
            raise QueueError(msg, advice="If it is new at Scale, run `scalesync sync` first.")
        return [*pending, *((None, unique_id) for unique_id in creates)]
