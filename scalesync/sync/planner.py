"""Plans a run: from a request and facts about API and mirror to the windows to be read.

Pure functions: no clock, network or database. Open it for what a sync reads, and from which watermark on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scalesync.models.sync import RunKind, Window
from scalesync.timestamps import check_order

EVERY_STREAM = ("projects", "batches", "tasks")
"""Names of all streams, in the order in which a run reads them and commands print them."""


def in_stream_order(streams: Collection[str]) -> tuple[str, ...]:
    """Return these streams in the order of EVERY_STREAM; all if none is given."""
    return tuple(stream for stream in EVERY_STREAM if stream in streams) or EVERY_STREAM


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a sync is asked to read."""

    streams: tuple[str, ...] = EVERY_STREAM
    full: bool = False
    """Read everything again, which also finds deletions."""
    since: datetime | None = None
    """Backfill: read what was created at this instant or later."""
    until: datetime | None = None
    """Backfill: read what was created before this instant, see `last`."""
    projects: tuple[str, ...] = ()
    """Only these projects' batches and tasks."""
    lookback: timedelta = timedelta(minutes=15)
    """How far before the watermark to begin, for changes that the API lists late."""
    windows: tuple[Window, ...] = ()
    """Read exactly these windows: what a verification found to differ."""

    @property
    def last(self) -> datetime | None:
        """The last millisecond before `until`: a window includes both its bounds."""
        return self.until and self.until - timedelta(milliseconds=1)

    @property
    def partial(self) -> bool:
        """Whether only a part of the account is asked for."""
        return self.since is not None or self.until is not None or bool(self.projects)

    def __post_init__(self) -> None:
        """Raise ConfigurationError if `until` is not after `since`."""
        check_order(self.since, self.until)


@dataclass(frozen=True, slots=True)
class PlanningFacts:
    """Facts about API and mirror that a plan depends on."""

    now: datetime
    """The API's clock; the local one is not used."""
    watermarks: Mapping[str, datetime]
    oldest_unfinished_batch: datetime | None = None
    some_task_without_update_time: bool = False
    every_project: tuple[str, ...] | None = None
    """All project names if the API lists tasks only project by project; else None."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows of one run."""

    kind: RunKind
    windows: tuple[Window, ...]
    watermark_at: datetime | None
    """The watermark of the streams once all windows are closed; None leaves watermarks as they are."""


def plan(request: SyncRequest, facts: PlanningFacts) -> Plan:
    """Return the windows to be read for `request`.

    A stream with a watermark is read from there on, unless everything or a range of dates is asked for.
    """
    if request.windows:
        return Plan(RunKind.BACKFILL, request.windows, None)
    dated = request.since is not None or request.until is not None
    windows: list[Window] = []
    resumed = False
    for stream in request.streams:
        watermark = None if request.full or dated else facts.watermarks.get(stream)
        # A watermark ahead of the API's clock must not skip anything.
        since = min(watermark, facts.now) - request.lookback if watermark else None
        resumed = resumed or since is not None
        windows += _PLANNERS[stream](request, facts, since)
    kind = RunKind.BACKFILL if request.partial else RunKind.INCREMENTAL if resumed else RunKind.FULL
    return Plan(kind, tuple(windows), None if request.partial else facts.now)


def covers(
    kind: RunKind, planned: Sequence[Window], request: SyncRequest, watermarks: Mapping[str, datetime]
) -> bool:
    """Return whether a run of `kind` with these windows reads all that a new run for `request` would.

    A request for a part of the account is never covered, and a backfill covers nothing.
    """
    if request.partial or request.windows or kind is RunKind.BACKFILL:
        return False
    if not set(request.streams) <= {window.stream for window in planned}:
        return False
    for window in planned:
        watermark = None if request.full else watermarks.get(window.stream)
        begins = window.updated_from or window.created_from
        late = begins is not None and (watermark is None or begins > watermark - request.lookback)
        if late and window.stream in request.streams:
            return False
    return True


def _plan_projects(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:  # noqa: ARG001
    # The list of projects has no filter.
    yield Window("projects")


def _plan_batches(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:
    # There is no filter on changes: begin at the oldest batch that may still change.
    begin = request.since
    if since is not None:
        begin = min(since, facts.oldest_unfinished_batch or since)
    for project in request.projects or (None,):
        yield Window("batches", project, created_from=begin, created_to=request.last)


def _plan_tasks(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:
    # Changes have no upper bound: a task that changes during the run would leave a window that had one.
    for project in request.projects or facts.every_project or (None,):
        if since is None:
            yield Window("tasks", project, created_from=request.since, created_to=request.last)
            continue
        yield Window("tasks", project, updated_from=since)
        # The filter on changes may skip tasks without a time of change: new ones are read by creation too.
        if facts.some_task_without_update_time:
            yield Window("tasks", project, created_from=since)


_PLANNERS = {"projects": _plan_projects, "batches": _plan_batches, "tasks": _plan_tasks}
