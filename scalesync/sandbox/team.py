"""Manage files, quality tasks, teammates and Studio, the rest of what the official client offers."""

import random

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import batch_status
from scalesync.sandbox.errors import HttpError, not_found
from scalesync.sandbox.json_codec import Doc, as_object, decode_body
from scalesync.sandbox.projects import latest_params
from scalesync.sandbox.templates import new_uuid
from scalesync.sandbox.validation import RAPID_TYPES, check_params

ROLES = ("labeler", "member", "manager", "admin")

_FILE_FIELDS = ("project_name", "reference_id", "metadata", "display_name")

OWNER = "owner@customer.example"
"""The one teammate that every account has."""


def upload_file(account: SandboxAccount, fields: Doc) -> Doc:
    """Store description and digest of an uploaded file, and return it with its attachment_url."""
    file = fields.get("file")
    if not isinstance(file, dict):
        raise HttpError(400, "file is required.")
    metadata = fields.get("metadata")
    if isinstance(metadata, str):
        # A form has texts only.
        fields = {**fields, "metadata": as_object(decode_body(metadata.encode()))}
    mime_type = {"mime_type": file["type"]} if file["type"] else {}
    described = {"filename": file["name"], "size": file["size"], **mime_type}
    return _add_file(account, fields, described, digest=file["sha256"])


def import_file(account: SandboxAccount, fields: Doc) -> Doc:
    """Store the description of a file elsewhere, and return it with its attachment_url."""
    url = fields.get("file_url")
    if not isinstance(url, str) or "://" not in url:
        raise HttpError(400, "file_url must be a URL.")
    return _add_file(account, fields, {"filename": url.rpartition("/")[2]})


def _add_file(account: SandboxAccount, fields: Doc, described: Doc, digest: str | None = None) -> Doc:
    """Store a file, and return it; raises HttpError 409 for a reference_id that a file has (documented)."""
    new_id, reference_id = account.new_id(account.now()), fields.get("reference_id")
    key = f"reference {reference_id}" if reference_id else new_id
    if key in account.objects["files"]:
        holder = account.objects["files"][key]["shown"]["id"]
        raise HttpError(
            409, f'The reference_id ("{reference_id}") is already used for a different file ({holder}).'
        )
    file: Doc = {
        "id": new_id,
        "attachment_url": f"scaledata://{new_id}/{new_uuid(account.rng)}",
        **described,
        "created_at": account.stamp(),
        **{name: fields[name] for name in _FILE_FIELDS if name in fields},
    }
    account.save("files", key, {"shown": file, "sha256": digest})
    account.applied.add("file", reference_id or new_id, "created")
    return file


def create_quality_task(account: SandboxAccount, task_type: str, fields: Doc) -> Doc:
    """Create an evaluation or training task: Rapid only, with an expected response (official client)."""
    if task_type not in RAPID_TYPES:
        raise HttpError(400, f'Task type "{task_type}" is not supported.')
    if not fields.get("expected_response"):
        raise HttpError(400, "expected_response is required.")
    project = account.project(fields["project"]) if fields.get("project") else None
    if project is not None and not project.get("rapid"):
        raise HttpError(400, f'Project "{project["name"]}" is not a Rapid project.')
    check_params(task_type, (latest_params(project) if project else {}) | fields)
    new_id = account.new_id(account.now())
    task: Doc = {**fields, "id": new_id, "type": task_type, "created_at": account.stamp()}
    account.applied.add("quality_task", fields.get("unique_id") or new_id, "created")
    return account.save("quality_tasks", new_id, task)


def teammates(account: SandboxAccount) -> list[Doc]:
    """Return every teammate, among them the owner."""
    team = account.objects["teammates"]
    if OWNER not in team:
        _add_teammate(account, OWNER, "admin")
    return list(team.values())


def invite(account: SandboxAccount, emails: list[str], role: str) -> list[Doc]:
    """Add new teammates and return all; raises HttpError 400 for an unknown role."""
    _check_role(role)
    for email in emails:
        if email not in account.objects["teammates"]:
            _add_teammate(account, email, role)
    return teammates(account)


def set_role(account: SandboxAccount, emails: list[str], role: str) -> list[Doc]:
    """Change the role of teammates and return all; raises HttpError 400 for an unknown role or person."""
    _check_role(role)
    team = {mate["email"]: mate for mate in teammates(account)}
    strangers = [email for email in emails if email not in team]
    if strangers:
        raise HttpError(400, f"Not on the team: {', '.join(strangers)}.")
    for email in emails:
        account.save("teammates", email, {**team[email], "role": role})
    return teammates(account)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise HttpError(400, f"team_role must be one of {', '.join(ROLES)}.")


