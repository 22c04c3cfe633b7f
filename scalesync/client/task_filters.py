"""Arguments of the official client's lists, as filters of the mirror and of the API."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import msgspec

from scalesync.errors import ConfigurationError, ScaleInvalidRequest
from scalesync.models.api import REVIEWS, TASK_STATUSES, BatchFilter, TaskFilter
from scalesync.models.selection import Selection
from scalesync.timestamps import instant_of, parse_instant

TASK_FILTERS = (
    "start_time", "end_time", "status", "type", "project", "batch", "limit", "completed_before",
    "completed_after", "next_token", "customer_review_status", "tags", "updated_before", "updated_after",
    "unique_id", "include_attachment_url", "limited_response",
)  # fmt: skip
"""The arguments of `ScaleClient.tasks`."""
BATCH_FILTERS = ("start_time", "end_time", "exclude_archived", "status", "project", "limit", "offset")
"""The arguments of `ScaleClient.batches`."""
LIMITED_FIELDS = ("task_id", "status", "metadata", "project", "otherVersion")
"""The fields of a task in a `limited_response` (official client)."""
PAGE_SIZE = 100

_ARGUMENTS = {
    "project_name": "project",
    "batch_name": "batch",
    "task_type": "type",
    "status": "status",
    "unique_id": "unique_id",
    "completed_after": "completed_after",
    "completed_before": "completed_before",
    "updated_after": "updated_after",
    "updated_before": "updated_before",
    "created_after": "start_time",
    "created_before": "end_time",
    "tags": "tags",
    "include_attachment_url": "include_attachment_url",
    "limited_response": "limited_response",
}
"""The API's names of the arguments of `get_tasks`."""

_TIMES = (
    "start_time", "end_time", "completed_after", "completed_before", "updated_after", "updated_before",
)  # fmt: skip
_MILLISECOND = timedelta(milliseconds=1)


Position = tuple[datetime | None, str]
"""Time of creation and id of the last task of a page, behind which the next page begins."""


def check_names(given: Iterable[str], allowed: Sequence[str], method: str) -> None:
    """Raise ScaleInvalidRequest for an argument that the method does not have."""
    for name in given:
        if name not in allowed:
            raise ScaleInvalidRequest(f"{method} takes no argument {name!r}.")


def value_of(given: Any) -> Any:
    """Return the value of an enum, such as `TaskType.ImageAnnotation`; anything else unchanged."""
    return given.value if isinstance(given, Enum) else given


def several(given: object) -> tuple[str, ...]:
    """Return one text, or several, as a tuple; empty ones are left out, as the API ignores them."""
    if given is None:
        return ()
    texts = [given] if isinstance(given, str | Enum) else given
    return tuple(text for each in texts if (text := str(value_of(each))))  # type: ignore[attr-defined]


def task_filter(given: Mapping[str, Any], now: datetime) -> TaskFilter:
    """Return the filter of `tasks`. Raises ScaleInvalidRequest for a value that the API refuses."""
    status = value_of(given.get("status")) or None
    if status is not None and status not in TASK_STATUSES:
        raise ScaleInvalidRequest(f"There is no status {status!r}; it is one of {', '.join(TASK_STATUSES)}.")
    reviews = tuple(
        each for text in several(given.get("customer_review_status")) for each in text.split(",") if each
    )
    for review in reviews:
        if review not in REVIEWS:
            raise ScaleInvalidRequest(f"There is no review {review!r}; it is one of {', '.join(REVIEWS)}.")
    return TaskFilter(
        **{name: time_of(given.get(name), now) for name in _TIMES},
        status=status,
        type=value_of(given.get("type")) or None,
        project=given.get("project") or None,
        batch=given.get("batch") or None,
        customer_review_status=reviews,
        unique_id=several(given.get("unique_id")),
        tags=several(given.get("tags")),
        include_attachment_url=given.get("include_attachment_url"),
        limited_response=given.get("limited_response"),
    )


