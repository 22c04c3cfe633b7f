"""Handlers for tasks: create by unique_id, and cancel."""

import json
from collections.abc import Mapping
from typing import Any

from scalesync.api.client import ScaleApi
from scalesync.models.api import Document
from scalesync.models.attachments import without_references
from scalesync.models.commands import Command
from scalesync.payload_comparison import first_difference, params_of
from scalesync.queue.handlers import interface
from scalesync.queue.handlers.task_changes import TaskChange, find_by_unique_id, lost_its_name

_ENDED = {"completed": "completed", "error": "given up by Scale (status error)"}
"""Statuses that no cancel changes, in words."""


class CreateTask(interface.CommandHandler):
    """`POST /task/{type}`; a second task with the same unique_id gets 409 (documented)."""

    stream = "tasks"
    rejects_402 = True

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Create the task."""
        return api.create_task(payload["type"], payload["body"])

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is a task with the command's unique_id and type."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        named = (fields.get("unique_id"), fields.get("type"))
        return self.result(answer) is not None and named == (payload["body"]["unique_id"], payload["type"])

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Find the task by unique_id; it is the command's if type, project, batch and params are the same."""
        # The address of a file that is not delivered here, as after `queue distrust`, cannot be compared.
        payload = json.loads(without_references(command.payload))
        found = find_by_unique_id(api, payload["body"]["unique_id"])
        if found is None:
            return interface.Absent()
        document, fields = found
        differing = _difference(payload, fields)
        if differing is None:
            return interface.Present(document)
        return interface.Conflict(f"Task {fields.get('task_id')} has this unique_id and another {differing}.")


class CancelTask(TaskChange):
    """`POST /task/{id}/cancel`; works only while the task is pending (official client)."""

    resend_before_settle = True

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Cancel the task by the id in the payload."""
        return api.cancel_task(payload["task_id"], clear_unique_id=bool(payload.get("clear_unique_id")))

    def is_applied(self, payload: interface.Payload, fields: Mapping[str, Any]) -> bool:
        """Return whether the task is canceled, without its unique_id if asked for."""
        current = fields.get("unique_id")
        keeps = payload.get("clear_unique_id") and current and payload.get("unique_id") in (None, current)
        return fields.get("status") == "canceled" and not keeps

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the task; once it is completed or begun, it is too late."""
        document, fields = self.read_task(api, command)
        if self.is_applied(interface.payload_of(command), fields):
            return interface.Present(document)
        status = fields.get("status")
        if status in _ENDED:
            return interface.TooLate(f"The task was {_ENDED[status]} before it could be canceled.")
        if status == "pending" and fields.get("work_started") is True:
            return interface.TooLate("Somebody began to work on the task before it could be canceled.")
        return interface.Absent()

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Find the task's id if only its unique_id is known. Raises ScaleResourceNotFound for none."""
        if interface.payload_of(command).get("task_id"):
            return interface.Prepared()
        return interface.Prepared(target=self.read_task(api, command)[1]["task_id"])

    def missing(self, command: Command) -> interface.LookUp:
        """Return Present if the task was to lose the unique_id by which alone it is known, else Absent."""
        # The command may have been sent without its id being stored here: before a backup was restored, or by
        # an older version. Nothing found under the unique_id is then the effect that was asked for.
        cleared = interface.payload_of(command).get("clear_unique_id")
        return lost_its_name(command) if cleared else interface.Absent()

    def frees_key(self, payload: interface.Payload) -> bool:
        """Return whether the cancel frees the task's unique_id."""
        return bool(payload.get("clear_unique_id"))


def _difference(payload: interface.Payload, fields: Mapping[str, Any]) -> str | None:
    body: Mapping[str, Any] = payload["body"]
    placement = {"type": payload["type"], "project": body.get("project"), "batch": body.get("batch")}
    current = fields.get("params")
    params = current if isinstance(current, dict) else {}
    return first_difference(placement, fields) or first_difference(params_of(body), params)