def _add_teammate(account: SandboxAccount, email: str, role: str) -> None:
    person: Doc = {
        "email": email,
        "role": role,
        "company": "Sandbox",
        "firstName": email.partition("@")[0].capitalize(),
        "lastName": "",
        "isStudioLabeler": role == "labeler",
        "expiry": None,
    }
    account.save("teammates", email, person)


def assignments(account: SandboxAccount) -> Doc:
    """Return the projects that each Studio labeler is assigned to: `{email: [project]}`."""
    return {email: kept["projects"] for email, kept in account.objects["assignments"].items()}


def change_assignments(account: SandboxAccount, emails: list[str], projects: list[str], *, add: bool) -> Doc:
    """Assign people to projects or take them off; return all assignments. Raises 404 for the project."""
    for name in projects:
        account.project(name)
    for email in emails:
        present = account.objects["assignments"].get(email, {"projects": []})["projects"]
        others = [name for name in present if name not in projects]
        account.save("assignments", email, {"projects": [*others, *projects] if add else others})
    return assignments(account)


def groups_of(account: SandboxAccount, project: str) -> list[Doc]:
    """Return the labeler groups of a project. Raises 404."""
    account.project(project)
    return [group["shown"] for group in account.objects["groups"].values() if group["project"] == project]


def create_group(account: SandboxAccount, project: str, name: str, emails: list[str]) -> Doc:
    """Create a labeler group in a project. Raises 404 for the project, 409 for a used name."""
    account.project(project)
    if f"{project}\n{name}" in account.objects["groups"]:
        raise HttpError(409, f'Project group with name "{name}" already exists.')
    return _save_group(account, project, {"id": account.new_id(account.now()), "name": name}, emails)


def update_group(account: SandboxAccount, project: str, name: str, add: list[str], remove: list[str]) -> Doc:
    """Add people to a labeler group and take others off. Raises 404."""
    group = account.objects["groups"].get(f"{project}\n{name}")
    if group is None:
        raise not_found("Project group", name)
    present = [worker["email"] for worker in group["shown"]["workers"]]
    emails = [email for email in dict.fromkeys([*present, *add]) if email not in remove]
    return _save_group(account, project, group["shown"], emails)


def _save_group(account: SandboxAccount, project: str, group: Doc, emails: list[str]) -> Doc:
    workers = [{"id": new_uuid(random.Random(email)), "email": email} for email in emails]  # noqa: S311 - one id per person
    shown = {**group, "numWorkers": len(workers), "isSingleton": False, "workers": workers}
    account.save("groups", f"{project}\n{group['name']}", {"project": project, "shown": shown})
    return shown


def studio_batches(account: SandboxAccount) -> list[Doc]:
    """Return the unfinished batches of Studio projects, by priority, then by age."""
    pending = [
        batch
        for batch in account.batches.values()
        if batch["status"] != "completed" and account.projects.get(batch["project"], {}).get("studio")
    ]
    ordered = sorted(pending, key=lambda batch: (_priority(account, batch["name"]), batch["created_at"]))
    return [_studio_batch(account, batch) for batch in ordered]


def assign_groups(account: SandboxAccount, name: str, groups: list[str]) -> Doc:
    """Assign these labeler groups to a batch. Raises 404."""
    batch = account.batch(name)
    kept = account.objects["priorities"].get(name, {})
    account.save("priorities", name, {**kept, "groups": groups})
    return _studio_batch(account, batch)


def set_priorities(account: SandboxAccount, fields: Doc) -> list[Doc]:
    """Give the named batches the first places, in this order; no names: order by age again. Raises 404."""
    names = [batch["name"] for batch in fields.get("batches") or []]
    for name in names:
        account.batch(name)
    for name, kept in list(account.objects["priorities"].items()):
        account.save("priorities", name, {**kept, "priority": None})
    for place, name in enumerate(names, start=1):
        account.save("priorities", name, {**account.objects["priorities"].get(name, {}), "priority": place})
    return studio_batches(account)


def _priority(account: SandboxAccount, name: str) -> float:
    return account.objects["priorities"].get(name, {}).get("priority") or float("inf")


def _studio_batch(account: SandboxAccount, batch: Doc) -> Doc:
    counts = batch_status(account, batch["name"])
    kept = account.objects["priorities"].get(batch["name"], {})
    return {
        "id": batch["id"],
        "name": batch["name"],
        "projectId": account.projects.get(batch["project"], {}).get("id"),
        "projectName": batch["project"],
        "batchType": "Production",
        "studioPriority": kept.get("priority"),
        "total": sum(count for count in counts.values() if isinstance(count, int)),
        "completed": counts.get("completed", 0),
        "groups": kept.get("groups", []),
    }
