"""Verifies tasks: counts them on both sides, and lists only segments whose counts differ.

Open it for the order of counting, bisecting and listing, and for what is done when counts do not agree.
Listing everything costs a request per page; counting costs a request per segment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import comparison, split_points
from scalesync.errors import InconsistentPageError
from scalesync.models.api import TASK_STATUSES
from scalesync.models.sync import Window
from scalesync.sync.streams import PAGE_SIZE
from scalesync.sync.verify.api_listing import list_pages
from scalesync.sync.verify.bisect import Bisector
from scalesync.sync.verify.counts import Segment, SegmentCounter
from scalesync.sync.verify.differ import Differ
from scalesync.sync.verify.models import describe_window

ROUNDS = 5
"""Bisections of one set of counts, at most, before it is reported that they do not agree."""

IDLE_ROUNDS = 3
"""Rounds without a new object, at most: a task may just be changing from one status to another."""

RECOUNTS = 6
"""Recounts of what differs, at most, while tasks change."""

ATTEMPTS = 3
"""Counts of all tasks, at most, if tasks are created meanwhile."""

FEW_ROWS = 5
"""Differing tasks of a segment up to which its list has a few fields only: they are looked up anyway."""

SLICES = 4
"""Parts of equal size that are counted besides projects and statuses: a task missing in one project and one
gone in another do not cancel out there."""

SEGMENT_ROWS = PAGE_SIZE * 4 // 5
"""Tasks of the mirror per listed segment: one page, with room for some that are missing here."""


@dataclass
class TaskVerifier:
    """Verifier of the task windows of one verification."""

    differ: Differ
    counter: SegmentCounter
    every_project: tuple[str, ...] | None
    """All project names, if the API lists tasks only project by project."""
    list_threshold: int
    """Tasks up to which a window is listed instead of counted."""

    def verify(self, windows: Sequence[Window]) -> None:
        """Record what differs.

        Windows of changes are listed, any other is counted or, with `deep`, listed.
        """
        listable = [part for window in windows for part in self._listable(window)]
        # Changes first: what is compared one by one is left out of the counts that follow.
        for window in listable:
            if window.updated_from is not None:
                error = self._compare_list(replace(window, created_to=self.counter.as_of))
                if error is not None:
                    self._report(window, f"{error.message}.")
        for window in listable:
            if window.updated_from is None:
                self._verify_window(window)

    def _listable(self, window: Window) -> Iterator[Window]:
        """Yield the window, or one per project if the API lists tasks only project by project."""
        if self.every_project is None or window.project is not None:
            yield window
            return
        yield from (replace(window, project=name) for name in self.every_project)
        with self.differ.database.read() as conn:
            counts = comparison.counts(conn, TASKS, window, self.counter.as_of)
        homeless = sum(number for (project, _), number in counts.items() if project is None)
        if homeless and window.updated_from is None:
            self._report(window, f"the API lists tasks of a project only, and {homeless:,} here are of none.")

    def _compare_list(self, window: Window) -> InconsistentPageError | None:
        """Compare the window's tasks one by one; return the error of a list that contradicts itself."""
        try:
            for rows in list_pages(self.differ.api, window):
                self.differ.check_stop()
                self.differ.compare_rows(window.stream, rows)
        except InconsistentPageError as error:
            return error
        return None

    def _pieces(self, window: Window, size: int) -> Iterator[Window]:
        """Yield windows that together cover one, each with about `size` tasks of the mirror."""
        lower = window.created_from
        with self.differ.database.read() as conn:
            for at in split_points.every_point(conn, window, self.counter.as_of, size):
                yield replace(window, created_from=lower, created_to=at)
                lower = at
        yield replace(window, created_from=lower)

    def _verify_window(self, window: Window) -> None:
        """List the window if that is cheap or asked for, else count it and bisect what differs."""
        # 1. Tasks without a time of creation are in no bounded segment: look each of them up.
        with self.differ.database.read() as conn:
            local = sum(comparison.counts(conn, TASKS, window, self.counter.as_of).values())
            undated = comparison.keys_outside_time(conn, window, self.counter.as_of)
        self.differ.recheck(window.stream, dict.fromkeys(undated))
        if self.differ.result.deep or local <= self.list_threshold:
            self._compare_all(window)
            return
        # 2. Count, bisect, list what is left.
        bisector = Bisector(self.differ.database, self.counter)
        inner = self._without_unsafe_bounds(window, bisector)
        if inner is not None:
            self._compare_counts(inner, bisector, local // SLICES)
        self._compare_listed(bisector)
        # 3. Finally the total without any bounds, which includes tasks that no list by time shows.
        total = self._differing_total(window)
        if total is not None and not (total.remote < total.local and bisector.is_settled(total)):
            self._report_total(total)

    def _compare_all(self, window: Window) -> None:
        """Compare the window's tasks one by one: in pieces, or in one list if these do not add up."""
        result = self.differ.result
        reported, differing = len(result.unproven), len(result.drift)
        self.differ.compare([Segment(piece) for piece in self._pieces(window, SEGMENT_ROWS)])
        total = self._differing_total(window)
        if _is_dateless(window) and (
            len(result.unproven) > reported or (total and total.remote > total.local)
        ):
            # Lists with bounds fail or lack tasks: one list without bounds decides, so their reports go.
            del result.unproven[reported:]
            self.differ.compare([Segment(window, unbounded=True)])
            total = self._differing_total(window)
            if len(result.drift) > differing:
                result.undivided.append(window)
        # Each task here was listed or looked up: if the API's total is the smaller one, it just stops
        # somewhere.
        if total is not None and total.remote > total.local:
            self._report_total(total)

    def _differing_total(self, window: Window) -> Segment | None:
        """Return the window's count without bounds of time if the sides differ, or None.

        A bounded window has no such count.
        """
        if not _is_dateless(window):
            return None
        for _ in range(ATTEMPTS):
            try:
                [before] = self.counter.count([Segment(window, unbounded=True)])
            except InconsistentPageError as error:
                self._report(window, error.message)
                return None
            if not before.differs:
                return None
            # Compare tasks created since the start, so that no count includes them.
            self._compare_list(replace(window, created_from=self.counter.as_of))
            [after] = self.counter.recount([before])
            # A task created between the count and the list is in the list only, unless it is in both.
            if after.remote <= after.local and before.remote >= before.local:
                return None
        return after

    def _report_total(self, total: Segment) -> None:
        counted = f"the API counts {total.api_total:,} in all where {total.local_total:,} are here"
        if total.remote > total.local:
            self.differ.result.undivided.append(total.window)
            counted += ", and lists by time of creation do not show which are missing (--repair reads them)"
        self._report(total.window, f"{counted}.")

    def _compare_counts(self, window: Window, bisector: Bisector, size: int) -> None:
        rechecked = len(self.differ.rechecked_keys)
        whole, parts = self._first_counts(window)
        self._detect_hidden_undated(whole)
        slices = self.counter.count([Segment(piece) for piece in self._pieces(window, size)])
        bisector.check_slices(whole, slices)
        for segments in (parts, self._without_project(whole, parts), slices):
            # Tasks found by the set before are left out from now on: these counts are older than that.
            found_some = len(self.differ.rechecked_keys) > rechecked
            self._settle(window, bisector, self.counter.recount(segments) if found_some else segments)

    def _detect_hidden_undated(self, whole: Segment) -> None:
        """Find out whether the API's lists by time leave out tasks without a time, all rechecked by now."""
        undated = sum(row["created_at"] is None for row in self.differ.rechecked_rows.remote.values())
        if undated and whole.remote + undated == whole.local:
            self.counter.hides_undated = True

    def _without_unsafe_bounds(self, window: Window, bisector: Bisector) -> Window | None:
        """Return the window cut at safe instants; list the edges whose bound has a task near it.

        Whether the API's bounds are inclusive is not documented: such a task may be counted or not.
        """
        lower, upper, as_of = window.created_from, window.created_to, self.counter.as_of
        with self.differ.database.read() as conn:
            unsafe = [
                at for at in (lower, upper) if at is not None and not split_points.is_clear(conn, window, at)
            ]
            if not unsafe:
                return window
            safe = list(split_points.every_point(conn, window, as_of, 1))
        if not safe:
            bisector.to_list.append(Segment(window))
            return None
        inner = window
        if lower in unsafe:
            bisector.to_list.append(Segment(replace(window, created_to=safe[0])))
            inner = replace(inner, created_from=safe[0])
        if upper in unsafe:
            bisector.to_list.append(Segment(replace(window, created_from=safe[-1])))
            inner = replace(inner, created_to=safe[-1])
        return inner

    def _first_counts(self, window: Window) -> tuple[Segment, list[Segment]]:
        """Return the counted window, and its counted projects and statuses that the mirror has."""
        # A status that a project has only at the API needs no count: its tasks are missing here, which the
        # whole shows, or here with another status.
        with self.differ.database.read() as conn:
            local = comparison.counts(conn, TASKS, window, self.counter.as_of)
        places = sorted((project, status) for project, status in local if project and status)
        [whole] = self.counter.count([Segment(window)])
        parts = self.counter.count_possible(
            [Segment(replace(window, project=project), status) for project, status in places]
        )
        if self.counter.refused:
            projects = sorted({project for project, _ in places})
            parts += self.counter.count([Segment(replace(window, project=project)) for project in projects])
        return whole, parts

    def _without_project(self, whole: Segment, parts: Sequence[Segment]) -> list[Segment]:
        """Return the whole counted by status, if some of its tasks are in no project's part."""
        by_status = [part for part in parts if part.status is not None]
        in_parts = sum(part.remote for part in by_status), sum(part.local for part in by_status)
        if whole.window.project is not None or in_parts == (whole.remote, whole.local):
            return []
        return self.counter.count_possible([Segment(whole.window, status) for status in TASK_STATUSES])

    def _settle(self, window: Window, bisector: Bisector, segments: Sequence[Segment]) -> None:
        """Bisect and list segments that differ, until their counts without the tasks found agree."""
        differing = _unsettled(bisector, segments)
        idle = 0
        for _ in range(ROUNDS):
            # 1. Leave out what changed since the start.
            differing = self._recount_changed(window, bisector, differing)
            if not differing:
                return
            # 2. Find the tasks behind the difference, leave them out, and count again.
            before = len(self.differ.rechecked_keys)
            bisector.bisect(differing)
            self._compare_listed(bisector)
            differing = _unsettled(bisector, self.counter.count(differing))
            # 3. Give up if several rounds found nothing new.
            if len(self.differ.rechecked_keys) == before:
                idle += 1
            if idle == IDLE_ROUNDS:
                break
        for segment in differing:
            what = f"the API counts {segment.api_total:,} {segment.status or ''}".rstrip()
            reason = f"{what} where {segment.local_total:,} are here, and lists nothing more that differs"
            self._report(segment.window, f"{reason}.")

    def _recount_changed(self, window: Window, bisector: Bisector, segments: list[Segment]) -> list[Segment]:
        """Return the segments that still differ once tasks that changed since the start are left out."""
        # While tasks go on changing, what differs is counted again; each time there is less of it.
        for _ in range(RECOUNTS):
            if not segments or not self.differ.compare_changes(window):
                break
            segments = self.counter.count(_unsettled(bisector, self.counter.recount(segments)))
        return _unsettled(bisector, segments)

    def _compare_listed(self, bisector: Bisector) -> None:
        segments, bisector.to_list = bisector.to_list, []
        self.differ.compare(
            [each for each in segments if abs(each.remote - each.local) <= FEW_ROWS], limited=True
        )
        self.differ.compare([each for each in segments if abs(each.remote - each.local) > FEW_ROWS])

    def _report(self, window: Window, reason: str) -> None:
        self.differ.result.unproven.append(f"tasks {describe_window(window)}: {reason}")


def _unsettled(bisector: Bisector, segments: Sequence[Segment]) -> list[Segment]:
    return [segment for segment in segments if not bisector.is_settled(segment)]


def _is_dateless(window: Window) -> bool:
    return window.created_from is None and window.created_to is None
