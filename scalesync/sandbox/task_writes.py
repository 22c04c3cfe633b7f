"""Create and change tasks, with the refusals of the API as HttpError."""

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import batch_for_new_task, refresh_batch
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.projects import latest_params
from scalesync.sandbox.task_responses import correct, respond
from scalesync.sandbox.tasks import TaskRecord
from scalesync.sandbox.team import OWNER
from scalesync.sandbox.timestamps import format_millis
from scalesync.sandbox.validation import (
    check_envelope,
    check_params,
    check_type,
    default_instruction,
    with_defaults,
)

_ENVELOPE = (
    "callback_url",
    "instruction",
    "urgency",
    "priority",
    "metadata",
    "unique_id",
    "tags",
    "project",
    "batch",
)
"""The fields of a create that go into the task itself; all others go into its params (recorded)."""

_DROPPED = ("force", "clear_unique_id_on_error")
"""The fields of a create that only instruct the API and are not stored (assumed)."""


def create_task(
    account: SandboxAccount, task_type: str, body: Doc, not_enabled: tuple[str, ...] = ()
) -> TaskRecord:
    """Create a task and return it; in some modes it is completed at once.

    The params of its project are its defaults. Raises HttpError 404 for an unknown project, 400 for a batch
    that is unknown, closed or of another project, 409 with the documented text for a used unique_id.
    """
    check_type(task_type, not_enabled)
    check_envelope(body)
    batch = batch_for_new_task(account, body.get("batch"), body.get("project"))
    project_name = batch["project"] if batch else body.get("project")
    project = account.project(project_name) if project_name else None
    inherited = latest_params(project) if project else {}
    inherited.pop("instruction", None)
    own = {name: value for name, value in body.items() if name not in (*_ENVELOPE, *_DROPPED)}
    params = with_defaults(task_type, inherited | own)
    check_params(task_type, params)
    _refuse_duplicate(account, body.get("unique_id"), own_id=None)
    # The task's own instruction replaces the project's.
    doc = (_fields_of_project(project) if project else {}) | _new_doc(account, task_type, body, params)
    if account.completes_at_once:
        _complete(account, doc)
    record = account.save_task(doc)
    # Counted once everything that may refuse the create has passed, and saved with it in one commit.
    _count(account, record, "created")
    refresh_batch(account, record.batch)
    return record


def _fields_of_project(project: Doc) -> Doc:
    belonging: Doc = {"project": project["name"], "projectId": project["id"]}
    if project["param_history"]:
        last = project["param_history"][-1]
        belonging["project_param_version"] = last["version"]
        belonging |= {"instruction": last["instruction"]} if last.get("instruction") else {}
    return belonging


def _new_doc(account: SandboxAccount, task_type: str, body: Doc, params: Doc) -> Doc:
    now = account.now()
    doc: Doc = {
        "task_id": account.new_id(now),
        "created_at": format_millis(now),
        "updated_at": format_millis(now),
        "type": task_type,
        "status": "pending",
        "params": params,
        "is_test": account.mode == "test",
        "urgency": body.get("urgency") or "standard",
        "metadata": body.get("metadata") or {},
        "processed_attachments": [],
    }
    optional = {
        "callback_url": body.get("callback_url"),
        "instruction": body.get("instruction") or default_instruction(task_type),
        "priority": body.get("priority"),
        "unique_id": body.get("unique_id") or None,
        "tags": body.get("tags") or None,
        "batch": body.get("batch") or None,
    }
    return doc | {name: value for name, value in optional.items() if value is not None}


def _refuse_duplicate(account: SandboxAccount, unique_id: str | None, *, own_id: str | None) -> None:
    # A canceled task keeps its unique_id, unless the cancel cleared it: creating it again is refused.
    holder = account.tasks.by_unique_id.get(unique_id or "")
    if holder is not None and holder != own_id:
        raise HttpError(
            409, f'The unique_id ("{unique_id}") is already used for a different task ({holder}).'
        )


def _count(account: SandboxAccount, record: TaskRecord, effect: str) -> None:
    account.applied.add("task", record.task_id, effect)
    if record.unique_id is not None:
        account.applied.add("unique_id", record.unique_id, effect)


def _save_changed(account: SandboxAccount, doc: Doc, *, content: bool) -> TaskRecord:
    """Save a changed task; one of `content` (status, response, audits) always sets updated_at."""
    if content or account.switches.updated_at_moves_on == "all":
        doc["updated_at"] = account.stamp()
    record = account.save_task(doc)
    if content:
        refresh_batch(account, record.batch)
    return record


def cancel_task(account: SandboxAccount, task_id: str, *, clear_unique_id: bool) -> TaskRecord:
    """Cancel a pending task that nobody has begun; raises HttpError 400 for any other.

    The switch `cancel_twice` says whether a canceled task is refused or left as it is.
    """
    record = account.task(task_id)
    if record.status == "canceled" and account.switches.cancel_twice == "accepted":
        return record
    doc = record.doc()
    if record.status != "pending":
        raise HttpError(400, f"Cannot cancel a task with status {record.status}.")
    if doc.get("work_started"):
        raise HttpError(400, "Cannot cancel a task that has been started.")
    doc["status"] = "canceled"
    # `record` has the unique_id that is about to be cleared, so that the cancel counts under it.
    _count(account, record, "canceled")
    if clear_unique_id:
        doc.pop("unique_id", None)
    return _save_changed(account, doc, content=True)


