"""Queue what is to be done at Scale. Nothing here talks to the API: `dispatch` sends it later."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from scalesync.db.caller_transaction import Connection, caller_transaction
from scalesync.mirror.connections import Connections
from scalesync.models.commands import Enqueued

if TYPE_CHECKING:
    # A sync does without the queue.
    from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate
    from scalesync.queue.management import Queue
    from scalesync.queue.transaction import BatchOptions, ProjectOptions, TaskOptions, Transaction


class Submissions:
    """Queues commands, each in a transaction of its own or several in one. See Transaction for errors."""

    def connections(self) -> Connections:
        """Return what opens the database for one call."""
        raise NotImplementedError

    @property
    def queue(self) -> "Queue":
        """Return the queue: what is in it, why it waits, and how to mend it."""
        from scalesync.queue.management import Queue

        return Queue(self.connections().database)

    @contextmanager
    def transaction(self, connection: Connection | None = None) -> "Iterator[Transaction]":
        """Yield a transaction in which several commands are queued: all of them at its end, or none.

        With the caller's own SQLAlchemy `connection` to a mirror's database, what is queued is there if and
        when the caller commits; an error undoes what the block queued and nothing else.
        """
        from scalesync.queue.transaction import Transaction

        if connection is not None:
            with caller_transaction(connection) as conn:
                yield Transaction(conn)
            return
        with self.connections().database() as database, database.write(durable=True) as conn:
            yield Transaction(conn)

    def within(self, connection: Connection) -> "AbstractContextManager[Transaction]":
        """Return `transaction(connection)`. Deprecated: use that."""
        warnings.warn("Use Mirror.transaction(connection).", DeprecationWarning, stacklevel=2)
        return self.transaction(connection)

    def submit(self, given: Iterable[bytes | Mapping[str, Any]], template: "TaskTemplate") -> "SubmitResult":
        """Queue a task for each line of JSON or mapping, made after the template; all of them, or none.

        Nothing is written to the database before the last of them has come. Raises SubmissionError, whose
        `.problems` name every bad one by its place.
        """
        from scalesync.queue import bulk_submit

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
        """Queue many tasks in flat memory, as `submit` does."""
        from scalesync.queue.bulk_submit import TaskTemplate

        return self.submit(bodies, TaskTemplate(type, unique_id_field=unique_id_field, **options))

    def cancel_task(
        self, task_id: str | None = None, *, unique_id: str | None = None, clear_unique_id: bool = False
    ) -> Enqueued:
        """Queue the canceling of a task, by its id or unique_id; a create never sent is withdrawn."""
        with self.transaction() as tx:
            return tx.cancel_task(task_id, unique_id=unique_id, clear_unique_id=clear_unique_id)

    def cancel_tasks(
        self,
        task_ids: Iterable[str] = (),
        *,
        unique_ids: Iterable[str] = (),
        clear_unique_id: bool = False,
    ) -> "SubmitResult":
        """Queue the canceling of many tasks by their ids or unique_ids: of all, or of none."""
        with self.transaction() as tx:
            return tx.cancel_tasks(task_ids, unique_ids=unique_ids, clear_unique_id=clear_unique_id)

    def cancel_batch(self, name: str, *, clear_unique_id: bool = False) -> "SubmitResult":
        """Queue the canceling of every task of a batch that is pending here or still queued."""
        with self.transaction() as tx:
            return tx.cancel_tasks(batch=name, clear_unique_id=clear_unique_id)

    def create_batch(self, name: str, project: str, **more: "Unpack[BatchOptions]") -> Enqueued:
        """Queue a batch; if its project is queued here, it waits for that."""
        with self.transaction() as tx:
            return tx.create_batch(name, project, **more)

    def finalize_batch(self, name: str) -> Enqueued:
        """Queue the finalizing of a batch, after every task queued for it; it takes no more."""
        with self.transaction() as tx:
            return tx.finalize_batch(name)

    def create_project(
        self,
        name: str,
        type: str,  # noqa: A002 - Scale's word
        params: Mapping[str, Any],
        **more: "Unpack[ProjectOptions]",
    ) -> Enqueued:
        """Queue a project for tasks of one type, with its first parameters."""
        with self.transaction() as tx:
            return tx.create_project(name, type, params, **more)

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Enqueued:
        """Queue new parameters of a project, in place of the latest or (`patch`) merged over them."""
        with self.transaction() as tx:
            return tx.update_project(name, params, patch=patch)
