"""The operations on files, teammates and Studio."""

from scalesync.sandbox.documents import Doc, as_texts
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.http import Answer, Call, api_route
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


def _upload(call: Call) -> Answer:
    fields = call.object()
    file = fields.get("file")
    if not isinstance(file, dict):
        raise RefusalError(400, "file is required.")
    return add_file(call.account, name=file["name"], mime_type=file["type"], fields=fields)


def _import(call: Call) -> Answer:
    fields = call.object()
    url = fields.get("file_url")
    if not isinstance(url, str) or "://" not in url:
        raise RefusalError(400, "file_url must be a URL.")
    return add_file(call.account, name=url.rpartition("/")[2], mime_type=None, fields=fields)


def _teammates(call: Call) -> Answer:
    return teammates(call.account)


def _invite(call: Call) -> Answer:
    return invite(call.account, *_people(call.object()))


def _set_role(call: Call) -> Answer:
    return set_role(call.account, *_people(call.object()))


def _people(body: Doc) -> tuple[list[str], str]:
    return as_texts(body.get("emails")), str(body.get("team_role"))


def _assignments(call: Call) -> Answer:
    return assignments(call.account)


def _assign(call: Call) -> Answer:
    return _change_assignments(call, add=True)


def _unassign(call: Call) -> Answer:
    return _change_assignments(call, add=False)


def _change_assignments(call: Call, *, add: bool) -> Answer:
    body = call.object()
    emails, projects = as_texts(body.get("emails")), as_texts(body.get("projects"))
    return change_assignments(call.account, emails=emails, projects=projects, add=add)


def _groups(call: Call) -> Answer:
    return groups_of(call.account, call.names["project"])


def _create_group(call: Call) -> Answer:
    body = call.object()
    return create_group(
        call.account, call.names["project"], str(body.get("name")), as_texts(body.get("emails"))
    )


def _update_group(call: Call) -> Answer:
    body = call.object()
    add, remove = as_texts(body.get("add_emails")), as_texts(body.get("remove_emails"))
    return update_group(call.account, call.names["project"], call.names["group"], add=add, remove=remove)


def _studio_batches(call: Call) -> Answer:
    return studio_batches(call.account)


def _assign_groups(call: Call) -> Answer:
    return assign_groups(call.account, call.names["name"], as_texts(call.object().get("groups")))


def _set_priorities(call: Call) -> Answer:
    batches = call.object().get("batches") or []
    return set_priorities(call.account, [batch["name"] for batch in batches])


def _reset_priorities(call: Call) -> Answer:
    return set_priorities(call.account, [])


ROUTES = [
    api_route("POST", "/files/upload", _upload),
    api_route("POST", "/files/import", _import),
    api_route("GET", "/teams", _teammates),
    api_route("POST", "/teams/invite", _invite),
    api_route("POST", "/teams/set_role", _set_role),
    api_route("GET", "/studio/assignments", _assignments),
    api_route("POST", "/studio/assignments/add", _assign),
    api_route("POST", "/studio/assignments/remove", _unassign),
    api_route("GET", "/studio/projects/{project}/groups", _groups),
    api_route("POST", "/studio/projects/{project}/groups", _create_group),
    api_route("PUT", "/studio/projects/{project}/groups/{group}", _update_group),
    api_route("GET", "/studio/batches", _studio_batches),
    api_route("PUT", "/studio/batches/{name}", _assign_groups),
    api_route("POST", "/studio/batches/set_priorities", _set_priorities),
    api_route("POST", "/studio/batches/reset_priorities", _reset_priorities),
]
