"""Which mirrored objects are wanted, and how many there are."""

from dataclasses import dataclass
from datetime import datetime

from scalesync.timestamps import check_order


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
