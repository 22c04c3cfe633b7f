"""Create and list projects, and add versions of their params."""

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Params, query_value
from scalesync.sandbox.json_codec import Doc, as_object
from scalesync.sandbox.pagination import is_yes
from scalesync.sandbox.validation import TASK_TYPES

_WITH_TEMPLATE = frozenset({"textcollection", "chat", "chatlite", "chatexperimental", "multichat"})


def latest_params(project: Doc) -> Doc:
    """Return the params of a project's last version, with its instruction; `{}` without a version."""
    if not project["param_history"]:
        return {}
    last = project["param_history"][-1]
    return {name: value for name, value in last.items() if name not in {"version", "created_at"}}


def create_project(account: SandboxAccount, body: Doc) -> Doc:
    """Create a project and return it; params become version 0, no params no version (assumed).

    Raises HttpError 400 without a name or for an unknown type, 409 for a used name.
    """
    name, task_type = body.get("name"), body.get("type")
    if not isinstance(name, str) or not name:
        raise HttpError(400, "name is required.")
    if task_type not in TASK_TYPES:
        raise HttpError(400, f'Task type "{task_type}" is not supported.')
    params = as_object(body.get("params"), "params must be an object.")
    if name in account.projects:
        raise HttpError(409, f'Project with name "{name}" already exists.')
    project: Doc = {
        "id": account.new_id(account.now()),
        "type": task_type,
        "name": name,
        "param_history": [],
        "created_at": account.stamp(),
    }
    project |= {flag: True for flag in ("rapid", "studio") if body.get(flag)}
    if params:
        project["param_history"] = [_version(account, 0, params)]
    account.applied.add("project", name, "created")
    return account.save("projects", name, project)


def set_params(account: SandboxAccount, name: str, body: Doc) -> Doc:
    """Add a version to a project and return it: `body`, with `patch` merged over the last version.

    Each call adds one, even with the same params. Raises HttpError 404 for an unknown project.
    """
    project = account.project(name)
    params = {field: value for field, value in body.items() if field != "patch"}
    if body.get("patch"):
        params = latest_params(project) | params
    history = project["param_history"]
    # Not idempotent: a repeated request adds another version, so clients must look before they repeat one.
    number = history[-1]["version"] + 1 if history else 0
    account.applied.add("project", name, "versioned")
    return account.save(
        "projects", name, {**project, "param_history": [*history, _version(account, number, params)]}
    )


def _version(account: SandboxAccount, number: int, params: Doc) -> Doc:
    return {"version": number, "created_at": account.stamp(), **params}


def list_projects(account: SandboxAccount, params: Params) -> list[Doc]:
    """Return the projects, oldest first; `archived` in the query selects archived or others (assumed)."""
    projects = list(account.projects.values())
    if query_value(params, "archived"):
        wanted = is_yes(params, "archived")
    elif account.switches.archived_projects == "hidden":
        wanted = False
    else:
        return projects
    return [project for project in projects if bool(project.get("archived")) is wanted]


def task_template(account: SandboxAccount, name: str) -> Doc:
    """Return the task template of a text or chat project.

    Raises HttpError 404 for an unknown project, 400 for one of another type.
    """
    project = account.project(name)
    if project["type"] not in _WITH_TEMPLATE:
        raise HttpError(400, "Task templates are not supported for this project's type.")
    fields = latest_params(project).get("fields")
    return {
        "id": project["id"],
        "version": len(project["param_history"]),
        "created_at": project["created_at"],
        "updated_at": project["created_at"],
        "template_variables": {"attachments": [], "fields": fields if isinstance(fields, list) else []},
    }
