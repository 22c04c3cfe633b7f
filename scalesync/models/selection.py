"""Filters for mirrored objects, from the command line and from Python."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from scalesync.errors import ConfigurationError
from scalesync.timestamps import When, check_order, instant_of


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter for mirrored objects; None: not filtered by. Use only columns that the table has."""

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
    """Whether to include objects that the API no longer has."""
    newest_first: bool = False
    """Descending order of creation; otherwise the order of keys."""
    sort: str | None = None
    """Field to sort by, with `-` before it for descending order; objects without it are last."""
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError if `since` is not before `until`."""
        check_order(self.since, self.until)


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """Counts of one stream's mirrored objects."""

    here: int
    missing: int
    """Objects that the API no longer has; not counted in `here` and `by_status`."""
    by_status: dict[str | None, int]
    """Empty for a stream without statuses."""


EVERYTHING = Selection()

FILTERS = ("project", "batch", "status", "type", "unique_id", "customer_review_status")
"""The fields of a selection that take a text, and are named as the column that they filter."""


class ProjectFilters(TypedDict, total=False):
    """Filters for projects."""

    type: str
    missing: bool
    """Whether to include projects that the API no longer has."""
    limit: int


class BatchFilters(TypedDict, total=False):
    """Filters for batches."""

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
    """Filters for tasks."""

    batch: str
    type: str
    unique_id: str
    customer_review_status: str


def selection_of(filters: Mapping[str, Any], now: datetime) -> Selection:
    """Build a selection from keyword arguments. Raises ConfigurationError for a wrong value.

    A span such as `7d` is subtracted from `now`.
    """
    for name in FILTERS:
        if filters.get(name) is not None:
            check_name(name, filters[name])
    # `bool` is an `int` in Python, and both databases store limits in 64 bits.
    limit = filters.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit < 2**63):
        raise ConfigurationError(f"The limit {limit!r} is not a whole number above 0.", advice="None is all.")
    times = {
        name: instant_of(filters[name], now) for name in ("since", "until") if filters.get(name) is not None
    }
    return Selection(**{**filters, **times})


def check_name(what: str, name: object) -> None:
    """Raise ConfigurationError if a name is empty or cannot be stored; spaces are part of a name."""
    # Spaces are kept, U+0000 and lone surrogates cannot be stored by either database.
    if name == "":
        raise ConfigurationError(f"The {what} is empty.", advice="Name it, or leave it out.")
    if not isinstance(name, str) or re.search("[\0\ud800-\udfff]", name):
        raise ConfigurationError(f"The {what} {name!r} is not text.", advice="Write it as text in Unicode.")
