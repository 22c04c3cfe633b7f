"""The keyword arguments that the methods of Mirror take, and what is made of them."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypedDict

from scalesync.errors import ConfigurationError
from scalesync.models.selection import Selection
from scalesync.sync.planner import SyncRequest
from scalesync.timestamps import instant_of

When = datetime | date | timedelta | str
"""ISO 8601 text, a date, a time; or a span such as `7d` or a timedelta: that long ago. UTC if not said."""

NAMES = ("project", "batch", "status", "type", "unique_id", "customer_review_status")
"""Filters whose value is a text."""


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
    since: When
    """Created at this time or later."""
    until: When
    """Created before this time."""
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
    since: When
    """A backfill of what was created at this time or later; it moves no watermark."""
    until: When
    """A backfill of what was created before this time."""
    projects: tuple[str, ...]
    lookback: timedelta
    """Overlap with the last sync."""


class VerifyOptions(TypedDict, total=False):
    """What `scalesync verify` takes."""

    deep: bool
    """Compare whole documents: reads everything."""
    repair: bool
    """Read what differs again, and verify once more."""
    since: When
    """Only what was created at this time or later."""
    until: When
    """Only what was created before this time."""
    projects: tuple[str, ...]


class DispatchOptions(TypedDict, total=False):
    """What `scalesync dispatch` takes; spans are in seconds."""

    max: int
    """Commands in all, at most."""
    workers: int
    rate: float
    """Requests a second, at most; no less than three in `timeout`, and one a minute."""
    timeout: float
    """What a request may take as a whole."""
    settle_time: float
    """How late the API may still apply a request that was cut off."""
    patience: float
    """How long to wait without any progress before it ends."""


class FetchKeywords(TypedDict, total=False):
    """What `scalesync fetch-results` takes."""

    workers: int
    max_size: int
    """Bytes of a file."""
    timeout: float
    """Seconds for one file as a whole."""
    allow_private: bool
    """Also from addresses of this machine and of private networks."""


def selection(filters: Mapping[str, Any], now: datetime) -> Selection:
    """Return the filter that keyword arguments make. Raises ConfigurationError for a wrong value.

    `now` is where a span such as `7d` begins.
    """
    for name in NAMES:
        if filters.get(name) is not None:
            check_name(name, filters[name])
    limit = filters.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit < 2**63):
        raise ConfigurationError(f"The limit {limit!r} is not a whole number above 0.", advice="None is all.")
    return Selection(**_with_instants(filters, now))


def request(streams: tuple[str, ...], options: Mapping[str, Any], now: datetime) -> SyncRequest:
    """Return what a sync or a verification is to read. Raises ConfigurationError for what cannot be meant."""
    projects = options.get("projects", ())
    projects = (projects,) if isinstance(projects, str) else tuple(projects)
    for name in projects:
        check_name("project", name)
    return SyncRequest(streams, **{**_with_instants(options, now), "projects": projects})


def check_name(what: str, name: object) -> None:
    """Raise ConfigurationError for what is no text, or an empty one; any other name is taken as it is."""
    if name == "":
        raise ConfigurationError(f"The {what} is empty.", advice="Name it, or leave it out.")
    if not isinstance(name, str) or re.search("[\0\ud800-\udfff]", name):
        raise ConfigurationError(f"The {what} {name!r} is not text.", advice="Write it as text in Unicode.")


def _with_instants(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return keyword arguments with instants in place of what names one."""
    times = {name: given[name] for name in ("since", "until") if given.get(name) is not None}
    return {**given, **{name: instant_of(value, now) for name, value in times.items()}}
