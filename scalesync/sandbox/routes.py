"""The operations of the API, each with its method, its path, and what it reads from the request."""

from functools import partial
from operator import attrgetter

from scalesync.sandbox import batches, projects, task_writes, team
from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.filters import Params
from scalesync.sandbox.http import api_route, body, query, strings, text
from scalesync.sandbox.json_codec import Doc, as_strings
from scalesync.sandbox.pagination import is_yes
from scalesync.sandbox.tasks import TaskRecord


def _tasks(account: SandboxAccount, params: Params) -> bytes:
    return account.lister.answer(params, account.now())


def _cancel(account: SandboxAccount, task_id: str, params: Params) -> TaskRecord:
    return task_writes.cancel_task(account, task_id, clear_unique_id=is_yes(params, "clear_unique_id"))


def _set_unique_id(account: SandboxAccount, task_id: str, fields: Doc) -> TaskRecord:
    # An empty text stays one here and is refused; only DELETE takes the unique_id away.
    return task_writes.set_unique_id(account, task_id, fields.get("unique_id") or "")


def _audit(account: SandboxAccount, task_id: str, fields: Doc) -> bytes:
    task_writes.audit_task(account, task_id, fields.get("accepted"), fields.get("comments"))
    return b"OK"  # the bare text that the official client expects


_get, _post, _put, _delete = (partial(api_route, method) for method in ("GET", "POST", "PUT", "DELETE"))
_tags = (task_writes.change_tags, attrgetter("method"), lambda request: as_strings(request.body))
_assign = strings("emails"), strings("projects")

ROUTES = [
    _get("/tasks", _tasks, query, lists="tasks"),
    _get("/task/{id}", SandboxAccount.task),
    _post("/task/{type}", task_writes.create_task, body, attrgetter("backend.options.types_not_enabled")),
    _post("/task/{id}/cancel", _cancel, query),
    _post("/task/{id}/unique_id", _set_unique_id, body),
    _delete(
        "/task/{id}/unique_id", lambda account, task_id: task_writes.set_unique_id(account, task_id, None)
    ),
    _post("/task/{id}/setMetadata", task_writes.set_metadata, body),
    *(route("/task/{id}/tags", *_tags) for route in (_post, _put, _delete)),
    _post("/task/{id}/audit", _audit, body),
    _post("/task/{id}/send-callback", task_writes.send_callback),
    _post("/evaluation_tasks/{type}", team.create_quality_task, body),
    _post("/training_tasks/{type}", team.create_quality_task, body),
    _get("/batches", batches.list_batches, query, lists="batches"),
    _post("/batches", batches.create_batch, body),
    _get("/batches/{name}", SandboxAccount.batch),
    _get("/batches/{name}/status", batches.batch_status),
    _post("/batches/{name}/finalize", batches.finalize_batch),
    _post("/batches/{name}/setMetadata", batches.set_batch_metadata, body),
    _get("/projects", projects.list_projects, query, lists="projects"),
    _post("/projects", projects.create_project, body),
    _get("/projects/{name}", SandboxAccount.project),
    _post("/projects/{name}/setParams", projects.set_params, body),
    _get("/projects/{name}/taskTemplates", projects.task_template),
    _post("/files/upload", team.upload_file, body),
    _post("/files/import", team.import_file, body),
    _get("/teams", team.teammates),
    _post("/teams/invite", team.invite, strings("emails"), text("team_role")),
    _post("/teams/set_role", team.set_role, strings("emails"), text("team_role")),
    _get("/studio/assignments", team.assignments),
    _post("/studio/assignments/add", partial(team.change_assignments, add=True), *_assign),
    _post("/studio/assignments/remove", partial(team.change_assignments, add=False), *_assign),
    _get("/studio/projects/{project}/groups", team.groups_of),
    _post("/studio/projects/{project}/groups", team.create_group, text("name"), strings("emails")),
    _put(
        "/studio/projects/{project}/groups/{group}",
        team.update_group,
        strings("add_emails"),
        strings("remove_emails"),
    ),
    _get("/studio/batches", team.studio_batches),
    _put("/studio/batches/{name}", team.assign_groups, strings("groups")),
    _post("/studio/batches/set_priorities", team.set_priorities, body),
    _post("/studio/batches/reset_priorities", lambda account: team.set_priorities(account, {})),
]
