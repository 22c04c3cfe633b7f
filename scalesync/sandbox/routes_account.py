"""The operations on batches, projects, files, teammates and Studio."""

from scalesync.sandbox.batches import (
    batch_status,
    create_batch,
    finalize_batch,
    list_batches,
    set_batch_metadata,
)
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.http import SandboxRequest, api_route
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.pagination import page_of_batches
from scalesync.sandbox.projects import create_project, list_projects, set_params, task_template
from scalesync.sandbox.team import (
    add_file,
    assign_groups,
    assignments,
    change_assignments,
    create_group,
    groups_of,
    invite,
    set_priorities,
    set_role,
    studio_batches,
    teammates,
    update_group,
)


def _batches(request: SandboxRequest) -> Doc:
    batches = list_batches(request.account, request.params)
    return page_of_batches(batches, request.params, request.account.switches)


def _projects(request: SandboxRequest) -> list[Doc]:
    return list_projects(request.account, request.params)


def _upload(request: SandboxRequest) -> Doc:
    fields = request.object()
    file = fields.get("file")
    if not isinstance(file, dict):
        raise HttpError(400, "file is required.")
    return add_file(request.account, name=file["name"], mime_type=file["type"], fields=fields)


def _import(request: SandboxRequest) -> Doc:
    fields = request.object()
    url = fields.get("file_url")
    if not isinstance(url, str) or "://" not in url:
        raise HttpError(400, "file_url must be a URL.")
    return add_file(request.account, name=url.rpartition("/")[2], mime_type=None, fields=fields)


def _people(request: SandboxRequest) -> tuple[list[str], str]:
    return request.strings("emails"), str(request.object().get("team_role"))


def _change_assignments(request: SandboxRequest, *, add: bool) -> Doc:
    emails, projects = request.strings("emails"), request.strings("projects")
    return change_assignments(request.account, emails=emails, projects=projects, add=add)


def _groups(request: SandboxRequest) -> list[Doc]:
    return groups_of(request.account, request.names["project"])


def _create_group(request: SandboxRequest) -> Doc:
    name = str(request.object().get("name"))
    return create_group(request.account, request.names["project"], name, request.strings("emails"))


def _update_group(request: SandboxRequest) -> Doc:
    add, remove = request.strings("add_emails"), request.strings("remove_emails")
    return update_group(
        request.account, request.names["project"], request.names["group"], add=add, remove=remove
    )


def _set_priorities(request: SandboxRequest) -> list[Doc]:
    batches = request.object().get("batches") or []
    return set_priorities(request.account, [batch["name"] for batch in batches])


ROUTES = [
    api_route("GET", "/batches", _batches, lists="batches"),
    api_route("POST", "/batches", lambda request: create_batch(request.account, request.object())),
    api_route("GET", "/batches/{name}", lambda request: request.account.batch(request.name)),
    api_route("GET", "/batches/{name}/status", lambda request: batch_status(request.account, request.name)),
    api_route(
        "POST", "/batches/{name}/finalize", lambda request: finalize_batch(request.account, request.name)
    ),
    api_route(
        "POST",
        "/batches/{name}/setMetadata",
        lambda request: set_batch_metadata(request.account, request.name, request.object()),
    ),
    api_route("GET", "/projects", _projects, lists="projects"),
    api_route("POST", "/projects", lambda request: create_project(request.account, request.object())),
    api_route("GET", "/projects/{name}", lambda request: request.account.project(request.name)),
    api_route(
        "POST",
        "/projects/{name}/setParams",
        lambda request: set_params(request.account, request.name, request.object()),
    ),
    api_route(
        "GET", "/projects/{name}/taskTemplates", lambda request: task_template(request.account, request.name)
    ),
    api_route("POST", "/files/upload", _upload),
    api_route("POST", "/files/import", _import),
    api_route("GET", "/teams", lambda request: teammates(request.account)),
    api_route("POST", "/teams/invite", lambda request: invite(request.account, *_people(request))),
    api_route("POST", "/teams/set_role", lambda request: set_role(request.account, *_people(request))),
    api_route("GET", "/studio/assignments", lambda request: assignments(request.account)),
    api_route("POST", "/studio/assignments/add", lambda request: _change_assignments(request, add=True)),
    api_route("POST", "/studio/assignments/remove", lambda request: _change_assignments(request, add=False)),
    api_route("GET", "/studio/projects/{project}/groups", _groups),
    api_route("POST", "/studio/projects/{project}/groups", _create_group),
    api_route("PUT", "/studio/projects/{project}/groups/{group}", _update_group),
    api_route("GET", "/studio/batches", lambda request: studio_batches(request.account)),
    api_route(
        "PUT",
        "/studio/batches/{name}",
        lambda request: assign_groups(request.account, request.name, request.strings("groups")),
    ),
    api_route("POST", "/studio/batches/set_priorities", _set_priorities),
    api_route(
        "POST", "/studio/batches/reset_priorities", lambda request: set_priorities(request.account, [])
    ),
]
