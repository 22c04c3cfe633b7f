"""The operations on tasks."""

from scalesync.sandbox.documents import Doc, as_texts
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.http import Answer, Call, api_route
from scalesync.sandbox.pagination import is_yes, present
from scalesync.sandbox.projects import latest_params
from scalesync.sandbox.task_writes import (
    audit_task,
    cancel_task,
    change_tags,
    create_task,
    set_metadata,
    set_unique_id,
)
from scalesync.sandbox.tasks import TaskRecord
from scalesync.sandbox.validation import RAPID_TYPES, check_params

OK = b"OK"
"""Some operations answer with this bare text (official client)."""


def _list(call: Call) -> Answer:
    return call.account.lister.answer(call.params, call.account.now())


def _shown(call: Call, task: TaskRecord) -> Answer:
    signed = call.account.switches.presigned_urls == "always"
    return present(task, call.account.read_rng, signed=signed)


def _get(call: Call) -> Answer:
    return _shown(call, call.account.task(call.names["id"]))


def _create(call: Call) -> Answer:
    not_enabled = call.world.options.types_not_enabled
    return _shown(call, create_task(call.account, call.names["type"], call.object(), not_enabled))


def _cancel(call: Call) -> Answer:
    clear = is_yes(call.params, "clear_unique_id")
    return _shown(call, cancel_task(call.account, call.names["id"], clear_unique_id=clear))


def _set_unique_id(call: Call) -> Answer:
    unique_id = call.object().get("unique_id") or ""
    return _shown(call, set_unique_id(call.account, call.names["id"], unique_id))


def _clear_unique_id(call: Call) -> Answer:
    return _shown(call, set_unique_id(call.account, call.names["id"], None))


def _set_metadata(call: Call) -> Answer:
    return _shown(call, set_metadata(call.account, call.names["id"], call.object()))


def _tags(call: Call) -> Answer:
    return _shown(call, change_tags(call.account, call.names["id"], call.method, as_texts(call.body)))


def _audit(call: Call) -> Answer:
    body = call.object()
    audit_task(call.account, call.names["id"], body.get("accepted"), body.get("comments"))
    return OK


def _create_quality_task(call: Call) -> Answer:
    """Create an evaluation or training task: Rapid only, with an expected response (official client)."""
    task_type, body = call.names["type"], call.object()
    if task_type not in RAPID_TYPES:
        raise RefusalError(400, f'Task type "{task_type}" is not supported.')
    if not body.get("expected_response"):
        raise RefusalError(400, "expected_response is required.")
    project = call.account.project(body["project"]) if body.get("project") else None
    if project is not None and not project.get("rapid"):
        raise RefusalError(400, f'Project "{project["name"]}" is not a Rapid project.')
    check_params(task_type, (latest_params(project) if project else {}) | body)
    new_id = call.account.new_id(call.account.now())
    task: Doc = {**body, "id": new_id, "type": task_type, "created_at": call.account.stamp()}
    return call.account.save("quality_tasks", new_id, task)


ROUTES = [
    api_route("GET", "/tasks", _list, lists="tasks"),
    api_route("GET", "/task/{id}", _get),
    api_route("POST", "/task/{type}", _create),
    api_route("POST", "/task/{id}/cancel", _cancel),
    api_route("POST", "/task/{id}/unique_id", _set_unique_id),
    api_route("DELETE", "/task/{id}/unique_id", _clear_unique_id),
    api_route("POST", "/task/{id}/setMetadata", _set_metadata),
    *(api_route(method, "/task/{id}/tags", _tags) for method in ("POST", "PUT", "DELETE")),
    api_route("POST", "/task/{id}/audit", _audit),
    api_route("POST", "/evaluation_tasks/{type}", _create_quality_task),
    api_route("POST", "/training_tasks/{type}", _create_quality_task),
]
