"""From counts that differ to ranges short enough to be listed, in as few requests as may be."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from scalesync.db.database import Database
from scalesync.db.sync import comparison
from scalesync.sync.streams import PAGE_SIZE
from scalesync.sync.verify.counts import Segment, SegmentCounter, SegmentCounts, split_segment


@dataclass
class Bisector:
    """Divides cells that differ in time, each at a boundary near its middle, until a page holds one."""

    database: Database
    counter: SegmentCounter
    cap: int | None = None
    """Where the API's totals stop, if they do: a count of so many proves nothing."""
    to_list: list[SegmentCounts] = field(default_factory=list)
    """What has to be listed."""

    def bisect(self, counts: Iterable[SegmentCounts]) -> None:
        """Add to the leaves what has to be listed of these cells; what does not differ is left alone."""
        doubtful = [one for one in counts if self._is_doubtful(one)]
        while doubtful:
            divisible = [one for one in doubtful if not _is_leaf(one)]
            self.to_list += [one for one in doubtful if _is_leaf(one)]
            doubtful = [part for part in self._divide(divisible) if self._is_doubtful(part)]

    def is_settled(self, counts: SegmentCounts) -> bool:
        """Whether the two sides count the same, or as far as the API counts."""
        return not counts.differs or self._is_capped(counts)

    def check_slices(self, whole: SegmentCounts, slices: Sequence[SegmentCounts]) -> None:
        """Hold the slices of a whole against it: whether the API's totals stop, or a boundary holds tasks."""
        total = sum(one.total for one in slices)
        if total > whole.total:
            self.cap = whole.total
        if total != whole.total:
            inner = (one.segment.window.created_to for one in slices[:-1])
            self.to_list += [boundary_segment(whole.segment, at) for at in inner if at is not None]

    def _is_doubtful(self, counts: SegmentCounts) -> bool:
        return counts.differs or self._is_capped(counts)

    def _is_capped(self, counts: SegmentCounts) -> bool:
        return self.cap is not None and counts.total >= self.cap

    def _divide(self, wholes: Sequence[SegmentCounts]) -> Iterator[SegmentCounts]:
        """Yield the counted halves of each whole; what cannot be divided becomes a leaf."""
        divided: list[tuple[SegmentCounts, datetime]] = []
        with self.database.read() as conn:
            for whole in wholes:
                at = comparison.split_point(conn, whole.segment.window, self.counter.as_of)
                if at is None:
                    self.to_list.append(whole)
                else:
                    divided.append((whole, at))
        counts = self.counter.count(
            [half for whole, at in divided for half in split_segment(whole.segment, at)]
        )
        for (whole, at), older, newer in zip(divided, counts[::2], counts[1::2], strict=True):
            if older.total + newer.total != whole.total:
                self.to_list.append(boundary_segment(whole.segment, at))
            yield from (older, newer)


def _is_leaf(counts: SegmentCounts) -> bool:
    """Whether listing is cheaper than to go on counting: a page holds it, or most of it is missing here."""
    return counts.total <= PAGE_SIZE or counts.here < counts.there / 2


def boundary_segment(segment: Segment, at: datetime) -> SegmentCounts:
    """Return what lies at a boundary, where both halves may count a task, or neither; lists are widened."""
    return SegmentCounts(
        replace(segment, window=replace(segment.window, created_from=at, created_to=at)), 0, 0, 0
    )
