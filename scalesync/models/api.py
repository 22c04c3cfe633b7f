"""Values that the API's client takes and returns: pages, documents, filters."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

DEFAULT_API_URL = "https://api.scale.com/v1"
"""The API's address (documented)."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list request."""

    docs: tuple[msgspec.Raw, ...]
    """The documents, each still the JSON text that the API sent."""
    total: int | None
    """How many objects match the request's filters in all; None where the endpoint does not say."""
    next_token: str | None
    """What asks for the page after this one; None on the last page. Opaque."""
    has_more: bool
    """What the API says of a further page, to be held against `next_token`."""
    served_at: datetime
    """The API's clock when it answered."""
    replaced: int = 0
    """How many characters no database can hold (U+0000, lone surrogates) became U+FFFD."""
    dated: bool = True
    """Whether `served_at` is what the API said; else it is our own clock, which may be wrong."""


@dataclass(frozen=True, slots=True)
class Document:
    """One answer about a single object."""

    raw: msgspec.Raw
    served_at: datetime
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """The filters of `GET /tasks`, named as the API names them. None or empty: not sent."""

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
    """The filters of `GET /batches`, named as the API names them. None: not sent."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    status: str | None = None
    project: str | None = None
    exclude_archived: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A batch's own counts of its tasks; counts that the API left out are 0."""

    status: str
    pending: int
    completed: int
    error: int
    canceled: int
    served_at: datetime
