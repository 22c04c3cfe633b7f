"""Batches: how they come to be, close and count their tasks."""

from collections import Counter

from scalesync.sandbox.account import Account
from scalesync.sandbox.documents import Doc, object_in
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.filters import Params, one
from scalesync.sandbox.pagination import is_yes
from scalesync.sandbox.timestamps import parse_millis, span_of

STATUSES = ("staging", "in_progress", "completed")


def create_batch(account: Account, body: Doc) -> Doc:
    """Create a batch and return it: staging in a Rapid or Studio project, else in_progress (official client).

    Raises 400 without name or project, 404 for an unknown project, 409 for a used name.
    """
    name, project_name = body.get("name"), body.get("project")
    if not isinstance(name, str) or not name or not isinstance(project_name, str):
        raise RefusalError(400, "name and project are required.")
    metadata = object_in(body, "metadata")
    project = account.project(project_name)
    if name in account.batches:
        raise RefusalError(409, f'Batch with name "{name}" already exists.')
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
    account.effects.add("batch", name, "created")
    return account.save("batches", name, batch)


def needs_finalizing(project: Doc) -> bool:
    """Whether a project's batches collect tasks in staging until they are finalized."""
    return bool(project.get("rapid") or project.get("studio"))


def finalize_batch(account: Account, name: str) -> Doc:
    """Hand a staging batch over to be worked on. In an Enterprise project nothing happens.

    Raises 404 for an unknown batch, 400 for a Rapid or Studio batch that was finalized before.
    """
    batch = account.batch(name)
    if not needs_finalizing(account.projects.get(batch["project"], {})):
        return batch
    if batch["status"] != "staging":
        raise RefusalError(400, f'Batch "{name}" has already been finalized.')
    account.effects.add("batch", name, "finalized")
    account.save("batches", name, {**batch, "status": "in_progress"})
    refresh_batch(account, name)
    return account.batch(name)


def set_batch_metadata(account: Account, name: str, metadata: Doc) -> Doc:
    """Replace a batch's metadata and return the batch. Raises 404."""
    return account.save("batches", name, {**account.batch(name), "metadata": metadata})


def batch_status(account: Account, name: str) -> Doc:
    """Return `{"status", "pending"?, "completed"?, ...}` zero counts left out (documented). Raises 404."""
    batch = account.batch(name)
    counts = Counter(task.status for task in account.tasks.of_batch(name))
    return {"status": batch["status"], **counts}


def batch_for_new_task(account: Account, name: str | None, project: str | None) -> Doc | None:
    """Return the batch that a new task names, None if it names none.

    Raises 400 for one that is unknown, of another project, or takes no more tasks.
    """
    if not name:
        return None
    batch = account.batches.get(name)
    if batch is None:
        raise RefusalError(400, f'Batch with name "{name}" not found.')
    if project and project != batch["project"]:
        raise RefusalError(400, f'Batch "{name}" belongs to another project.')
    if needs_finalizing(account.projects.get(batch["project"], {})):
        takes_tasks = batch["status"] == "staging"
    else:
        takes_tasks = batch["status"] != "completed" or account.switches.batches_reopen
    if not takes_tasks:
        raise RefusalError(400, f'Batch "{name}" takes no more tasks.')
    return batch


def refresh_batch(account: Account, name: str | None) -> None:
    """Complete an in_progress batch whose tasks are all done; reopen a completed one if the switch says so.

    Where tasks complete at once a batch stays open: the official client's own tests add one completed
    task after the other.
    """
    batch = account.batches.get(name or "")
    if batch is None or account.completes_at_once:
        return
    statuses = {task.status for task in account.tasks.of_batch(batch["name"])}
    if batch["status"] == "in_progress" and statuses and "pending" not in statuses:
        account.save(
            "batches", batch["name"], {**batch, "status": "completed", "completed_at": account.stamp()}
        )
    if batch["status"] == "completed" and "pending" in statuses and account.switches.batches_reopen:
        reopened = {field: value for field, value in batch.items() if field != "completed_at"}
        account.save("batches", batch["name"], {**reopened, "status": "in_progress"})


def list_batches(account: Account, params: Params) -> list[Doc]:
    """Return the batches that the filters of `GET /batches` ask for, newest first. Raises 400."""
    created = span_of(one(params, "start_time"), one(params, "end_time"), account.switches.bounds)
    status, project = one(params, "status"), one(params, "project")
    if status and status not in STATUSES:
        raise RefusalError(400, f'Invalid status "{status}".')
    hidden = is_yes(params, "exclude_archived")
    return [
        batch
        for batch in account.batches_newest_first()
        if (not status or batch["status"] == status)
        and (not project or batch["project"] == project)
        and not (hidden and batch.get("archived"))
        and parse_millis(batch["created_at"]) in created
    ]
