"""The writing methods of a ScaleClient for what the mirror does not have: files, quality tasks, callbacks."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalesync.client.objects import EvaluationTask, Fields, File, Task, TrainingTask
from scalesync.client.task_filters import value_of
from scalesync.client.writes import Writes
from scalesync.errors import ConfigurationError, ScaleDuplicateResource
from scalesync.models.commands import Enqueued

if TYPE_CHECKING:
    from scalesync.queue.transaction import Transaction


class UnmirroredWrites(Writes):
    """Methods that make what Scale has no way to ask for; see `Writes`.

    A write without an answer is repeated only if the API takes it once. Otherwise it is held in the queue,
    and raises ScaleNoAnswer.
    """

    # Files --------------------------------------------------------------------------------------------------

    def upload_file(self, file: Any, **fields: Any) -> File:
        """Upload a file, given as its path or as an open file that has one, and return it.

        A file that is only queued has a reference as its `attachment_url`, which tasks can refer to. Without
        a reference_id the same content is the same file. Raises ConfigurationError for a file without a path.
        """
        path = _path_of(file)
        return self._file(fields, lambda tx: tx.upload_file(path, **fields))

    def import_file(self, file_url: str, **fields: Any) -> File:
        """Have Scale fetch a file, and return it; see `upload_file`."""
        return self._file(fields, lambda tx: tx.import_file(file_url, **fields))

    def _file(self, fields: Fields, add: "Callable[[Transaction], Enqueued]") -> File:
        written = self._write(add)
        if fields.get("reference_id") and not written.queued.new:
            raise ScaleDuplicateResource(f"The reference_id {fields['reference_id']!r} is already used.")
        command_id, result = written.queued.command_id, written.result
        if result is None and command_id is not None:
            # A file that was queued before may be at Scale already.
            result = self.mirror.queue.result(command_id)
        queued = {"id": None, "attachment_url": written.queued.attachment}
        return File({**fields, **queued, **(result or {})}, self)

    # Quality tasks and callbacks ----------------------------------------------------------------------------

    def create_evaluation_task(self, task_type: Any, **body: Any) -> EvaluationTask:
        """Create a task with an `expected_response`, by which annotators are checked (Rapid projects)."""
        return EvaluationTask(self._quality_task("create_evaluation_task", task_type, body), self)

    def create_training_task(self, task_type: Any, **body: Any) -> TrainingTask:
        """Create a task with an `expected_response`, by which annotators are trained (Rapid projects)."""
        return TrainingTask(self._quality_task("create_training_task", task_type, body), self)

    def _quality_task(self, method: str, task_type: Any, body: Fields) -> Fields:
        kind, other = str(value_of(task_type)), "unique_id" not in body
        created, _ = self._create(
            lambda tx: getattr(tx, method)(kind, body, allow_duplicates=other),
            f"The unique_id {body.get('unique_id')!r} is already used.",
        )
        return {**body, "type": kind, "id": None, **(created.result or {})}

    def send_callback(self, task_id: "str | Task") -> None:
        """Have the callback of a task sent again; the official client has no such method."""
        self._changed(task_id, lambda tx, named: tx.send_callback(**named))


def _path_of(file: Any) -> str | os.PathLike[str]:
    """Return the path of a file. Raises ConfigurationError for what is not the file at its path."""
    if isinstance(file, str | os.PathLike):
        return file
    try:
        path = file.name
        if isinstance(path, str) and os.path.samestat(os.fstat(file.fileno()), Path(path).stat()):
            return path
    except (AttributeError, OSError, ValueError):
        pass
    msg = "What has no path cannot be uploaded: the queue reads the file again when it is sent."
    raise ConfigurationError(msg, advice="Write it to a file first, and give its path.")
