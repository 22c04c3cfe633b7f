"""Queue commands for Scale. Nothing here calls the API: `dispatch` sends them later."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from scalesync.db.caller_transaction import Connection, caller_transaction
from scalesync.mirror.connections import Connected
from scalesync.models.commands import Enqueued

if TYPE_CHECKING:
    # Slow to import, and a sync does not need them.
    from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate
    from scalesync.queue.file_commands import FileOptions
    from scalesync.queue.management import Queue
    from scalesync.queue.transaction import BatchOptions, ProjectOptions, TaskOptions, Transaction


class Submissions(Connected):
    """Methods of `Mirror` that queue commands, one or several in a transaction. Errors: see Transaction."""

    @property
    def queue(self) -> "Queue":
        """The queue: list commands, explain why they wait, retry, discard, pause."""
        from scalesync.queue.management import Queue

        return Queue(self.connections().database)

    @contextmanager
    def transaction(self, connection: Connection | None = None) -> "Iterator[Transaction]":
        """Yield a transaction that queues several commands: all of them at its end, or none.

        With the caller's own SQLAlchemy `connection` to a mirror's database, the caller commits; an error
        rolls back the commands of this block and nothing else.
        """
        from scalesync.queue.transaction import Transaction

        if connection is not None:
            with caller_transaction(connection) as conn:
                yield Transaction(conn)
            return
        with self.connections().database() as database, database.write(durable=True) as conn:
            yield Transaction(conn)

    def within(self, connection: Connection) -> "AbstractContextManager[Transaction]":
        """Return `transaction(connection)`, which replaces this deprecated name."""
        warnings.warn("Use Mirror.transaction(connection).", DeprecationWarning, stacklevel=2)
        return self.transaction(connection)

    def submit(self, given: Iterable[bytes | Mapping[str, Any]], template: "TaskTemplate") -> "SubmitResult":
        """Queue a task for each JSON line or mapping, with the template's settings; all of them, or none.

        Raises SubmissionError, whose `.problems` name every invalid one by its number.
        """
        from scalesync.queue import bulk_submit

        # The source is read to its end before the write transaction begins: others can write meanwhile.
        with (
            self.connections().database() as database,
            bulk_submit.validate(given, template) as spool,
            database.write(durable=True) as conn,
        ):
            return bulk_submit.enqueue(conn, spool)

    def create_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        **options: "Unpack[TaskOptions]",
    ) -> Enqueued:
        """Queue a task of any type; `body` is that of `POST /task/{type}`, with project, batch, unique_id."""
        with self.transaction() as tx:
            return tx.create_task(type, body, **options)

    def create_tasks(
        self,
        type: str,  # noqa: A002 - Scale's word
        bodies: Iterable[Mapping[str, Any]],
        *,
        unique_id_field: str | None = None,
        **options: "Unpack[TaskOptions]",
    ) -> "SubmitResult":
        """Queue many tasks in constant memory; all of them, or none. Raises SubmissionError."""
        from scalesync.queue.bulk_submit import TaskTemplate

        return self.submit(bodies, TaskTemplate(type, unique_id_field=unique_id_field, **options))

    def cancel_task(
        self, task_id: str | None = None, *, unique_id: str | None = None, clear_unique_id: bool = False
    ) -> Enqueued:
        """Queue the cancel of a task, by id or unique_id; withdraw its create if that was never sent."""
        with self.transaction() as tx:
            return tx.cancel_task(task_id, unique_id=unique_id, clear_unique_id=clear_unique_id)

    def cancel_tasks(
        self, task_ids: Iterable[str] = (), *, unique_ids: Iterable[str] = (), clear_unique_id: bool = False
    ) -> "SubmitResult":
        """Queue the cancels of many tasks by ids or unique_ids; all of them, or none."""
        with self.transaction() as tx:
            return tx.cancel_tasks(task_ids, unique_ids=unique_ids, clear_unique_id=clear_unique_id)

    def cancel_batch(self, name: str, *, clear_unique_id: bool = False) -> "SubmitResult":
        """Queue the cancels of a batch's tasks that are pending in the mirror or queued."""
        with self.transaction() as tx:
            return tx.cancel_tasks(batch=name, clear_unique_id=clear_unique_id)

    def audit_task(
        self,
        task_id: str | None = None,
        *,
        unique_id: str | None = None,
        accepted: bool,
        comments: str | None = None,
    ) -> Enqueued:
        """Queue the review of a completed task: accept or reject it, with comments for its annotators."""
        with self.transaction() as tx:
            return tx.audit_task(task_id, unique_id=unique_id, accepted=accepted, comments=comments)

    def send_callback(self, task_id: str | None = None, *, unique_id: str | None = None) -> Enqueued:
        """Queue a request to send the callback of a task again."""
        with self.transaction() as tx:
            return tx.send_callback(task_id, unique_id=unique_id)

    def create_evaluation_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        *,
        allow_duplicates: bool = False,
    ) -> Enqueued:
        """Queue a task with an `expected_response`, by which annotators are checked (Rapid projects)."""
        with self.transaction() as tx:
            return tx.create_evaluation_task(type, body, allow_duplicates=allow_duplicates)

    def create_training_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        *,
        allow_duplicates: bool = False,
    ) -> Enqueued:
        """Queue a task with an `expected_response`, by which annotators are trained (Rapid projects)."""
        with self.transaction() as tx:
            return tx.create_training_task(type, body, allow_duplicates=allow_duplicates)

    def set_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue the tags of a task, in place of all that it has."""
        with self.transaction() as tx:
            return tx.set_task_tags(task_id, unique_id=unique_id, tags=tags)

    def add_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue tags to be added to those of a task."""
        with self.transaction() as tx:
            return tx.add_task_tags(task_id, unique_id=unique_id, tags=tags)

    def delete_task_tags(
        self, task_id: str | None = None, *, unique_id: str | None = None, tags: Iterable[str]
    ) -> Enqueued:
        """Queue tags to be removed from a task."""
        with self.transaction() as tx:
            return tx.delete_task_tags(task_id, unique_id=unique_id, tags=tags)

    def set_task_metadata(
        self, task_id: str | None = None, *, unique_id: str | None = None, metadata: Mapping[str, Any]
    ) -> Enqueued:
        """Queue the metadata of a task, in place of all that it has."""
        with self.transaction() as tx:
            return tx.set_task_metadata(task_id, unique_id=unique_id, metadata=metadata)

    def update_task_unique_id(
        self, task_id: str | None = None, *, unique_id: str | None = None, new_unique_id: str
    ) -> Enqueued:
        """Queue another unique_id for a task."""
        with self.transaction() as tx:
            return tx.update_task_unique_id(task_id, unique_id=unique_id, new_unique_id=new_unique_id)

    def clear_task_unique_id(self, task_id: str | None = None, *, unique_id: str | None = None) -> Enqueued:
        """Queue the removal of a task's unique_id, so that another task can have it."""
        with self.transaction() as tx:
            return tx.clear_task_unique_id(task_id, unique_id=unique_id)

    def create_batch(self, name: str, project: str, **more: "Unpack[BatchOptions]") -> Enqueued:
        """Queue the create of a batch; it waits for its project's create if that is queued."""
        with self.transaction() as tx:
            return tx.create_batch(name, project, **more)

    def finalize_batch(self, name: str) -> Enqueued:
        """Queue the finalize of a batch behind its queued tasks; further tasks for it are refused."""
        with self.transaction() as tx:
            return tx.finalize_batch(name)

    def set_batch_metadata(self, name: str, metadata: Mapping[str, Any]) -> Enqueued:
        """Queue the metadata of a batch, in place of all that it has."""
        with self.transaction() as tx:
            return tx.set_batch_metadata(name, metadata)

    def create_project(
        self,
        name: str,
        type: str,  # noqa: A002 - Scale's word
        params: Mapping[str, Any],
        **more: "Unpack[ProjectOptions]",
    ) -> Enqueued:
        """Queue the create of a project for tasks of one type, with its first parameters."""
        with self.transaction() as tx:
            return tx.create_project(name, type, params, **more)

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Enqueued:
        """Queue new parameters of a project; they replace the latest ones or (`patch`) merge into them."""
        with self.transaction() as tx:
            return tx.update_project(name, params, patch=patch)

    def import_file(self, file_url: str, **fields: "Unpack[FileOptions]") -> Enqueued:
        """Queue the import of a file, which Scale fetches from a URL."""
        with self.transaction() as tx:
            return tx.import_file(file_url, **fields)

    def upload_file(self, path: str | os.PathLike[str], **fields: "Unpack[FileOptions]") -> Enqueued:
        """Queue the upload of a file, which is read again when it is sent, and must be the same then."""
        with self.transaction() as tx:
            return tx.upload_file(path, **fields)
