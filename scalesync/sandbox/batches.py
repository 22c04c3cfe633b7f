"""Create, finalize, complete and list batches."""

from collections import Counter

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Params, query_value
from scalesync.sandbox.json_codec import Doc, as_object
from scalesync.sandbox.pagination import is_yes, page_of_batches
from scalesync.sandbox.timestamps import parse_millis, span_of

STATUSES = ("staging", "in_progress", "completed")


def create_batch(account: SandboxAccount, body: Doc) -> Doc:
    """Create a batch and return it.

    It is in staging in a Rapid or Studio project, else in_progress (official client). Raises HttpError 400
    without name or project, 404 for an unknown project, 409 for a used name.
    """
    name, project_name = body.get("name"), body.get("project")
    if not isinstance(name, str) or not name or not isinstance(project_name, str):
        raise HttpError(400, "name and project are required.")
    metadata = as_object(body.get("metadata"), "metadata must be an object.")
    project = account.project(project_name)
    if name in account.batches:
        raise HttpError(409, f'Batch with name "{name}" already exists.')
    batch: Doc = {
        "id": account.new_id(account.now()),
        "project": project_name,
        "name": name,
        "callback": body.get("callback") or "",
        "status": "staging" if needs_finalizing(project) else "in_progress",
        "created_at": account.stamp(),
        "metadata": metadata,
    }
    batch |= {flag: True for flag in ("calibration_batch", "self_label_batch") if body.get(flag)}
    account.applied.add("batch", name, "created")
    return account.save("batches", name, batch)


def needs_finalizing(project: Doc) -> bool:
    """Return whether a project's batches stay in staging until they are finalized."""
    return bool(project.get("rapid") or project.get("studio"))


def finalize_batch(account: SandboxAccount, name: str) -> Doc:
    """Set a staging batch to in_progress and return it; a batch of an Enterprise project is left alone.

    Raises HttpError 404 for an unknown batch, 400 for a Rapid or Studio batch that was finalized before.
    """
    batch = account.batch(name)
    if not needs_finalizing(account.projects.get(batch["project"], {})):
        return batch
    if batch["status"] != "staging":
        raise HttpError(400, f'Batch "{name}" has already been finalized.')
    # Counted only if it changes something: a second finalize that is refused has no effect to count.
    account.applied.add("batch", name, "finalized")
    account.save("batches", name, {**batch, "status": "in_progress"})
    refresh_batch(account, name)
    return account.batch(name)


def set_batch_metadata(account: SandboxAccount, name: str, metadata: Doc) -> Doc:
    """Replace a batch's metadata and return the batch; raises HttpError 404 for an unknown one."""
    changed = {**account.batch(name), "metadata": metadata}
    account.applied.add("batch", name, "described")
    return account.save("batches", name, changed)


def batch_status(account: SandboxAccount, name: str) -> Doc:
    """Return a batch's status and how many tasks are in each status, without zeros (documented).

    Raises HttpError 404 for an unknown batch.
    """
    batch = account.batch(name)
    counts = Counter(task.status for task in account.tasks.of_batch(name))
    return {"status": batch["status"], **counts}


def batch_for_new_task(account: SandboxAccount, name: str | None, project: str | None) -> Doc | None:
    """Return the batch that a new task names, None if it names none.

    Raises HttpError 400 for a batch that is unknown, of another project, or closed to new tasks.
    """
    if not name:
        return None
    batch = account.batches.get(name)
    if batch is None:
        raise HttpError(400, f'Batch with name "{name}" not found.')
    if project and project != batch["project"]:
        raise HttpError(400, f'Batch "{name}" belongs to another project.')
    if needs_finalizing(account.projects.get(batch["project"], {})):
        takes_tasks = batch["status"] == "staging"
    else:
        takes_tasks = batch["status"] != "completed" or account.switches.batches_reopen
    if not takes_tasks:
        raise HttpError(400, f'Batch "{name}" takes no more tasks.')
    return batch


def refresh_batch(account: SandboxAccount, name: str | None) -> None:
    """Complete an in_progress batch without pending tasks; a switch makes a completed one reopen."""
    batch = account.batches.get(name or "")
    # Where tasks complete at once a batch stays open: the official client's tests add one task after
    # another to it, and the first would close it.
    if batch is None or account.completes_at_once:
        return
    # An empty batch is not completed: its creator has yet to add the first task.
    statuses = {task.status for task in account.tasks.of_batch(batch["name"])}
    if batch["status"] == "in_progress" and statuses and "pending" not in statuses:
        account.save(
            "batches", batch["name"], {**batch, "status": "completed", "completed_at": account.stamp()}
        )
    if batch["status"] == "completed" and "pending" in statuses and account.switches.batches_reopen:
        reopened = {field: value for field, value in batch.items() if field != "completed_at"}
        account.save("batches", batch["name"], {**reopened, "status": "in_progress"})


def list_batches(account: SandboxAccount, params: Params) -> Doc:
    """Return a page of the batches that match a query, newest first; raises HttpError 400 for a bad value."""
    created = span_of(
        query_value(params, "start_time"), query_value(params, "end_time"), account.switches.bounds
    )
    status, project = query_value(params, "status"), query_value(params, "project")
    if status and status not in STATUSES:
        raise HttpError(400, f'Invalid status "{status}".')
    hidden = is_yes(params, "exclude_archived")
    matching = [
        batch
        for batch in account.batches_newest_first()
        if (not status or batch["status"] == status)
        and (not project or batch["project"] == project)
        and not (hidden and batch.get("archived"))
        and parse_millis(batch["created_at"]) in created
    ]
    return page_of_batches(matching, params, account.switches)
