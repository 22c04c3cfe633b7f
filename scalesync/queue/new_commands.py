"""Build commands from what a person asks for: check it, choose keys, order and idempotency. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from scalesync.errors import QueueError
from scalesync.models.attachments import resources_in
from scalesync.models.commands import GENERATED, CommandKind, Creation, NewCommand

MAX_NAME_BYTES = 2_000
"""In UTF-8. Names are indexed, and Postgres rejects index entries of more than 2,700 bytes."""
_UNSTORABLE = re.compile(r"\\u0000|\\ud[89a-f][0-9a-f]{2}")
_UNSTORABLE_CHARACTER = re.compile("[\0\ud800-\udfff]")
_API_NAMES = {"dataset_id": "datasetId"}
"""Names in requests that differ from those of our arguments (official client)."""
_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
_HASH_PERSON = b"scalesync.task"


def create_task(task_type: str, body: Mapping[str, Any], *, duplicate: str | None = None) -> NewCommand:
    """Return the command that creates a task of any type from the body of `POST /task/{type}`.

    Without a `unique_id` the body gets one made from type, project and content, but not the batch;
    `duplicate`, a unique text, makes it another one. Raises QueueError for an invalid body.
    """
    _require_type(task_type)
    given = {name: value for name, value in body.items() if value is not None}
    for name in ("unique_id", "project", "batch"):
        if name in given:
            require_name(name, given[name])
    # A unique_id is what makes a second send harmless: the API answers it with 409 (documented).
    if "unique_id" not in given:
        given["unique_id"] = _unique_id(task_type, given, duplicate)
    unique_id, project, batch = given["unique_id"], given.get("project"), given.get("batch")
    resource = f"task:{unique_id}"
    payload = canonical({"type": task_type, "body": given})
    return NewCommand(
        kind=CommandKind.CREATE_TASK,
        payload=payload,
        resource=resource,
        scope=None if batch is None else f"batch:{batch}",
        depends_on=f"batch:{batch}" if batch else f"project:{project}" if project else None,
        needs=resources_in(payload),
        idempotency_key=resource,
        creates=_creation("tasks", unique_id, type=task_type, project=project, batch=batch),
    )


def cancel_task(
    *, task_id: str | None = None, unique_id: str | None = None, clear_unique_id: bool = False
) -> NewCommand:
    """Return the command that cancels a task, given by id, unique_id or both.

    By unique_id it waits for the task's create if that is queued. Raises QueueError without either.
    """
    change = change_task(CommandKind.CANCEL_TASK, task_id, unique_id, clear_unique_id=clear_unique_id)
    key = f"cancel{'+clear' if clear_unique_id else ''}:{change.resource}"
    return replace(change, idempotency_key=key, cancels_create=True)


def audit_task(
    *, task_id: str | None = None, unique_id: str | None = None, accepted: bool, comments: str | None = None
) -> NewCommand:
    """Return the command that accepts or rejects a completed task, with comments for its annotators."""
    if not isinstance(accepted, bool):
        raise QueueError("An audit accepts a task or rejects it: `accepted` is true or false.")
    if comments is not None and not isinstance(comments, str):
        raise QueueError("The comments of an audit must be a text.")
    given = {"accepted": accepted, "comments": comments or None}
    return change_task(CommandKind.AUDIT_TASK, task_id, unique_id, **given)


def change_tags(
    kind: CommandKind, tags: Iterable[str], *, task_id: str | None = None, unique_id: str | None = None
) -> NewCommand:
    """Return the command that sets, adds or deletes tags of a task, as `kind` says; each tag once."""
    if not isinstance(tags, Iterable):
        raise QueueError(f"The tags are {tags!r}.", advice="Give a list of texts, an empty one for none.")
    given = list(dict.fromkeys(tags)) if not isinstance(tags, str) else [tags]
    for tag in given:
        require_name("tag", tag)
    if not given and kind is not CommandKind.SET_TASK_TAGS:
        raise QueueError("There is no tag to add or to delete.", advice="Name at least one.")
    return change_task(kind, task_id, unique_id, tags=given)


def set_task_metadata(
    metadata: Mapping[str, Any], *, task_id: str | None = None, unique_id: str | None = None
) -> NewCommand:
    """Return the command that replaces a task's metadata."""
    return change_task(CommandKind.SET_TASK_METADATA, task_id, unique_id, metadata=_object(metadata))