def set_unique_id(account: SandboxAccount, task_id: str, unique_id: object) -> TaskRecord:
    """Set or, if None, delete a task's unique_id; raises HttpError 400 for no string, 409 if it is used."""
    doc = account.task(task_id).doc()
    doc.pop("unique_id", None)
    if unique_id is not None:
        if not isinstance(unique_id, str) or not unique_id:
            raise HttpError(400, "unique_id must be a string.")
        _refuse_duplicate(account, unique_id, own_id=task_id)
        doc["unique_id"] = unique_id
    account.applied.add("task", task_id, "renamed")
    return _save_changed(account, doc, content=False)


def set_metadata(account: SandboxAccount, task_id: str, metadata: Doc) -> TaskRecord:
    """Replace a task's metadata and return the task."""
    doc = account.task(task_id).doc()
    doc["metadata"] = metadata
    account.applied.add("task", task_id, "described")
    return _save_changed(account, doc, content=False)


def change_tags(account: SandboxAccount, task_id: str, method: str, tags: list[str]) -> TaskRecord:
    """Replace (POST), add (PUT) or remove (DELETE) tags; those that stay keep their order."""
    doc = account.task(task_id).doc()
    present: list[str] = doc.get("tags") or []
    changed = {
        "POST": tags,
        "PUT": present + tags,
        "DELETE": [tag for tag in present if tag not in tags],
    }[method]
    doc["tags"] = list(dict.fromkeys(changed))
    account.applied.add("task", task_id, "tagged")
    return _save_changed(account, doc, content=False)


def audit_task(account: SandboxAccount, task_id: str, accepted: object, comments: object) -> TaskRecord:
    """Accept or reject a completed task; raises HttpError 400 for any other, or without `accepted`."""
    record = account.task(task_id)
    if not isinstance(accepted, bool):
        raise HttpError(400, "accepted must be a boolean.")
    if record.status != "completed":
        raise HttpError(400, "Only completed tasks can be audited.")
    doc = record.doc()
    doc["customer_review_status"] = "accepted" if accepted else "rejected"
    if comments:
        doc["customer_review_comments"] = comments
    _add_audit(account, doc, {"comments": comments} if comments else {})
    account.applied.add("task", task_id, "audited")
    return _save_changed(account, doc, content=True)


def _add_audit(account: SandboxAccount, doc: Doc, more: Doc) -> None:
    """Add an audit with the task's present review; the newest comes first (documented)."""
    result = doc["customer_review_status"]
    audit = {"audited_by": OWNER, "audited_at": account.stamp(), "audit_result": result}
    doc["audits"] = [{**audit, "audit_source": "customer", **more}, *(doc.get("audits") or [])]


def send_callback(account: SandboxAccount, task_id: str) -> TaskRecord:
    """Count one more callback of a task, and return the task (the API's answer is not documented)."""
    doc = account.task(task_id).doc()
    doc["callback_succeeded"] = True
    account.applied.add("task", task_id, "called_back")
    return _save_changed(account, doc, content=False)


def complete_task(account: SandboxAccount, task_id: str) -> TaskRecord:
    """Complete a task with a random response, as annotators do."""
    doc = account.task(task_id).doc()
    _complete(account, doc)
    return _save_changed(account, doc, content=True)


def _complete(account: SandboxAccount, doc: Doc) -> None:
    doc["status"] = "completed"
    doc["completed_at"] = account.stamp()
    if "callback_url" in doc:
        doc["callback_succeeded"] = True
    response = respond(doc["type"], doc["params"], account.rng)
    if response is not None:
        doc["response"] = response


def recall_task(account: SandboxAccount, task_id: str) -> TaskRecord:
    """Set a completed task back to pending: its status is not monotonic (documented)."""
    doc = account.task(task_id).doc()
    doc["status"] = "pending"
    doc.pop("completed_at", None)
    if "response" in doc:
        # Removed from `response`: a mirror must delete annotations that it has, and not only add some.
        doc["prior_responses"] = [*(doc.get("prior_responses") or []), doc.pop("response")]
    return _save_changed(account, doc, content=True)


def fix_task(account: SandboxAccount, task_id: str) -> TaskRecord:
    """Replace the response of a completed task, as an audit does that fixes it."""
    doc = account.task(task_id).doc()
    if "response" in doc:
        doc["prior_responses"] = [*(doc.get("prior_responses") or []), doc["response"]]
    corrected = correct(doc.get("response") or {}, account.rng)
    drawn = corrected or respond(doc["type"], doc["params"], account.rng)
    doc["response"] = drawn or {"annotations": []}
    doc["customer_review_status"] = "fixed"
    _add_audit(account, doc, {})
    return _save_changed(account, doc, content=True)
