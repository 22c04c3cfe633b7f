"""Bisects segments whose counts differ until each is short enough to be listed, in few requests."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scalesync.db.database import Database
from scalesync.db.sync import split_points
from scalesync.sync.streams import PAGE_SIZE
from scalesync.sync.verify.counts import Segment, SegmentCounter


@dataclass
class Bisector:
    """Collects in `to_list` the smallest segments that differ."""

    database: Database
    counter: SegmentCounter
    cap: int | None = None
    """Where the API's totals stop, if they do: a total of this size proves nothing."""
    to_list: list[Segment] = field(default_factory=list)
    """Segments whose tasks have to be listed and compared."""

    def bisect(self, segments: Iterable[Segment]) -> None:
        """Divide the segments that differ, and add what has to be listed of them to `to_list`."""
        # Level by level and not segment by segment, so that all counts of a level are requested at once.
        differing = [segment for segment in segments if self._is_suspect(segment)]
        while differing:
            self.to_list += [segment for segment in differing if _is_leaf(segment)]
            divisible = [segment for segment in differing if not _is_leaf(segment)]
            differing = [half for half in self._halves(divisible) if self._is_suspect(half)]

    def is_settled(self, segment: Segment) -> bool:
        """Return whether the two sides count the same, or as far as the API counts."""
        return not segment.differs or self._is_capped(segment)

    def check_slices(self, whole: Segment, slices: Sequence[Segment]) -> None:
        """Compare the API's total of a whole with the sum of its slices, which meet at inclusive bounds."""
        total = sum(each.api_total for each in slices)
        # More in the slices than in the whole: the API's totals stop somewhere.
        if total > whole.api_total:
            self.cap = whole.api_total
        # Otherwise tasks at a boundary are in two slices, or in none.
        if total != whole.api_total:
            inner = (each.window.created_to for each in slices[:-1])
            self.to_list += [whole.boundary(at) for at in inner if at is not None]

    def _is_suspect(self, segment: Segment) -> bool:
        return segment.differs or self._is_capped(segment)

    def _is_capped(self, segment: Segment) -> bool:
        return self.cap is not None and segment.api_total >= self.cap

    def _halves(self, wholes: Sequence[Segment]) -> Iterator[Segment]:
        """Yield the counted halves of each segment; add those that cannot be divided to `to_list`."""
        divided: list[tuple[Segment, datetime]] = []
        with self.database.read() as conn:
            for whole in wholes:
                at = split_points.middle_point(conn, whole.window, self.counter.as_of)
                if at is None:
                    self.to_list.append(whole)
                else:
                    divided.append((whole, at))
        halves = self.counter.count([half for whole, at in divided for half in whole.split(at)])
        for (whole, at), older, newer in zip(divided, halves[::2], halves[1::2], strict=True):
            if older.api_total + newer.api_total != whole.api_total:
                self.to_list.append(whole.boundary(at))
            yield from (older, newer)


def _is_leaf(segment: Segment) -> bool:
    """Return whether listing is cheaper than counting on: one page, or most tasks are missing here."""
    return segment.api_total <= PAGE_SIZE or segment.local < segment.remote / 2
