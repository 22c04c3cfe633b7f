"""Filters for mirrored objects, from the command line and from Python."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
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
    unique_id: str | tuple[str, ...] | None = None
    """One, or any of several."""
    customer_review_status: str | tuple[str, ...] | None = None
    """One, or any of several."""
    tags: tuple[str, ...] | None = None
    """Tasks with any of these tags."""
    geometry: str | tuple[str, ...] | None = None
    """Of annotations: one, or any of several."""
    label: str | tuple[str, ...] | None = None
    """Of annotations: one, or any of several."""
    since: datetime | None = None
    """Created at this instant or later."""
    until: datetime | None = None
    """Created before this instant."""
    completed_since: datetime | None = None
    completed_until: datetime | None = None
    updated_since: datetime | None = None
    updated_until: datetime | None = None
    """Completed or updated at the first instant or later, and before the second; without one: left out."""
    missing: bool = False
    """Whether to include objects that the API no longer has."""
    archived: bool = True
    """Whether to include batches that were archived."""
    newest_first: bool = False
    """Descending order of creation; otherwise the order of keys."""
    sort: str | None = None
    """Field to sort by, with `-` before it for descending order; objects without it are last."""
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError if a time range ends before it begins."""
        for since, until in (("since", "until"), *RANGES):
            check_order(getattr(self, since), getattr(self, until))

    def of_tasks(self) -> "Selection":
        """Return the selection without its filters for annotations."""
        return replace(self, geometry=None, label=None)

    def has_annotation(self, geometry: object, label: object) -> bool:
        """Return whether its filters for annotations choose one with this geometry and this label."""
        return all(
            wanted is None or value in ((wanted,) if isinstance(wanted, str) else wanted)
            for wanted, value in ((self.geometry, geometry), (self.label, label))
        )


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """Counts of one stream's mirrored objects."""

    here: int
    missing: int
    """Objects that the API no longer has; not counted in `here` and `by_status`."""
    by_status: dict[str | None, int]
    """Empty for a stream without statuses."""


RANGES = {
    ("completed_since", "completed_until"): "completed_at",
    ("updated_since", "updated_until"): "updated_at",
}
"""The fields with the first instant and the end of a time range, and the column that they filter."""

EVERYTHING = Selection()

OF_ANNOTATIONS = ("geometry", "label")
"""The fields of a selection that filter annotations, and no tasks."""

FILTERS = ("project", "batch", "status", "type", "unique_id", "customer_review_status", *OF_ANNOTATIONS)
"""The fields of a selection that take a text, and are named as the column that they filter."""

SEVERAL = ("unique_id", "customer_review_status", "tags", *OF_ANNOTATIONS)
"""The fields that take several texts too."""

FILTERED_COLUMNS = {
    **{name: name for name in (*FILTERS, "tags")},
    **{name: column for names, column in RANGES.items() for name in names},
}
"""The column that each field filters, except for `since`, `until`, `missing` and `archived`."""


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
    unique_id: str | Sequence[str]
    """One, or any of several."""
    customer_review_status: str | Sequence[str]
    tags: str | Sequence[str]
    """Tasks with any of these tags."""
    completed_since: When
    completed_until: When
    updated_since: When
    updated_until: When


class ExportFilters(TaskFilters, total=False):
    """Filters for rows and datasets."""

    geometry: str | Sequence[str]
    """Annotations of this geometry, or any of several; other rows need such a column."""
    label: str | Sequence[str]


def selection_of(filters: Mapping[str, Any], now: datetime) -> Selection:
    """Build a selection from keyword arguments. Raises ConfigurationError for a wrong value.

    A span such as `7d` is subtracted from `now`.
    """
    given = dict(filters)
    for name in SEVERAL:
        value = given.get(name)
        if value is not None and (name == "tags" or not isinstance(value, str)):
            given[name] = (value,) if isinstance(value, str) else tuple(value)
    for name in (*FILTERS, "tags"):
        value = given.get(name)
        for text in value if isinstance(value, tuple) else () if value is None else (value,):
            check_name(name, text)
    # `bool` is an `int` in Python, and both databases store limits in 64 bits.
    limit = given.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit < 2**63):
        raise ConfigurationError(f"The limit {limit!r} is not a whole number above 0.", advice="None is all.")
    times = {
        name: instant_of(given[name], now)
        for name in ("since", "until", *chain.from_iterable(RANGES))
        if given.get(name) is not None
    }
    return Selection(**{**given, **times})


def check_name(what: str, name: object) -> None:
    """Raise ConfigurationError if a name is empty or cannot be stored; spaces are part of a name."""
    # Spaces are kept, U+0000 and lone surrogates cannot be stored by either database.
    if name == "":
        raise ConfigurationError(f"The {what} is empty.", advice="Name it, or leave it out.")
    if not isinstance(name, str) or re.search("[\0\ud800-\udfff]", name):
        raise ConfigurationError(f"The {what} {name!r} is not text.", advice="Write it as text in Unicode.")