def filters_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of `tasks` from the arguments of `get_tasks`. Raises ValueError."""
    if not given["project_name"] and not given["batch_name"]:
        raise ValueError("Give project_name or batch_name.")
    named = {theirs: given.get(ours) for ours, theirs in _ARGUMENTS.items()}
    return {**named, "customer_review_status": several(given["review_status"])}


def batch_filter(given: Mapping[str, Any], now: datetime) -> BatchFilter:
    """Return the filter of `batches`."""
    return BatchFilter(
        start_time=time_of(given.get("start_time"), now),
        end_time=time_of(given.get("end_time"), now),
        status=value_of(given.get("status")) or None,
        project=given.get("project") or None,
        exclude_archived=given.get("exclude_archived"),
    )


def time_of(given: object, now: datetime) -> datetime | None:
    """Return an instant in UTC; a text without an offset is in UTC. Raises ScaleInvalidRequest."""
    if given is None or given == "":
        return None
    try:
        return instant_of(given, now)
    except ConfigurationError as error:
        raise ScaleInvalidRequest(error.message) from error


def page_size(given: object) -> int:
    """Return the number of objects of a page. Raises ScaleInvalidRequest unless it is from 1 to 100."""
    limit = PAGE_SIZE if given is None else given
    if isinstance(limit, str) and limit.isascii() and limit.isdecimal() and len(limit) < 4:
        limit = int(limit)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= PAGE_SIZE:
        raise ScaleInvalidRequest(f"limit is a number from 1 to {PAGE_SIZE}.")
    return limit


def selected_tasks(chosen: TaskFilter) -> Selection | None:
    """Return the selection of the same tasks in the mirror; None if a time range ends before it begins.

    The API's bounds are inclusive (assumed).
    """
    ranges = (
        (chosen.start_time, chosen.end_time),
        (chosen.completed_after, chosen.completed_before),
        (chosen.updated_after, chosen.updated_before),
    )
    if any(first and last and last < first for first, last in ranges):
        return None
    return Selection(
        project=chosen.project,
        batch=chosen.batch,
        status=chosen.status,
        type=chosen.type,
        unique_id=chosen.unique_id or None,
        customer_review_status=chosen.customer_review_status or None,
        tags=chosen.tags or None,
        since=chosen.start_time,
        until=_after(chosen.end_time),
        completed_since=chosen.completed_after,
        completed_until=_after(chosen.completed_before),
        updated_since=chosen.updated_after,
        updated_until=_after(chosen.updated_before),
    )


def selected_batches(chosen: BatchFilter) -> Selection | None:
    """Return the selection of the same batches in the mirror; None if the range ends before it begins."""
    if chosen.start_time and chosen.end_time and chosen.end_time < chosen.start_time:
        return None
    return Selection(
        project=chosen.project,
        status=chosen.status,
        since=chosen.start_time,
        until=_after(chosen.end_time),
        archived=not chosen.exclude_archived,
    )


def _after(bound: datetime | None) -> datetime | None:
    """Return the end of a range that includes `bound`: the API's times are in whole milliseconds."""
    return None if bound is None else bound + _MILLISECOND


def token_of(document: Mapping[str, Any]) -> str:
    """Return the token for the page behind a task, in the form of the API's (recorded)."""
    content = {"id": document["task_id"], "created_at": document.get("created_at")}
    return base64.b64encode(msgspec.json.encode(content)).decode()


def position_of(token: str | None) -> Position | None:
    """Return the position in a token. Raises ScaleInvalidRequest for garbage."""
    if not token:
        return None
    try:
        content = msgspec.json.decode(base64.b64decode(token, validate=True), type=dict[str, str | None])
        created_at = content["created_at"]
        key = content["id"]
        if key is None:
            raise ValueError(token)
        return None if created_at is None else parse_instant(created_at), key
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise ScaleInvalidRequest("This is no next_token of a list of tasks.") from error
