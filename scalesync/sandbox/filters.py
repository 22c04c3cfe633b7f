"""The filters of `GET /tasks`: which tasks a request means."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import Key, TaskRecord, TaskStore
from scalesync.sandbox.timestamps import Span, span_of

Params = Mapping[str, Sequence[str]]
"""The query of a request: every value of every name, empty ones left out."""

STATUSES = ("pending", "completed", "canceled", "error")
REVIEWS = frozenset({"accepted", "fixed", "commented", "rejected", "pending"})

_LAST_ID = "\x7f"
"""Sorts behind every task_id."""


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What a listed task must satisfy; an empty text or set asks for nothing."""

    created: Span
    completed: Span
    updated: Span
    status: str
    type: str
    project: str
    batch: str
    reviews: frozenset[str]
    unique_ids: frozenset[str]
    tags: frozenset[str]
    show_without_updated_at: bool


def read_filters(params: Params, switches: Switches) -> TaskFilters:
    """Return the filters of a query. Raises RefusalError 400 for a value that does not exist."""
    bounds = switches.bounds
    filters = TaskFilters(
        created=span_of(one(params, "start_time"), one(params, "end_time"), bounds),
        completed=span_of(one(params, "completed_after"), one(params, "completed_before"), bounds),
        updated=span_of(one(params, "updated_after"), one(params, "updated_before"), bounds),
        status=one(params, "status"),
        type=one(params, "type"),
        project=one(params, "project"),
        batch=one(params, "batch"),
        reviews=frozenset(one(params, "customer_review_status").split(",")) - {""},
        unique_ids=frozenset(params.get("unique_id", ())),
        tags=frozenset(params.get("tags", ())),
        show_without_updated_at=not switches.hide_without_updated_at,
    )
    _refuse_unknown(filters, switches)
    return filters


def one(params: Params, name: str) -> str:
    """Return the last value sent under a name; empty if none was."""
    values = params.get(name)
    return values[-1] if values else ""


def _refuse_unknown(filters: TaskFilters, switches: Switches) -> None:
    statuses = STATUSES if switches.error_status_filter == "accepted" else STATUSES[:3]
    if filters.status and filters.status not in statuses:
        raise RefusalError(400, f'Invalid status "{filters.status}".')
    if not filters.reviews <= REVIEWS:
        raise RefusalError(400, "Invalid customer_review_status.")
    if switches.project_required and not (filters.project or filters.batch):
        raise RefusalError(400, "A project or a batch is required.")


def accepts(filters: TaskFilters, task: TaskRecord) -> bool:
    """Whether a task satisfies every filter; several tags or unique_ids mean any of them (assumed)."""
    return (
        (not filters.status or task.status == filters.status)
        and (not filters.type or task.type == filters.type)
        and (not filters.project or task.project == filters.project)
        and (not filters.batch or task.batch == filters.batch)
        and _accepts_sets(filters, task)
        and task.created in filters.created
        and _within(task.completed, filters.completed)
        and (_within(task.updated, filters.updated) or _shown_bare(filters, task))
    )


def _accepts_sets(filters: TaskFilters, task: TaskRecord) -> bool:
    return (
        (not filters.reviews or task.review in filters.reviews)
        and (not filters.unique_ids or task.unique_id in filters.unique_ids)
        and (not filters.tags or not filters.tags.isdisjoint(task.tags))
    )


def _within(instant: int | None, span: Span) -> bool:
    return not span.bounded or (instant is not None and instant in span)


def _shown_bare(filters: TaskFilters, task: TaskRecord) -> bool:
    return filters.show_without_updated_at and task.updated is None


@dataclass(frozen=True, slots=True)
class Matches:
    """The keys of all matching tasks, oldest first: a part of a sorted list, which is not copied."""

    keys: Sequence[Key]
    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low


def find(store: TaskStore, filters: TaskFilters) -> Matches:
    """Return the matching tasks by way of the index that leaves the fewest to look at."""
    keys = _narrowest(store, filters)
    low = bisect_left(keys, (filters.created.first, ""))
    high = bisect_right(keys, (filters.created.last, _LAST_ID))
    if _settled(filters):
        return Matches(keys, low, max(low, high))
    recent = _recently_updated(store, filters, at_most=high - low)
    candidates = keys[low:high] if recent is None else recent
    matching = [key for key in candidates if accepts(filters, store[key[1]])]
    return Matches(matching, 0, len(matching))


def _narrowest(store: TaskStore, filters: TaskFilters) -> Sequence[Key]:
    if filters.unique_ids:
        ids = (store.by_unique_id.get(unique_id) for unique_id in filters.unique_ids)
        return sorted(store[task_id].key for task_id in ids if task_id is not None)
    if filters.batch:
        return store.by_batch.get(filters.batch, ())
    if filters.project:
        return store.by_project.get(filters.project, ())
    return store.created


def _settled(filters: TaskFilters) -> bool:
    """Whether the chosen index and `created_at` say it all."""
    if filters.unique_ids or (filters.batch and filters.project):
        return False
    rest = (filters.status, filters.type, filters.reviews, filters.tags)
    return not any(rest) and not filters.completed.bounded and not filters.updated.bounded


def _recently_updated(store: TaskStore, filters: TaskFilters, *, at_most: int) -> list[Key] | None:
    """Return the tasks within the filter on updated_at, oldest first, if they are fewer than `at_most`."""
    if not filters.updated.bounded or filters.show_without_updated_at:
        return None
    low = bisect_left(store.updated, (filters.updated.first, ""))
    high = bisect_right(store.updated, (filters.updated.last, _LAST_ID))
    if high - low >= at_most:
        return None
    return sorted(store[task_id].key for _, task_id in store.updated[low:high])