def update_task_unique_id(
    new_unique_id: str, *, task_id: str | None = None, unique_id: str | None = None
) -> NewCommand:
    """Return the command that gives a task another unique_id; later commands name it by its id or by that."""
    require_name("new unique_id", new_unique_id)
    return change_task(CommandKind.UPDATE_TASK_UNIQUE_ID, task_id, unique_id, new_unique_id=new_unique_id)


def clear_task_unique_id(*, task_id: str | None = None, unique_id: str | None = None) -> NewCommand:
    """Return the command that takes a task's unique_id away, so that another task can have it."""
    return change_task(CommandKind.CLEAR_TASK_UNIQUE_ID, task_id, unique_id)


def send_callback(*, task_id: str | None = None, unique_id: str | None = None) -> NewCommand:
    """Return the command that has the callback of a task sent again."""
    return change_task(CommandKind.SEND_CALLBACK, task_id, unique_id)


def create_quality_task(
    kind: CommandKind, task_type: str, body: Mapping[str, Any], *, duplicate: str | None = None
) -> NewCommand:
    """Return the command that creates an evaluation or training task, as `kind` says.

    The same content is one task, unless `duplicate`, a unique text, makes it another one.
    """
    _require_type(task_type)
    given = {name: value for name, value in body.items() if value is not None}
    for name in ("unique_id", "project", "batch"):
        if name in given:
            require_name(name, given[name])
    payload = canonical({"type": task_type, "body": given})
    name = given.get("unique_id") or _unique_id(task_type, given, duplicate)
    resource = f"{kind.removeprefix('create_')}:{name}"
    project, batch = given.get("project"), given.get("batch")
    return NewCommand(
        kind=kind,
        payload=payload,
        resource=resource,
        depends_on=f"batch:{batch}" if batch else f"project:{project}" if project else None,
        needs=resources_in(payload),
        idempotency_key=resource,
    )


def change_task(
    kind: CommandKind, task_id: str | None, unique_id: str | None, **content: object
) -> NewCommand:
    """Return a command that changes a task, given by id, unique_id or both; it is repeated if queued again.

    By unique_id it waits for the task's create if that is queued. Raises QueueError without either.
    """
    for name, value in (("task id", task_id), ("unique_id", unique_id)):
        if value is not None:
            require_name(name, value)
    if task_id is None and unique_id is None:
        raise QueueError("The task has to be named.", advice="Give its id or its unique_id.")
    return NewCommand(
        kind=kind,
        payload=canonical({"task_id": task_id, "unique_id": unique_id, **content}),
        resource=f"task#{task_id}" if unique_id is None else f"task:{unique_id}",
    )


def create_batch(name: str, project: str, **more: Any) -> NewCommand:
    """Return the command that creates a batch; `more`: further fields of `POST /batches`, None left out."""
    require_name("batch", name)
    require_name("project", project)
    given = {key: value for key, value in more.items() if value is not None}
    return NewCommand(
        kind=CommandKind.CREATE_BATCH,
        payload=canonical({"name": name, "project": project, **given}),
        resource=f"batch:{name}",
        scope=f"batch:{name}",
        depends_on=f"project:{project}",
        idempotency_key=f"batch:{name}",
        creates=_creation("batches", name, project=project),
    )


def finalize_batch(name: str) -> NewCommand:
    """Return the command that finalizes a batch; it stays behind the creates queued for the batch before."""
    require_name("batch", name)
    return NewCommand(
        kind=CommandKind.FINALIZE_BATCH,
        payload=canonical({"name": name}),
        resource=f"batch:{name}",
        scope=f"batch:{name}",
        idempotency_key=f"finalize:{name}",
        seals_batch=True,
    )


