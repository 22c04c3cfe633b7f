"""Which mirrored objects are wanted, and how many there are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from scalesync.errors import ConfigurationError
from scalesync.timestamps import When, check_order, instant_of


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects are wanted; None leaves a filter out. Filter only by columns that the table has."""

    project: str | None = None
    batch: str | None = None
    status: str | None = None
    type: str | None = None
    unique_id: str | None = None
    customer_review_status: str | None = None
    since: datetime | None = None
    """Created at this instant or later."""
    until: datetime | None = None
    """Created before this instant."""
    missing: bool = False
    """Also objects that the API no longer has."""
    newest_first: bool = False
    """In descending order of creation; otherwise in order of keys."""
    sort: str | None = None
    """In order of this field, with `-` before it in descending order; those without one are last."""
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError for times between which nothing can lie."""
        check_order(self.since, self.until)


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """How many objects of one stream are here."""

    here: int
    missing: int
    """Objects here that the API no longer has; not in `here`, nor in `by_status`."""
    by_status: dict[str | None, int]
    """Empty for a stream without statuses."""


EVERYTHING = Selection()

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


def selection_of(filters: Mapping[str, Any], now: datetime) -> Selection:
    """Return the filter that keyword arguments make. Raises ConfigurationError for a wrong value.

    A span such as `7d` goes back from `now`.
    """
    for name in NAMES:
        if filters.get(name) is not None:
            check_name(name, filters[name])
    limit = filters.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit < 2**63):
        raise ConfigurationError(f"The limit {limit!r} is not a whole number above 0.", advice="None is all.")
    times = {
        name: instant_of(filters[name], now) for name in ("since", "until") if filters.get(name) is not None
    }
    return Selection(**{**filters, **times})


def check_name(what: str, name: object) -> None:
    """Raise ConfigurationError for what is no text, or an empty one; any other name is taken as it is."""
    if name == "":
        raise ConfigurationError(f"The {what} is empty.", advice="Name it, or leave it out.")
    if not isinstance(name, str) or re.search("[\0\ud800-\udfff]", name):
        raise ConfigurationError(f"The {what} {name!r} is not text.", advice="Write it as text in Unicode.")
