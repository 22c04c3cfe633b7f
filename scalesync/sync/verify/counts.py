"""Counting tasks on both sides: a `limit=1` probe there, a count in SQL here."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import comparison
from scalesync.db.sync.comparison import ComparedValues
from scalesync.errors import InconsistentPageError, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.models.api import TaskFilter
from scalesync.models.sync import Window

STATUSES = ("pending", "completed", "canceled", "error")
"""The statuses of tasks that the API is known to filter by (the last of them perhaps not)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tasks created within a window, of one status or, with None, of any."""

    window: Window
    status: str | None = None
    unbounded: bool = False
    """Whether it is asked for without any time of creation: what was made since the beginning counts too."""


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """How many tasks of a cell there are, those that are compared one by one left out on both sides."""

    segment: Segment
    there: int
    here: int
    total: int
    """What the API said, nothing left out."""
    held: int = 0
    """What is here, nothing left out."""

    @property
    def differs(self) -> bool:
        """Whether the two sides do not count the same."""
        return self.there != self.here


@dataclass
class RecheckedRows:
    """Tasks that were compared one by one, as each side has them: no count includes them."""

    there: dict[str, ComparedValues] = field(default_factory=dict)
    here: dict[str, ComparedValues] = field(default_factory=dict)


@dataclass
class SegmentCounter:
    """Counts cells, several at once."""

    api: ScaleApi
    database: Database
    pool: ThreadPoolExecutor
    as_of: datetime
    """Only tasks created before it count."""
    go_on: Callable[[], None]
    judged: RecheckedRows = field(default_factory=RecheckedRows)
    refused: set[str] = field(default_factory=set)
    """Statuses that the API does not filter by."""
    hides_undated: bool = False
    """Whether a task that tells no time of creation is in no list by time of creation."""

    def count(self, segments: Sequence[Segment]) -> list[SegmentCounts]:
        """Return the counts of cells, in their order. Raises ScaleInvalidRequest for what the API refuses."""
        totals = list(self.pool.map(self.total, segments))
        return self._counted(zip(segments, totals, strict=True))

    def count_possible(self, segments: Sequence[Segment]) -> list[SegmentCounts]:
        """Return the counts of those cells whose status the API filters by; note the other statuses."""
        totals = zip(segments, self.pool.map(self._total_if_possible, segments), strict=True)
        return self._counted((cell, total) for cell, total in totals if total is not None)

    def recount(self, counts: Sequence[SegmentCounts]) -> list[SegmentCounts]:
        """Return counts for the same answers of the API, with what was judged and written since then."""
        return self._counted((one.segment, one.total) for one in counts)

    def total(self, segment: Segment) -> int:
        """Return what the API counts; 0 for a project that it does not know.

        Raises ScaleInvalidRequest for what it does not filter by, and InconsistentPageError if it does not
        say.
        """
        self.go_on()
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

    def _counted(self, totals: Iterable[tuple[Segment, int]]) -> list[SegmentCounts]:
        """Return what the API said together with what is here, as one state of the mirror."""
        counts: list[SegmentCounts] = []
        with self.database.read() as conn:
            for cell, total in totals:
                before = None if cell.unbounded else self.as_of
                held = comparison.count(conn, TASKS, cell.window, before, cell.status)
                undated = cell.unbounded or not self.hides_undated
                there = total - self._number_in(cell, self.judged.there.values(), undated=undated)
                here = held - self._number_in(cell, self.judged.here.values())
                counts.append(SegmentCounts(cell, there, here, total, held))
        return counts

    def _total_if_possible(self, segment: Segment) -> int | None:
        try:
            return self.total(segment)
        except ScaleInvalidRequest:
            if segment.status is None:
                raise
            self.refused.add(segment.status)
            return None

    def _number_in(self, segment: Segment, those: Iterable[ComparedValues], *, undated: bool = True) -> int:
        return sum(self._is_in(segment, one, undated=undated) for one in those)

    def _is_in(self, segment: Segment, one: ComparedValues, *, undated: bool) -> bool:
        window, created = segment.window, one["created_at"]
        if segment.status not in {None, one["status"]} or window.project not in {None, one["project"]}:
            return False
        if segment.unbounded:
            return True
        if not isinstance(created, datetime):
            return undated and window.created_from is None
        return (
            created < self.as_of
            and (window.created_from is None or created >= window.created_from)
            and (window.created_to is None or created <= window.created_to)
        )


def split_segment(segment: Segment, at: datetime) -> tuple[Segment, Segment]:
    """Return the two parts of a cell at a boundary."""
    window = segment.window
    older, newer = replace(window, created_to=at), replace(window, created_from=at)
    return replace(segment, window=older), replace(segment, window=newer)
