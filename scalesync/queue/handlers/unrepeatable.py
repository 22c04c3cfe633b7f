"""Handlers for what the API does a second time, and cannot be asked about: quality tasks and callbacks.

Hazard: after a request without an answer nobody can see whether it was applied. Such a command is held, and
only a person's retry sends it again.
"""

from typing import ClassVar

from scalesync.api.client import ScaleApi
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.payload_comparison import same
from scalesync.queue.handlers import interface
from scalesync.queue.handlers.task_changes import Fields, TaskChange

_PERHAPS = "was sent without an answer, and Scale cannot be asked whether it did it. Retry this command to"
_UNSEEN_TASK = f"This task {_PERHAPS} create the task again, perhaps for the second time, or discard it."
_UNSEEN_CALLBACK = f"This request {_PERHAPS} have the callback sent again, or discard it."


class CreateQualityTask(interface.CommandHandler):
    """`POST /evaluation_tasks/{type}` or `/training_tasks/{type}`: no list and no key is documented."""

    stream = None
    result_fields = ("id",)
    rejects_402 = True
    unseen: ClassVar = interface.Unseen(_UNSEEN_TASK)
    route: ClassVar[str]

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Create the task."""
        return api.create(self.route, payload["type"], payload=payload["body"])

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer has an id, and our unique_id and expected response where it has any."""
        body, fields = interface.payload_of(command)["body"], interface.fields_of(answer)
        ours, theirs = ({"it": each.get("expected_response")} for each in (body, fields))
        alike = fields.get("unique_id") in (None, body.get("unique_id"))
        return alike and self.result(answer) is not None and (theirs["it"] is None or same(ours, theirs))

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:  # noqa: ARG002 - nothing to ask
        """Return that it cannot be seen."""
        return self.unseen


class CreateEvaluationTask(CreateQualityTask):
    """A task by which annotators are checked."""

    route = "evaluation_tasks/{}"


class CreateTrainingTask(CreateQualityTask):
    """A task by which annotators are trained."""

    route = "training_tasks/{}"


class SendCallback(TaskChange):
    """`POST /task/{id}/send-callback`: have the callback of a task sent again. A bare `OK` is believed."""

    stream = None
    result_fields = ("task_id",)
    unseen: ClassVar = interface.Unseen(_UNSEEN_CALLBACK)

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Ask for the callback."""
        return api.change_task(payload["task_id"], "send-callback")

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:  # noqa: ARG002 - never known
        """Return False: an earlier callback shows as much as this one."""
        return False

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is about the command's task."""
        named = interface.payload_of(command)["task_id"]
        return bool(interface.fields_of(answer).get("task_id") == named)

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:  # noqa: ARG002 - nothing to ask
        """Return that it cannot be seen."""
        return self.unseen
