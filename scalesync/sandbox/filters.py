"""Read the filters of `GET /tasks`, and find the tasks that match them."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import Key, TaskRecord, TaskStore
from scalesync.sandbox.timestamps import Span, span_of

Params = Mapping[str, Sequence[str]]
"""The query of a request: the values of each name, without empty ones."""

STATUSES = ("pending", "completed", "canceled", "error")
REVIEWS = frozenset({"accepted", "fixed", "commented", "rejected", "pending"})

_LAST_ID = "\x7f"
"""Sorts behind every task_id, which is hexadecimal."""


@dataclass(frozen=True, slots=True)
class ListFilters:
    """The filters of one list of tasks; an empty text or set filters nothing."""

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


def read_filters(params: Params, switches: Switches) -> ListFilters:
    """Return the filters of a query; raises HttpError 400 for a value that does not exist."""
    bounds = switches.bounds
    filters = ListFilters(
        created=span_of(query_value(params, "start_time"), query_value(params, "end_time"), bounds),
        completed=span_of(
            query_value(params, "completed_after"), query_value(params, "completed_before"), bounds
        ),
        updated=span_of(query_value(params, "updated_after"), query_value(params, "updated_before"), bounds),
        status=query_value(params, "status"),
        type=query_value(params, "type"),
        project=query_value(params, "project"),
        batch=query_value(params, "batch"),
        reviews=frozenset(query_value(params, "customer_review_status").split(",")) - {""},
        unique_ids=frozenset(params.get("unique_id", ())),
        tags=frozenset(params.get("tags", ())),
        show_without_updated_at=not switches.hide_without_updated_at,
    )
    statuses = STATUSES if switches.error_status_filter == "accepted" else STATUSES[:3]
    if filters.status and filters.status not in statuses:
        raise HttpError(400, f'Invalid status "{filters.status}".')
    if not filters.reviews <= REVIEWS:
        raise HttpError(400, "Invalid customer_review_status.")
    if switches.project_required and not (filters.project or filters.batch):
        raise HttpError(400, "A project or a batch is required.")
    return filters


def query_value(params: Params, name: str) -> str:
    """Return the last value of a name in the query; `""` for none."""
    values = params.get(name)
    return values[-1] if values else ""


def accepts(filters: ListFilters, task: TaskRecord) -> bool:
    """Return whether a task matches every filter, of several tags or unique_ids any one (assumed)."""
    return (
        (not filters.status or task.status == filters.status)
        and (not filters.type or task.type == filters.type)
        and (not filters.project or task.project == filters.project)
        and (not filters.batch or task.batch == filters.batch)
        and (not filters.reviews or task.review in filters.reviews)
        and (not filters.unique_ids or task.unique_id in filters.unique_ids)
        and (not filters.tags or not filters.tags.isdisjoint(task.tags))
        and task.created in filters.created
        and task.completed in filters.completed
        and (task.updated in filters.updated or (task.updated is None and filters.show_without_updated_at))
    )


@dataclass(frozen=True, slots=True)
class Matches:
    """The keys of all matching tasks, oldest first, as the range low..high of a list that is not copied."""

    keys: Sequence[Key]
    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low


def find(store: TaskStore, filters: ListFilters) -> Matches:
    """Return the matching tasks, found by the index that leaves the fewest tasks to compare."""
    keys = _smallest_index(store, filters)
    # An empty id sorts before every task of the first millisecond, and _LAST_ID behind all of the last.
    low = bisect_left(keys, (filters.created.first, ""))
    high = bisect_right(keys, (filters.created.last, _LAST_ID))
    if _index_suffices(filters):
        return Matches(keys, low, max(low, high))
    # Both ways give the same order, by creation: a page does not show which index found it.
    recent = _recently_updated(store, filters, at_most=high - low)
    candidates = keys[low:high] if recent is None else recent
    matching = [key for key in candidates if accepts(filters, store[key[1]])]
    return Matches(matching, 0, len(matching))


def _smallest_index(store: TaskStore, filters: ListFilters) -> Sequence[Key]:
    if filters.unique_ids:
        ids = (store.by_unique_id.get(unique_id) for unique_id in filters.unique_ids)
        return sorted(store[task_id].key for task_id in ids if task_id is not None)
    if filters.batch:
        return store.by_batch.get(filters.batch, ())
    if filters.project:
        return store.by_project.get(filters.project, ())
    return store.created


def _index_suffices(filters: ListFilters) -> bool:
    """Return whether the chosen index and `created_at` apply every filter that is set."""
    if filters.unique_ids or (filters.batch and filters.project):
        return False
    rest = (filters.status, filters.type, filters.reviews, filters.tags)
    return not any(rest) and not filters.completed.bounded and not filters.updated.bounded


def _recently_updated(store: TaskStore, filters: ListFilters, *, at_most: int) -> list[Key] | None:
    """Return the tasks within the filter on updated_at, oldest first; None if that leaves more to compare."""
    # Tasks without updated_at are not in that index: if the filter shows them, it would miss them.
    if not filters.updated.bounded or filters.show_without_updated_at:
        return None
    low = bisect_left(store.updated, (filters.updated.first, ""))
    high = bisect_right(store.updated, (filters.updated.last, _LAST_ID))
    if high - low >= at_most:
        return None
    return sorted(store[task_id].key for _, task_id in store.updated[low:high])
