"""Aggregates of a mirror's tasks for its pages and its report: per day, week, project, label and batch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scalesync.models.selection import ObjectCounts

ROWS = 1_000
"""The most rows of one list of an overview; its total says how many there are."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Tasks created and completed on one day."""

    day: str
    """In UTC: 2026-11-23."""
    created: int
    completed: int
    """Completed tasks, by the day of completion."""


@dataclass(frozen=True, slots=True)
class WeekTimes:
    """How long the tasks took that were completed in one week, from creation to completion."""

    week: str
    """Its Monday in UTC: 2026-11-23."""
    completed: int
    p50_hours: float
    """Half of them took no longer."""
    p90_hours: float
    """Nine in ten took no longer; both are interpolated between the two nearest tasks."""


@dataclass(frozen=True, slots=True)
class ProjectReviews:
    """The customer's reviews of one project's tasks."""

    project: str | None
    """None: tasks without a project."""
    completed: int
    accepted: int
    fixed: int
    commented: int
    rejected: int


@dataclass(frozen=True, slots=True)
class LabelUse:
    """One label of one geometry, and how much it is used."""

    label: str | None
    geometry: str | None
    annotations: int
    tasks: int
    """Tasks that have such an annotation."""
    projects: int
    """Projects of these tasks; tasks without a project count as none."""


@dataclass(frozen=True, slots=True)
class BatchShare:
    """How far one batch is."""

    batch: str
    project: str | None
    tasks: int
    completed: int
    canceled: int
    share_done: float | None
    """Completed ones among all but the canceled, 0 to 1; None: there are none to do."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The aggregates of all tasks of a mirror, or of one project; tasks missing at the API are left out."""

    project: str | None
    """The only project counted; None: all."""
    since: datetime | None
    """Days and weeks from then on, and tasks, their annotations and batches created since; None: all."""
    computed_at: datetime
    """By this machine's clock."""
    objects: dict[str, ObjectCounts]
    """By stream, of all projects and times."""
    by_status: dict[str | None, int]
    """Numbers of tasks."""
    days: list[DayCounts]
    """Oldest first, without days on which nothing was created or completed."""
    weeks: list[WeekTimes]
    """Oldest first, without weeks in which nothing was completed."""
    reviews: list[ProjectReviews]
    """Most completed tasks first, up to ROWS."""
    labels: list[LabelUse]
    """Most annotations first, up to ROWS."""
    batches: list[BatchShare]
    """Most tasks left first, up to ROWS."""
    projects_total: int
    """Projects in `reviews`, and those beyond ROWS; tasks without one count as another."""
    labels_total: int
    """Pairs of label and geometry, listed or not."""
    batches_total: int
    """Batches, listed or not."""

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class OverviewMark:
    """The last change of the mirror that an overview can show: if it is another, the overview is older."""

    run_id: int | None
    rows_written: int | None
    """Rows that the last run has written so far."""
    change_id: int | None
    """The last change of a task, also by an answer to a command."""


SHAPES = 500
"""The most annotations of one sample."""


@dataclass(frozen=True, slots=True)
class SampleTask:
    """A task with its annotations, and nothing of its picture or instruction."""

    task_id: str
    project: str | None
    annotations: list[dict[str, Any]]
    """Rows of `annotations` in the order of the response, up to SHAPES."""
    annotations_total: int