def set_batch_metadata(name: str, metadata: Mapping[str, Any]) -> NewCommand:
    """Return the command that replaces a batch's metadata; it waits for the batch's create if queued."""
    require_name("batch", name)
    return NewCommand(
        kind=CommandKind.SET_BATCH_METADATA,
        payload=canonical({"name": name, "metadata": _object(metadata)}),
        resource=f"batch:{name}",
    )


def create_project(name: str, task_type: str, params: Mapping[str, Any], **more: Any) -> NewCommand:
    """Return the command that creates a project; `more`: `rapid`, `studio`, `dataset_id`."""
    require_name("project", name)
    _require_type(task_type)
    given = {_API_NAMES.get(key, key): value for key, value in more.items() if value is not None}
    return NewCommand(
        kind=CommandKind.CREATE_PROJECT,
        payload=canonical({"name": name, "type": task_type, "params": dict(params), **given}),
        resource=f"project:{name}",
        idempotency_key=f"project:{name}",
        creates=_creation("projects", name, type=task_type),
    )


def update_project(name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> NewCommand:
    """Return the command that sets a project's params; they replace the latest, or with `patch` merge in."""
    # No idempotency key: setting the same params again later can be intended.
    require_name("project", name)
    return NewCommand(
        kind=CommandKind.UPDATE_PROJECT,
        payload=canonical({"name": name, "params": dict(params), "patch": patch}),
        resource=f"project:{name}",
    )


def canonical(value: object) -> str:
    """Return the canonical JSON text of `value`, the same for equal values.

    Raises QueueError for what is not JSON or holds text that Postgres cannot store (U+0000, lone surrogates).
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise QueueError(f"It cannot be sent as JSON: {error}.") from error
    # The pattern also matches harmless text such as a literal backslash-u0000: it only saves the slow check.
    if _UNSTORABLE.search(text) and _holds_unstorable(value):
        raise QueueError("It holds a character that cannot be stored (U+0000 or half a surrogate pair).")
    return text


def _object(metadata: object) -> dict[str, Any]:
    """Return metadata as a dict. Raises QueueError for anything but an object."""
    if not isinstance(metadata, Mapping):
        raise QueueError("Metadata must be an object with names and values.")
    return dict(metadata)


def _holds_unstorable(value: object) -> bool:
    if isinstance(value, str):
        return _UNSTORABLE_CHARACTER.search(value) is not None
    if isinstance(value, Mapping):
        return any(_holds_unstorable(key) or _holds_unstorable(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_unstorable, value))


def _unique_id(task_type: str, body: Mapping[str, Any], duplicate: str | None) -> str:
    content = {name: value for name, value in body.items() if name != "batch"}
    return generated_name([task_type, content, duplicate], _HASH_PERSON)


def generated_name(content: object, person: bytes) -> str:
    """Return a name made from a content; `person` keeps names of different kinds of objects apart."""
    digest = blake2b(canonical(content).encode(), digest_size=16, person=person)
    return f"{GENERATED}{digest.hexdigest()}"


def require_name(what: str, name: object) -> None:
    """Raise QueueError if `name` is no valid name."""
    # Spaces are not trimmed: "X" and "X " are two projects.
    if not isinstance(name, str) or not name:
        raise QueueError(f"The {what} must be a text that is not empty.")
    if (size := len(name.encode(errors="surrogatepass"))) > MAX_NAME_BYTES:
        msg = f"The {what} is {size:,} bytes long; at most {MAX_NAME_BYTES:,} can be queued."
        raise QueueError(msg, advice="Give it a shorter one.")
    if name in (".", "..") or _holds_unstorable(name):
        raise QueueError(f"The {what} {name!r} cannot be sent.")


def _require_type(task_type: object) -> None:
    """Raise QueueError if `task_type` is no valid type name; unlike other names it may not be blank."""
    require_name("task type", task_type.strip() if isinstance(task_type, str) else task_type)


def _creation(stream: str, name: str, **like: str | None) -> Creation:
    return Creation(stream, name, tuple((key, value) for key, value in like.items() if value))
