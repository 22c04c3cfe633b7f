"""The pages `/batches` and `/batches/NAME`: how much of each batch is done, and its tasks."""

from collections.abc import Mapping
from typing import Any

import msgspec

from scalesync.errors import ConfigurationError
from scalesync.json_sanitizing import read_json
from scalesync.models.selection import Selection
from scalesync.web.addresses import (
    BATCH_FILTERS,
    address,
    filters_in,
    page_size,
    segment,
    selection_from,
    start_of,
)
from scalesync.web.lists import COLUMNS, next_page, task_address, turning
from scalesync.web.pages import NoSuchPageError, PageRequest, Table, WebPage, as_text

_COLUMNS = (
    "name", "project", "status", "created_at", "completed_at", "tasks_pending", "tasks_completed",
    "tasks_error", "tasks_canceled", "share_done",
)  # fmt: skip
_ON_A_PAGE = 100
_TASKS = 50
_CHOICES = {"status": ("staging", "in_progress", "completed")}


def batches(request: PageRequest) -> WebPage:
    """Return one page of batches, newest first."""
    filters = filters_in(request, BATCH_FILTERS)
    selection = selection_from(filters, request.mirror.now())
    start, newer = start_of(request)
    limit = page_size(request, _ON_A_PAGE)
    found = request.mirror.object_page("batches", selection, limit, start, newer=newer)
    rows = [{**row, "share_done": _share_done(row)} for row in found.rows]
    shown = {"limit": request.one("limit")}
    values = {
        "title": "Batches",
        "filters": filters,
        "filter_names": BATCH_FILTERS,
        "choices": _CHOICES,
        "columns": _COLUMNS,
        "rows": [{**row, "address": f"/batches/{segment(row['name'])}"} for row in rows],
        "shown": shown,
        **turning("/batches", filters, shown, found),
    }
    document = {"batches": rows, **turning(f"/batches.{request.form}", filters, shown, found)}
    return WebPage("batches.html", values, document, Table.of(_COLUMNS, rows), headers=next_page(document))


def batch(request: PageRequest) -> WebPage:
    """Return the page of one batch: its counts and its newest tasks."""
    if request.query:
        raise ConfigurationError("A batch has no filters.", advice="Use those of /tasks.")
    details = request.mirror.batch_details(request.name)
    tasks = request.mirror.object_page("tasks", Selection(batch=request.name), _TASKS)
    if details.document is None and not tasks.rows:
        raise NoSuchPageError("The mirror has no batch of this name.")
    document = None if details.document is None else read_json(details.document)
    share = _share_done(details.counts)
    values = {
        "title": f"Batch {request.name}",
        "facts": [(name, as_text(value)) for name, value in (document or {}).items()],
        "counts": details.counts,
        "counted_at": details.counted_at,
        "share": share,
        "columns": COLUMNS,
        "rows": [
            {**row, "address": task_address(row["task_id"], {"batch": request.name})} for row in tasks.rows
        ],
        "tasks_address": address("/tasks", {"batch": request.name}),
        "more": tasks.older is not None,
    }
    answer = {
        "batch": None if details.document is None else msgspec.Raw(details.document),
        "counts": details.counts,
        "counted_at": details.counted_at,
        "share_done": share,
        "tasks": tasks.rows,
        "more_tasks": tasks.older is not None,
    }
    return WebPage("batch.html", values, answer, Table.of(COLUMNS, tasks.rows))


def _share_done(counts: Mapping[str, Any]) -> float | None:
    """Return the share of completed tasks among all but the canceled, None if it is not known."""
    numbers = [counts[f"tasks_{status}"] for status in ("completed", "pending", "error")]
    if None in numbers or not sum(numbers):
        return None
    return float(numbers[0]) / float(sum(numbers))
