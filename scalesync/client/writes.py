"""The writing methods of a ScaleClient: sent at once, queued, or refused, as `writes` says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scalesync.client.objects import Batch, Fields, Project, Task
from scalesync.client.task_filters import value_of
from scalesync.errors import (
    ConfigurationError,
    ConflictError,
    QueueError,
    ScaleDuplicateResource,
    ScaleException,
    ScaleInvalidRequest,
    ScaleNoAnswer,
)
from scalesync.json_sanitizing import read_json
from scalesync.mirror import Mirror
from scalesync.models.commands import CommandState, Enqueued
from scalesync.models.queue_state import DiscardAnswer

if TYPE_CHECKING:
    from scalesync.queue.transaction import Transaction

WriteMode = Literal["send", "queue", "refuse"]
"""What becomes of a write: sent at once and waited for, queued for `dispatch`, or refused."""

ONLY_READS = "This client only reads."
WRITING = 'Make it with writes="send" or writes="queue".'
"""Sentence and advice of a client that refuses writes."""

_TASK_TYPES = (
    "annotation", "audiotranscription", "categorization", "comparison", "cuboidannotation", "datacollection",
    "documentmodel", "documenttranscription", "imageannotation", "laneannotation", "lidarannotation",
    "lidarlinking", "lidarsegmentation", "lidartopdown", "lineannotation", "namedentityrecognition",
    "phonecall", "pointannotation", "polygonannotation", "segmentannotation", "sensorfusion",
    "textcollection", "transcription", "videoannotation", "videoboxannotation", "videocuboidannotation",
    "videoplaybackannotation",
)  # fmt: skip
"""The types for which older clients had a method `create_<type>_task`."""


def _still_queued(command_id: int) -> str:
    return f"Command {command_id} stays in the queue: `scalesync queue why {command_id}` says more."


@dataclass(frozen=True, slots=True)
class Written:
    """What has become of a write."""

    queued: Enqueued
    result: Fields | None = None
    """The result of its command, such as a task_id; None: it was only queued, or there was nothing to do."""


class Writes:
    """Methods that change something at Scale, each exactly once.

    With `writes="send"` a method waits until its command has ended, and returns the object or raises the
    API's error. With `"queue"` it returns at once what will be: a task has no id yet, see `Task.refresh`.
    """

    mirror: Mirror
    writes: WriteMode
    patience: float | None
    """Seconds without an answer after which a write is left to the queue."""

    # Tasks --------------------------------------------------------------------------------------------------

    def create_task(self, task_type: Any, **body: Any) -> Task:
        """Create a task of a type, given as its name or as a `TaskType`.

        A task without a unique_id gets one, so that it cannot be made twice. Raises ScaleDuplicateResource
        for a unique_id that is taken.
        """
        kind = str(value_of(task_type))
        created, command_id = self._create(
            lambda tx: tx.create_task(kind, body, allow_duplicates="unique_id" not in body),
            f"The unique_id {body.get('unique_id')!r} is already used.",
        )
        fields = {**body, "type": kind, "status": "pending"}
        if not fields.get("unique_id"):
            resource = self.mirror.queue.show(command_id).shown.command.resource
            fields["unique_id"] = resource.removeprefix("task:")
        return self._task(created, fields)

    def __getattr__(self, name: str) -> Callable[..., Task]:
        """Return `create_<type>_task` of older clients."""
        kind = name.removeprefix("create_").removesuffix("_task")
        if name == f"create_{kind}_task" and kind in _TASK_TYPES:
            return lambda **body: self.create_task(kind, **body)
        raise AttributeError(f"A ScaleClient has no {name!r}.")

    def cancel_task(self, task_id: "str | Task", clear_unique_id: bool = False) -> Task:
        """Cancel a pending task, and return it."""
        return self._changed(
            task_id, lambda tx, named: tx.cancel_task(**named, clear_unique_id=clear_unique_id)
        )

    def audit_task(self, task_id: "str | Task", accepted: bool, comments: str | None = None) -> None:
        """Accept or reject a completed task."""
        self._changed(task_id, lambda tx, named: tx.audit_task(**named, accepted=accepted, comments=comments))

    def update_task_unique_id(self, task_id: "str | Task", unique_id: str) -> Task:
        """Give a task another unique_id, and return it. Raises ScaleDuplicateResource if that is taken."""
        return self._changed(
            task_id, lambda tx, named: tx.update_task_unique_id(**named, new_unique_id=unique_id)
        )

    def clear_task_unique_id(self, task_id: "str | Task") -> Task:
        """Take a task's unique_id away, and return the task."""
        return self._changed(task_id, lambda tx, named: tx.clear_task_unique_id(**named))

    def set_task_metadata(self, task_id: "str | Task", metadata: Fields) -> Task:
        """Replace a task's metadata, and return the task."""
        return self._changed(task_id, lambda tx, named: tx.set_task_metadata(**named, metadata=metadata))

    def set_task_tags(self, task_id: "str | Task", tags: Iterable[str]) -> Task:
        """Replace a task's tags, and return the task."""
        return self._changed(task_id, lambda tx, named: tx.set_task_tags(**named, tags=tags))

    def add_task_tags(self, task_id: "str | Task", tags: Iterable[str]) -> Task:
        """Add tags to a task, and return it."""
        return self._changed(task_id, lambda tx, named: tx.add_task_tags(**named, tags=tags))

    def delete_task_tags(self, task_id: "str | Task", tags: Iterable[str]) -> Task:
        """Remove tags from a task, and return it."""
        return self._changed(task_id, lambda tx, named: tx.delete_task_tags(**named, tags=tags))

    # Batches and projects -----------------------------------------------------------------------------------

    def create_batch(
        self,
        project: str,
        batch_name: str,
        callback: str = "",
        calibration_batch: bool = False,
        self_label_batch: bool = False,
        metadata: Fields | None = None,
    ) -> Batch:
        """Create a batch, and return it. Raises ScaleDuplicateResource for a name that is taken."""
        more: Fields = {
            "callback": callback or None,
            "calibration_batch": calibration_batch or None,
            "self_label_batch": self_label_batch or None,
            "metadata": metadata,
        }
        created, _ = self._create(
            lambda tx: tx.create_batch(batch_name, project, **more),
            f"The batch {batch_name!r} is there already.",
        )
        return self._batch(created, batch_name, {"project": project, "status": "staging", **more})

    def finalize_batch(self, batch_name: str) -> Batch:
        """Finalize a batch, and return it."""
        return self._batch(self._write(lambda tx: tx.finalize_batch(batch_name)), batch_name)

    def set_batch_metadata(self, batch_name: str, metadata: Fields) -> Batch:
        """Replace a batch's metadata, and return the batch."""
        written = self._write(lambda tx: tx.set_batch_metadata(batch_name, metadata))
        return self._batch(written, batch_name, {"metadata": metadata})

    def create_project(
        self,
        project_name: str,
        task_type: Any = None,
        params: Fields | None = None,
        rapid: bool = False,
        studio: bool = False,
        dataset_id: str | None = None,
        *,
        type: Any = None,  # noqa: A002 - the name of `task_type` in older clients
    ) -> Project:
        """Create a project, and return it. Raises ScaleDuplicateResource for a name that is taken."""
        more: Fields = {"rapid": rapid or None, "studio": studio or None, "dataset_id": dataset_id}
        given = value_of(task_type or type)
        if given is None:
            raise ScaleInvalidRequest("A project needs the type of its tasks.")
        kind = str(given)
        created, _ = self._create(
            lambda tx: tx.create_project(project_name, kind, params or {}, **more),
            f"The project {project_name!r} is there already.",
        )
        return self._project(created, project_name, {"type": kind, "param_history": []})

    def update_project(self, project_name: str, **params: Any) -> Project:
        """Set a project's params, with `patch=True` only those given, and return the project."""
        patch = params.pop("patch", None)
        written = self._write(lambda tx: tx.update_project(project_name, params, patch=patch))
        return self._project(written, project_name)

    # Send, queue or refuse ----------------------------------------------------------------------------------

    def _create(self, add: "Callable[[Transaction], Enqueued]", taken: str) -> tuple[Written, int]:
        """Queue a create as `_write` does; return what became of it, and its command.

        Raises ScaleDuplicateResource with the sentence `taken` if its object is queued or mirrored already.
        """
        created = self._write(add)
        if created.queued.command_id is None or not created.queued.new:
            raise ScaleDuplicateResource(taken)
        return created, created.queued.command_id

    def _write(self, add: "Callable[[Transaction], Enqueued]") -> Written:
        """Queue one command and, if writes are sent, send it and what it waits for.

        Raises the API's error if it refused the command, and ScaleNoAnswer if the command has not ended.
        """
        if self.writes == "refuse":
            raise ConfigurationError(ONLY_READS, advice=WRITING)
        if self.writes == "send":
            # Before anything is queued: the next dispatch would send it to the account of the mirror.
            self.mirror.check_account()
        try:
            with self.mirror.transaction() as tx:
                queued = add(tx)
        except ConflictError as error:
            raise ScaleDuplicateResource(error.message, advice=error.advice) from error
        except QueueError as error:
            raise ScaleInvalidRequest(error.message, advice=error.advice) from error
        if self.writes != "send" or queued.command_id is None:
            return Written(queued)
        return Written(queued, self._send(queued.command_id))

    def _send(self, command_id: int) -> Fields | None:
        """Send a command and what it waits for, and return its result; None if a delivered one has none."""
        summary = self.mirror.dispatch_only(command_id, patience=self.patience)
        if summary.error is not None:
            # Not sent, or refused with the whole account: the caller is told, and will write it again.
            if self.mirror.queue.discard([command_id])[0].answer is not DiscardAnswer.DISCARDED:
                summary.error.advice = _still_queued(command_id)
            raise summary.error
        try:
            result = self.mirror.queue.result(command_id)
        except ScaleException:
            # The caller gets the refusal. Left dead, the command would hold up what comes behind it, such as
            # the finalize of its batch, and keep its unique_id or name from the next create.
            self.mirror.queue.discard_refused(command_id)
            raise
        if result is not None:
            return result
        waits = self.mirror.queue.why(command_id)
        command = waits[0].command
        # A delivered one may have no result, such as a clear by unique_id whose task nobody finds any more.
        if command.state is CommandState.DELIVERED:
            return None
        if command.left_to_a_person and command.error_code == ScaleDuplicateResource.code:
            raise ScaleDuplicateResource(str(command.hold_reason))
        reason = next((each.reason for each in reversed(waits) if each.reason), "has not ended").rstrip(".")
        raise ScaleNoAnswer(f"Command {command_id} {reason}.", advice=_still_queued(command_id))

    def _changed(
        self, task: "str | Task", add: "Callable[[Transaction, dict[str, str | None]], Enqueued]"
    ) -> Task:
        """Queue a change of a task, and return the task."""
        named: dict[str, str | None] = {"task_id": task if isinstance(task, str) else task.id}
        if named["task_id"] is None:
            # Queued and without an id: the change comes behind the create by its unique_id.
            named["unique_id"] = None if isinstance(task, str) else task.unique_id
        written = self._write(lambda tx: add(tx, named))
        if not isinstance(task, str):
            return task
        return self._task(written, {"task_id": task})

    def _task(self, written: Written, fields: Fields) -> Task:
        """Return the task of a command: from the mirror once it was sent, else as it was queued."""
        return Task(self._known("tasks", written, fields), self, written.queued.command_id)

    def _batch(self, written: Written, name: str, fields: Fields | None = None) -> Batch:
        return Batch(self._known("batches", written, {"name": name, **(fields or {})}), self)

    def _project(self, written: Written, name: str, fields: Fields | None = None) -> Project:
        return Project(self._known("projects", written, {"name": name, **(fields or {})}), self)

    def _known(self, stream: str, written: Written, fields: Fields) -> Fields:
        """Return the object of a command as the mirror has it, with what was queued and not sent yet."""
        name = (written.result or fields).get("task_id" if stream == "tasks" else "name")
        found = None if name is None else self.mirror.document(stream, name)
        known = read_json(found) if found is not None else {}
        return known if written.result and known else {**known, **fields}
