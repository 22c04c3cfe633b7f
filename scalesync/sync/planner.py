"""Planning, without a clock, a network or a disk: facts in, windows out."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scalesync.models.sync import RunKind, Window
from scalesync.timestamps import check_order

EVERY_STREAM = ("projects", "batches", "tasks")
"""In the order in which a run reads them, and people see them."""


def in_stream_order(streams: Collection[str]) -> tuple[str, ...]:
    """Return these streams in the order of EVERY_STREAM; all, if there are none."""
    return tuple(stream for stream in EVERY_STREAM if stream in streams) or EVERY_STREAM


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a person asked to be read."""

    streams: tuple[str, ...] = EVERY_STREAM
    full: bool = False
    """Read everything again, so that deletions are noticed too."""
    since: datetime | None = None
    """A backfill of what was created from this instant on."""
    until: datetime | None = None
    """A backfill of what was created before this instant, see `last`."""
    projects: tuple[str, ...] = ()
    """Only these projects' batches and tasks."""
    lookback: timedelta = timedelta(minutes=15)
    """How far behind the watermark to begin, for changes that the API showed late."""
    windows: tuple[Window, ...] = ()
    """Exactly these and nothing else: what was found to differ."""

    @property
    def last(self) -> datetime | None:
        """The last instant before `until`: a window of the ledger includes both its ends."""
        return self.until and self.until - timedelta(milliseconds=1)

    @property
    def partial(self) -> bool:
        """Whether it asks for a part of the account only."""
        return self.since is not None or self.until is not None or bool(self.projects)

    def __post_init__(self) -> None:
        """Refuse a time that ends before it begins."""
        check_order(self.since, self.until)


@dataclass(frozen=True, slots=True)
class PlanningFacts:
    """What the API and the mirror say before a run."""

    now: datetime
    """The API's clock. Ours decides nothing."""
    watermarks: Mapping[str, datetime]
    oldest_unfinished_batch: datetime | None = None
    some_task_without_update_time: bool = False
    every_project: tuple[str, ...] | None = None
    """All project names, if the API lists tasks only project by project; None if it lists the account."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of one run."""

    kind: RunKind
    windows: tuple[Window, ...]
    watermark_at: datetime | None
    """What the watermarks become when all of them are closed; None: they stay."""


def plan(request: SyncRequest, facts: PlanningFacts) -> Plan:
    """Return what has to be read for `request`.

    A stream that has a watermark is read from it on, unless everything or certain dates were asked for.
    """
    if request.windows:
        return Plan(RunKind.BACKFILL, request.windows, None)
    dated = request.since is not None or request.until is not None
    windows: list[Window] = []
    resumed = False
    for stream in request.streams:
        watermark = None if request.full or dated else facts.watermarks.get(stream)
        since = min(watermark, facts.now) - request.lookback if watermark else None
        resumed = resumed or since is not None
        windows += _PLANNERS[stream](request, facts, since)
    kind = RunKind.BACKFILL if request.partial else RunKind.INCREMENTAL if resumed else RunKind.FULL
    return Plan(kind, tuple(windows), None if request.partial else facts.now)


def _plan_projects(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:  # noqa: ARG001
    """Return the one list that there is; it has no filter."""
    yield Window("projects")


def _plan_batches(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:
    """Read from the oldest batch that may still change, for there is no filter on change."""
    begin = request.since
    if since is not None:
        begin = min(since, facts.oldest_unfinished_batch or since)
    for project in request.projects or (None,):
        yield Window("batches", project, created_from=begin, created_to=request.last)


def _plan_tasks(request: SyncRequest, facts: PlanningFacts, since: datetime | None) -> Iterator[Window]:
    """Read what changed, with no upper bound, and what is new, if some tasks tell no time of change."""
    for project in request.projects or facts.every_project or (None,):
        if since is None:
            yield Window("tasks", project, created_from=request.since, created_to=request.last)
            continue
        yield Window("tasks", project, updated_from=since)
        if facts.some_task_without_update_time:
            yield Window("tasks", project, created_from=since)


_PLANNERS = {"projects": _plan_projects, "batches": _plan_batches, "tasks": _plan_tasks}
