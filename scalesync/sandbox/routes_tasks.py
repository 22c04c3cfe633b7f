"""The operations on tasks."""

from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.http import SandboxRequest, api_route
from scalesync.sandbox.json_codec import Doc, as_strings
from scalesync.sandbox.pagination import is_yes
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


def _list(request: SandboxRequest) -> bytes:
    return request.account.lister.answer(request.params, request.account.now())


def _create(request: SandboxRequest) -> TaskRecord:
    not_enabled = request.backend.options.types_not_enabled
    return create_task(request.account, request.names["type"], request.object(), not_enabled)


def _cancel(request: SandboxRequest) -> TaskRecord:
    clear = is_yes(request.params, "clear_unique_id")
    return cancel_task(request.account, request.names["id"], clear_unique_id=clear)


def _set_unique_id(request: SandboxRequest) -> TaskRecord:
    # An empty text stays one here and is refused; only DELETE takes the unique_id away.
    unique_id = request.object().get("unique_id") or ""
    return set_unique_id(request.account, request.names["id"], unique_id)


def _tags(request: SandboxRequest) -> TaskRecord:
    return change_tags(request.account, request.names["id"], request.method, as_strings(request.body))


def _audit(request: SandboxRequest) -> bytes:
    body = request.object()
    audit_task(request.account, request.names["id"], body.get("accepted"), body.get("comments"))
    return b"OK"  # the bare text that the official client expects


def _create_quality_task(request: SandboxRequest) -> Doc:
    """Create an evaluation or training task: Rapid only, with an expected response (official client)."""
    task_type, body, account = request.names["type"], request.object(), request.account
    if task_type not in RAPID_TYPES:
        raise HttpError(400, f'Task type "{task_type}" is not supported.')
    if not body.get("expected_response"):
        raise HttpError(400, "expected_response is required.")
    project = account.project(body["project"]) if body.get("project") else None
    if project is not None and not project.get("rapid"):
        raise HttpError(400, f'Project "{project["name"]}" is not a Rapid project.')
    check_params(task_type, (latest_params(project) if project else {}) | body)
    new_id = account.new_id(account.now())
    task: Doc = {**body, "id": new_id, "type": task_type, "created_at": account.stamp()}
    return account.save("quality_tasks", new_id, task)


ROUTES = [
    api_route("GET", "/tasks", _list, lists="tasks"),
    api_route("GET", "/task/{id}", lambda request: request.account.task(request.names["id"])),
    api_route("POST", "/task/{type}", _create),
    api_route("POST", "/task/{id}/cancel", _cancel),
    api_route("POST", "/task/{id}/unique_id", _set_unique_id),
    api_route(
        "DELETE",
        "/task/{id}/unique_id",
        lambda request: set_unique_id(request.account, request.names["id"], None),
    ),
    api_route(
        "POST",
        "/task/{id}/setMetadata",
        lambda request: set_metadata(request.account, request.names["id"], request.object()),
    ),
    *(api_route(method, "/task/{id}/tags", _tags) for method in ("POST", "PUT", "DELETE")),
    api_route("POST", "/task/{id}/audit", _audit),
    api_route("POST", "/evaluation_tasks/{type}", _create_quality_task),
    api_route("POST", "/training_tasks/{type}", _create_quality_task),
]
