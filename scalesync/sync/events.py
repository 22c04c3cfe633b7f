"""Events of a sync, for callers that show progress or log. `name` is the event's name in the log."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from scalesync.models.sync import RunKind, WriteCounts


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, or an open one continues."""

    name: ClassVar = "planned"
    kind: RunKind
    started_at: datetime
    resumed: bool
    progress: tuple[tuple[str, int, int], ...]
    """(stream, rows received, rows expected) of a run that continues."""


@dataclass(frozen=True, slots=True)
class RowsExpected:
    """The API counts further rows to be read of a stream."""

    name: ClassVar = "expected"
    stream: str
    rows: int


@dataclass(frozen=True, slots=True)
class PagesSaved:
    """Pages are in the database."""

    name: ClassVar = "received"
    stream: str
    rows: int
    written: WriteCounts


@dataclass(frozen=True, slots=True)
class WindowInconsistent:
    """Pages of a window contradict each other: it is read again, or given up."""

    name: ClassVar = "contradicted"
    stream: str
    reason: str
    given_up: bool


@dataclass(frozen=True, slots=True)
class ObjectsMissing:
    """Objects that the mirror holds are gone at the API: it answered 404 for each."""

    name: ClassVar = "missed"
    stream: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProjectRequired:
    """The API refuses to list tasks without naming a project, so tasks of no project cannot be seen."""

    name: ClassVar = "onlybyproject"
    projects: int


@dataclass(frozen=True, slots=True)
class ClockWasAhead:
    """A watermark lies ahead of the API's clock, so it is not used."""

    name: ClassVar = "clockwasahead"
    stream: str
    at: datetime
    since: datetime | None
    """The earlier watermark used instead; None if everything is read."""


@dataclass(frozen=True, slots=True)
class OthersReading:
    """Other processes hold all remaining windows."""

    name: ClassVar = "waiting"


@dataclass(frozen=True, slots=True)
class DatabaseUnavailable:
    """The database does not answer; the next attempt follows after `seconds`."""

    name: ClassVar = "away"
    seconds: float
    reason: str


SyncEvent = (
    RunStarted
    | RowsExpected
    | PagesSaved
    | WindowInconsistent
    | ObjectsMissing
    | ProjectRequired
    | ClockWasAhead
    | OthersReading
    | DatabaseUnavailable
)

SyncWatcher = Callable[[SyncEvent], None]
"""Called with one event at a time, from the writing thread only."""
