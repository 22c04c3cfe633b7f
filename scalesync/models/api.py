"""Arguments and results of the API client: pages, documents, filters."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

DEFAULT_API_URL = "https://api.scale.com/v1"
"""The API's address (documented)."""

TASK_STATUSES = ("pending", "completed", "canceled", "error")
"""Statuses of tasks (documented; that lists filter by the last one is assumed)."""

REVIEWS = ("accepted", "fixed", "commented", "rejected", "pending")
"""Values of `customer_review_status` (official client)."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list request."""

    docs: tuple[msgspec.Raw, ...]
    """The documents, each as the JSON text that the API sent."""
    total: int | None
    """All objects that match the request's filters; None: the endpoint does not say."""
    next_token: str | None
    """The opaque token of the next page; None on the last page."""
    has_more: bool
    """Whether the API says that there is a next page; must agree with `next_token`."""
    served_at: datetime
    """The API's clock when it answered."""
    replaced: int = 0
    """Characters that no database can store (U+0000, lone surrogates) and that became U+FFFD."""
    dated: bool = True
    """Whether `served_at` is the API's time; False: it is this machine's, which may be wrong."""


@dataclass(frozen=True, slots=True)
class Document:
    """One answer about a single object."""

    raw: msgspec.Raw
    served_at: datetime
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """The filters of `GET /tasks` under the API's names. None or empty: not sent."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    completed_after: datetime | None = None
    completed_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    status: str | None = None
    type: str | None = None
    project: str | None = None
    batch: str | None = None
    customer_review_status: tuple[str, ...] = ()
    unique_id: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    include_attachment_url: bool | None = None
    limited_response: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """The filters of `GET /batches` under the API's names. None: not sent."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    status: str | None = None
    project: str | None = None
    exclude_archived: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The API's counts of a batch's tasks by status; a count that the API leaves out is 0."""

    status: str
    pending: int
    completed: int
    error: int
    canceled: int
    served_at: datetime
