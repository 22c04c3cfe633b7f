"""Handlers for tasks: create by unique_id, and cancel."""

from collections.abc import Mapping
from typing import Any

from scalesync.api.client import ScaleApi
from scalesync.errors import ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document, TaskFilter
from scalesync.models.commands import Command
from scalesync.payload_comparison import first_difference, params_of
from scalesync.queue.handlers import interface

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
        payload = interface.payload_of(command)
        found = _find_by_unique_id(api, payload["body"]["unique_id"])
        if found is None:
            return interface.Absent()
        document, fields = found
        differing = _difference(payload, fields)
        if differing is None:
            return interface.Present(document)
        return interface.Conflict(f"Task {fields.get('task_id')} has this unique_id and another {differing}.")


class CancelTask(interface.CommandHandler):
    """`POST /task/{id}/cancel`; works only while the task is pending (official client)."""

    stream = "tasks"

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Cancel the task by the id in the payload."""
        return api.cancel_task(payload["task_id"], clear_unique_id=bool(payload.get("clear_unique_id")))

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the task, canceled, without its unique_id if asked for."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        return fields.get("task_id") == payload["task_id"] and _is_canceled(payload, fields)

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the task; once applied it is canceled, without its unique_id if asked for."""
        payload = interface.payload_of(command)
        # By the id it was armed with, if any: another task may have the unique_id by now.
        document = api.task(payload.get("task_id") or _task_id(api, payload["unique_id"]))
        fields = interface.fields_of(document)
        if _is_canceled(payload, fields):
            return interface.Present(document)
        status = fields.get("status")
        if status in _ENDED:
            return interface.TooLate(f"The task was {_ENDED[status]} before it could be canceled.")
        if status == "pending" and fields.get("work_started") is True:
            return interface.TooLate("Somebody began to work on the task before it could be canceled.")
        return interface.Absent()

    def missing(self, command: Command) -> interface.LookUp:
        """Return Present if the task was to lose the unique_id by which alone it is known, else Absent."""
        # The command may have been sent without its id being stored here: before a backup was restored, or by
        # an older version. Nothing found under the unique_id is then the effect that was asked for.
        payload = interface.payload_of(command)
        lost = payload.get("clear_unique_id") and not payload.get("task_id")
        maybe_sent = command.sends or command.ambiguous
        return interface.Present(None) if lost and maybe_sent else interface.Absent()

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Find the task's id if only its unique_id is known. Raises ScaleResourceNotFound for none."""
        payload = interface.payload_of(command)
        if payload.get("task_id"):
            return interface.Prepared()
        return interface.Prepared(target=_task_id(api, payload["unique_id"]))

    def frees_key(self, payload: interface.Payload) -> bool:
        """Return whether the cancel frees the task's unique_id."""
        return bool(payload.get("clear_unique_id"))


def _find_by_unique_id(api: ScaleApi, unique_id: str) -> tuple[Document, dict[str, Any]] | None:
    """Return the task of a unique_id, None if there is none. Raises ScaleNoAnswer for a wrong answer."""
    # Other tasks than asked for are no proof of absence: the filter was ignored or answers were mixed up.
    page = api.tasks(TaskFilter(unique_id=(unique_id,)), limit=2)
    for raw in page.docs:
        document = Document(raw, page.served_at, page.replaced)
        fields = interface.fields_of(document)
        if fields.get("unique_id") == unique_id:
            return document, fields
    if page.docs:
        raise ScaleNoAnswer("The API listed tasks of another unique_id than it was asked for.")
    return None


def _task_id(api: ScaleApi, unique_id: str) -> str:
    found = _find_by_unique_id(api, unique_id)
    task_id = found[1].get("task_id") if found else None
    if not isinstance(task_id, str):
        raise ScaleResourceNotFound("There is no task with this unique_id.")
    return task_id


def _difference(payload: interface.Payload, fields: Mapping[str, Any]) -> str | None:
    body: Mapping[str, Any] = payload["body"]
    placement = {"type": payload["type"], "project": body.get("project"), "batch": body.get("batch")}
    current = fields.get("params")
    params = current if isinstance(current, dict) else {}
    return first_difference(placement, fields) or first_difference(params_of(body), params)


def _is_canceled(payload: interface.Payload, fields: Mapping[str, Any]) -> bool:
    """Return whether a task is canceled, without its unique_id if asked for."""
    current = fields.get("unique_id")
    keeps = payload.get("clear_unique_id") and current and payload.get("unique_id") in (None, current)
    return fields.get("status") == "canceled" and not keeps
