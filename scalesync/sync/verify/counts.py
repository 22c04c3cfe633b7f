"""Segments of tasks and their counts: the API's by a `limit=1` request, the mirror's by SQL.

Tasks that were compared one by one are left out of both counts, so that a known difference does not hide
another one.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import comparison
from scalesync.db.sync.comparison import ComparedValues
from scalesync.errors import InconsistentPageError, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.models.api import TaskFilter
from scalesync.models.sync import Window


@dataclass(frozen=True, slots=True)
class Segment:
    """Tasks created within a window, of one status or of any, and their counts on both sides."""

    window: Window
    status: str | None = None
    unbounded: bool = False
    """Whether it is requested without bounds of time, so that tasks created since the start count too."""
    api_total: int = 0
    """Tasks that the API counts."""
    local_total: int = 0
    """Tasks in the mirror."""
    remote: int = 0
    """Tasks that the API counts, without those that were compared one by one."""
    local: int = 0
    """Tasks in the mirror, without those that were compared one by one."""

    @property
    def differs(self) -> bool:
        """Whether the two sides count differently."""
        return self.remote != self.local

    def split(self, at: datetime) -> tuple["Segment", "Segment"]:
        """Return the older and the newer part, not counted yet; both include the boundary."""
        older, newer = replace(self.window, created_to=at), replace(self.window, created_from=at)
        return Segment(older, self.status, self.unbounded), Segment(newer, self.status, self.unbounded)

    def boundary(self, at: datetime) -> "Segment":
        """Return the segment of one instant, not counted, where both parts may count a task, or neither."""
        return Segment(replace(self.window, created_from=at, created_to=at), self.status, self.unbounded)

    def is_of(self, project: str | None, status: str | None) -> bool:
        """Return whether it holds tasks of this project and status."""
        return self.window.project in {None, project} and self.status in {None, status}

    def contains(self, row: ComparedValues, as_of: datetime, *, undated: bool = True) -> bool:
        """Return whether a task belongs to the segment; if it has no time of creation, return `undated`."""
        window, created = self.window, row["created_at"]
        if not self.is_of(row["project"], row["status"]):
            return False
        if self.unbounded:
            return True
        if not isinstance(created, datetime):
            return undated and window.created_from is None
        return (
            created < as_of
            and (window.created_from is None or created >= window.created_from)
            and (window.created_to is None or created <= window.created_to)
        )


@dataclass
class RecheckedRows:
    """Tasks that were compared one by one, by key, as each side has them: no count includes them."""

    remote: dict[str, ComparedValues] = field(default_factory=dict)
    local: dict[str, ComparedValues] = field(default_factory=dict)


@dataclass
class SegmentCounter:
    """Counter of segments, several at once."""

    api: ScaleApi
    database: Database
    pool: ThreadPoolExecutor
    as_of: datetime
    """Only tasks created before it count."""
    check_stop: Callable[[], None]
    excluded: RecheckedRows = field(default_factory=RecheckedRows)
    refused: set[str] = field(default_factory=set)
    """Statuses that the API does not filter by."""
    hides_undated: bool = False
    """Whether the API's lists by time of creation leave out tasks without one."""

    def count(self, segments: Sequence[Segment]) -> list[Segment]:
        """Return the segments with new counts, in order. Raises ScaleInvalidRequest for a refused filter."""
        totals = list(self.pool.map(self._api_total, segments))
        return self._with_counts(zip(segments, totals, strict=True))

    def count_possible(self, segments: Sequence[Segment]) -> list[Segment]:
        """Return the counted segments whose status the API filters by; add other statuses to `refused`."""
        totals = zip(segments, self.pool.map(self._api_total_or_none, segments), strict=True)
        return self._with_counts((segment, total) for segment, total in totals if total is not None)

    def recount(self, segments: Sequence[Segment]) -> list[Segment]:
        """Return segments with their former API totals and new local counts, rechecked tasks left out."""
        return self._with_counts((segment, segment.api_total) for segment in segments)

    def _api_total(self, segment: Segment) -> int:
        """Return the API's total; 0 for a project that it does not know.

        Raises ScaleInvalidRequest for a filter that it refuses, InconsistentPageError for an answer without
        a total.
        """
        self.check_stop()
        window = segment.window
        end = None if segment.unbounded else min(window.created_to or self.as_of, self.as_of)
        chosen = TaskFilter(window.created_from, end, status=segment.status, project=window.project)
        try:
            total = self.api.tasks(chosen, limit=1).total
        except ScaleResourceNotFound:
            return 0
        if total is None:
            raise InconsistentPageError("The API does not say how many tasks there are.")
        return total

    def _api_total_or_none(self, segment: Segment) -> int | None:
        try:
            return self._api_total(segment)
        except ScaleInvalidRequest:
            if segment.status is None:
                raise
            self.refused.add(segment.status)
            return None

    def _with_counts(self, totals: Iterable[tuple[Segment, int]]) -> list[Segment]:
        counted: list[Segment] = []
        # One transaction: all local counts are of the same state of the mirror.
        with self.database.read() as conn:
            grouped = cache(partial(comparison.counts, conn, TASKS))
            for segment, total in totals:
                before = None if segment.unbounded else self.as_of
                # Segments differ by project and status more often than by time: one query answers all these.
                groups = grouped(replace(segment.window, project=None), before)
                local_total = sum(
                    number for (project, status), number in groups.items() if segment.is_of(project, status)
                )
                # A task without a time of creation that the API's list hides is not in its total either.
                undated = segment.unbounded or not self.hides_undated
                rows = self.excluded.remote.values()
                remote = total - sum(segment.contains(row, self.as_of, undated=undated) for row in rows)
                rows = self.excluded.local.values()
                local = local_total - sum(segment.contains(row, self.as_of) for row in rows)
                counted.append(
                    replace(segment, api_total=total, local_total=local_total, remote=remote, local=local)
                )
        return counted
