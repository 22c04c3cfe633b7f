"""The keyword arguments that the methods of Mirror take."""

from datetime import datetime, timedelta
from typing import TypedDict


class ProjectFilters(TypedDict, total=False):
    """Which projects are wanted."""

    type: str
    missing: bool
    """Also those that the API no longer has."""
    limit: int


class BatchFilters(TypedDict, total=False):
    """Which batches are wanted."""

    project: str
    status: str
    since: datetime
    """Created at this instant or later."""
    until: datetime
    """Created before this instant."""
    missing: bool
    newest_first: bool
    limit: int


class TaskFilters(BatchFilters, total=False):
    """Which tasks are wanted."""

    batch: str
    type: str
    unique_id: str
    customer_review_status: str


class SyncOptions(TypedDict, total=False):
    """What `scalesync sync` takes."""

    full: bool
    """Read everything again, and notice what is gone."""
    since: datetime
    """A backfill of what was created at this instant or later; it moves no watermark."""
    until: datetime
    projects: tuple[str, ...]
    lookback: timedelta
    """Overlap with the last sync."""


class VerifyOptions(TypedDict, total=False):
    """What `scalesync verify` takes."""

    deep: bool
    """Compare whole documents: reads everything."""
    repair: bool
    """Read what differs again, and verify once more."""
    since: datetime
    """Only what was created at this instant or later."""
    until: datetime
    projects: tuple[str, ...]


class DispatchOptions(TypedDict, total=False):
    """What `scalesync dispatch` takes; spans are in seconds."""

    max: int
    """Commands in all, at most."""
    workers: int
    rate: float
    """Requests a second, at most."""
    timeout: float
    """What a request may take as a whole."""
    settle_time: float
    """How late the API may still apply a request that was cut off."""
    patience: float
    """How long to wait without any progress before it ends."""


class FetchOptions(TypedDict, total=False):
    """What `scalesync fetch-results` takes."""

    workers: int
    max_size: int
    """Bytes of a file."""
    timeout: float
    """Seconds for one file as a whole."""
    allow_private: bool
    """Also from addresses of this machine and of private networks."""
