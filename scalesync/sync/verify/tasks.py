"""Proving tasks: counted by project and status on both sides, and listed only where the counts differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import comparison
from scalesync.errors import InconsistentPageError
from scalesync.models.sync import Window
from scalesync.sync.streams import PAGE_SIZE
from scalesync.sync.verify.api_listing import list_pages
from scalesync.sync.verify.bisect import Bisector
from scalesync.sync.verify.counts import STATUSES, Segment, SegmentCounter, SegmentCounts
from scalesync.sync.verify.differ import Differ, describe_window

ROUNDS = 5
"""How often counts are narrowed down before it is said that they do not come to agree."""

IDLE_ROUNDS = 3
"""How often of these nothing new may be found: a task may be on its way from one status to another."""

RECOUNTS = 6
"""How often counts that differ are taken again while tasks change."""

ATTEMPTS = 3
"""How often the count of everything is taken again, if something was made meanwhile."""

FEW_ROWS = 5
"""Tasks too many or too few up to which a list need not give whole documents: they are looked up anyway."""

SLICES = 4
"""Parts of about the same size that are counted beside projects and statuses: what is missing in one and
gone in another does not cancel out."""

SEGMENT_ROWS = PAGE_SIZE * 4 // 5
"""Tasks of the mirror that are listed together, so that a page has room for some that it lacks."""


@dataclass
class TaskVerifier:
    """Verifies the task windows of one inquiry."""

    differ: Differ
    counter: SegmentCounter
    every_project: tuple[str, ...] | None
    """All project names, if the API lists tasks only project by project."""
    listed: int
    """Tasks up to which a window is read instead of counted."""

    def verify(self, windows: Sequence[Window]) -> None:
        """Note what differs. A window of changes is read, any other is counted, or with `deep` read too."""
        askable = [one for window in windows for one in self._askable(window)]
        for window in askable:
            if window.updated_from is not None:
                self._read_changes(window)
        for window in askable:
            if window.updated_from is None:
                self._prove(window)

    def _askable(self, window: Window) -> Iterator[Window]:
        """Yield the window, or as many as there are projects if the API lists tasks of a project only."""
        if self.every_project is None or window.project is not None:
            yield window
            return
        yield from (replace(window, project=name) for name in self.every_project)
        with self.differ.database.read() as conn:
            counts = comparison.counts(conn, TASKS, window, self.counter.as_of)
        homeless = sum(number for (project, _), number in counts.items() if project is None)
        if homeless and window.updated_from is None:
            said = f"the API lists tasks of a project only, and {homeless:,} here are of none"
            self.differ.found.unproven.append(f"tasks {describe_window(window)}: {said}.")

    def _read_changes(self, window: Window) -> None:
        """Compare one by one what changed lately; what differs is in no count after that."""
        try:
            for rows in list_pages(self.differ.api, replace(window, created_to=self.counter.as_of)):
                self.differ.go_on()
                self.differ.compare_rows(window.stream, rows)
        except InconsistentPageError as error:
            self.differ.found.unproven.append(f"tasks {describe_window(window)}: {error.message}.")

    def _pieces(self, window: Window, size: int) -> Iterator[Window]:
        """Yield windows that together cover one, each with about `size` tasks of the mirror."""
        lower = window.created_from
        with self.differ.database.read() as conn:
            for at in comparison.split_points(conn, window, self.counter.as_of, size):
                yield replace(window, created_from=lower, created_to=at)
                lower = at
        yield replace(window, created_from=lower)

    def _prove(self, window: Window) -> None:
        """Read the window where that is cheap or asked for, else count it and narrow down what differs."""
        with self.differ.database.read() as conn:
            here = comparison.count(conn, TASKS, window, self.counter.as_of)
            undated = comparison.keys_outside_time(conn, window, self.counter.as_of)
        self.differ.recheck(window.stream, dict.fromkeys(undated))
        if self.differ.found.deep or here <= self.listed:
            self._read(window)
            return
        bisector = Bisector(self.differ.database, self.counter)
        inner = self._within_safe_bounds(window, bisector)
        if inner is not None:
            self._count(inner, bisector, here // SLICES)
        self._list(bisector)
        short = self._short(window)
        if short is not None and not (short.there < short.here and bisector.is_settled(short)):
            self._note_short(short)

    def _read(self, window: Window) -> None:
        """Compare the window's tasks one by one: in pieces, or in one list if these do not add up."""
        found = self.differ.found
        said, differing = len(found.unproven), len(found.drift)
        self.differ.compare([Segment(piece) for piece in self._pieces(window, SEGMENT_ROWS)])
        short = self._short(window)
        if _is_dateless(window) and (len(found.unproven) > said or (short and short.there > short.here)):
            del found.unproven[said:]
            self.differ.compare([Segment(window, unbounded=True)])
            short = self._short(window)
            if len(found.drift) > differing:
                found.undivided.append(window)
        # Each task here was on a list, or looked up: a total that is too small is one that stops somewhere.
        if short is not None and short.there > short.here:
            self._note_short(short)

    def _short(self, window: Window) -> SegmentCounts | None:
        """Return the counts without any times of creation, if they do not agree; None too for a part.

        A task that is in no list by time of creation is in this count.
        """
        if not _is_dateless(window):
            return None
        for _ in range(ATTEMPTS):
            try:
                [before] = self.counter.count([Segment(window, unbounded=True)])
            except InconsistentPageError as error:
                self.differ.found.unproven.append(f"tasks {describe_window(window)}: {error.message}")
                return None
            if not before.differs:
                return None
            self._judge_new(window)
            [after] = self.counter.recount([before])
            # What was made between the count and the list is only in the second, unless it is in both.
            if after.there <= after.here and before.there >= before.here:
                return None
        return after

    def _judge_new(self, window: Window) -> None:
        """Compare what was made since the beginning, so that no count includes it."""
        try:
            for rows in list_pages(self.differ.api, replace(window, created_from=self.counter.as_of)):
                self.differ.go_on()
                self.differ.compare_rows(window.stream, rows)
        except InconsistentPageError:
            return

    def _note_short(self, short: SegmentCounts) -> None:
        window = short.segment.window
        counted = f"the API counts {short.total:,} in all where {short.held:,} are here"
        if short.there > short.here:
            self.differ.found.undivided.append(window)
            counted += ", and lists by time of creation do not show which are missing (--repair reads them)"
        self.differ.found.unproven.append(f"tasks {describe_window(window)}: {counted}.")

    def _count(self, window: Window, bisector: Bisector, size: int) -> None:
        known = len(self.differ.rechecked)
        whole, parts = self._first_counts(window)
        self._learn_of_undated(whole)
        slices = self.counter.count([Segment(piece) for piece in self._pieces(window, size)])
        bisector.check_slices(whole, slices)
        for counts in (parts, self._of_no_project(whole, parts), slices):
            looked_at = len(self.differ.rechecked) > known
            self._settle(window, bisector, self.counter.recount(counts) if looked_at else counts)

    def _learn_of_undated(self, whole: SegmentCounts) -> None:
        """Find out whether tasks that tell no time of creation, each of them judged, are in lists by it."""
        undated = sum(one["created_at"] is None for one in self.differ.judged.there.values())
        if undated and whole.there + undated == whole.here:
            self.counter.hides_undated = True

    def _within_safe_bounds(self, window: Window, bisector: Bisector) -> Window | None:
        """Return the window without the edges that have a task near them; those are to be listed."""
        lower, upper, as_of = window.created_from, window.created_to, self.counter.as_of
        with self.differ.database.read() as conn:
            unsafe = [
                at for at in (lower, upper) if at is not None and not comparison.is_clear(conn, window, at)
            ]
            if not unsafe:
                return window
            safe = list(comparison.split_points(conn, window, as_of, 1))
        if not safe:
            bisector.to_list.append(_unread(window))
            return None
        inner = window
        if lower in unsafe:
            bisector.to_list.append(_unread(replace(window, created_to=safe[0])))
            inner = replace(inner, created_from=safe[0])
        if upper in unsafe:
            bisector.to_list.append(_unread(replace(window, created_from=safe[-1])))
            inner = replace(inner, created_to=safe[-1])
        return inner

    def _first_counts(self, window: Window) -> tuple[SegmentCounts, list[SegmentCounts]]:
        """Return the counts of a window, and those of its projects and statuses.

        A project's status of which nothing is here needs no count: a task that the API has in it is missing
        here, which the whole shows, or here with another status.
        """
        with self.differ.database.read() as conn:
            here = comparison.counts(conn, TASKS, window, self.counter.as_of)
        places = sorted((project, status) for project, status in here if project and status)
        [whole] = self.counter.count([Segment(window)])
        parts = self.counter.count_possible(
            [Segment(replace(window, project=project), status) for project, status in places]
        )
        if self.counter.refused:
            projects = sorted({project for project, _ in places})
            parts += self.counter.count([Segment(replace(window, project=project)) for project in projects])
        return whole, parts

    def _of_no_project(self, whole: SegmentCounts, parts: Sequence[SegmentCounts]) -> list[SegmentCounts]:
        """Return the counts by status of the whole account, if some of its tasks are in no part."""
        by_status = [part for part in parts if part.segment.status is not None]
        there, here = (sum(getattr(part, side) for part in by_status) for side in ("there", "here"))
        if whole.segment.window.project is not None or (there, here) == (whole.there, whole.here):
            return []
        return self.counter.count_possible([Segment(whole.segment.window, status) for status in STATUSES])

    def _settle(self, window: Window, bisector: Bisector, counts: Sequence[SegmentCounts]) -> None:
        """Narrow down what differs, again until the counts without what was found agree."""
        doubtful = _unsettled(bisector, counts)
        idle = 0
        for _ in range(ROUNDS):
            doubtful = self._without_changes(window, bisector, doubtful)
            if not doubtful:
                return
            known = len(self.differ.rechecked)
            bisector.bisect(doubtful)
            self._list(bisector)
            doubtful = _unsettled(bisector, self.counter.count([one.segment for one in doubtful]))
            if len(self.differ.rechecked) == known:
                idle += 1
            if idle == IDLE_ROUNDS:
                break
        for one in doubtful:
            what = f"the API counts {one.total:,} {one.segment.status or ''}".rstrip()
            said = f"{what} where {one.held:,} are here, and lists nothing more that differs"
            self.differ.found.unproven.append(f"tasks {describe_window(one.segment.window)}: {said}.")

    def _without_changes(
        self, window: Window, bisector: Bisector, doubtful: list[SegmentCounts]
    ) -> list[SegmentCounts]:
        """Return which of these counts still differ once what changed since the beginning is left out.

        Where tasks go on changing, what differs is counted again; each time there is less of it.
        """
        for _ in range(RECOUNTS):
            if not doubtful or not self.differ.compare_changes(window):
                break
            doubtful = _unsettled(bisector, self.counter.recount(doubtful))
            doubtful = self.counter.count([one.segment for one in doubtful])
        return _unsettled(bisector, doubtful)

    def _list(self, bisector: Bisector) -> None:
        leaves, bisector.to_list = bisector.to_list, []
        few = [leaf.segment for leaf in leaves if abs(leaf.there - leaf.here) <= FEW_ROWS]
        many = [leaf.segment for leaf in leaves if abs(leaf.there - leaf.here) > FEW_ROWS]
        self.differ.compare(few, limited=True)
        self.differ.compare(many)


def _unsettled(bisector: Bisector, counts: Sequence[SegmentCounts]) -> list[SegmentCounts]:
    return [one for one in counts if not bisector.is_settled(one)]


def _is_dateless(window: Window) -> bool:
    return window.created_from is None and window.created_to is None


def _unread(window: Window) -> SegmentCounts:
    """Return a window that has to be listed whatever its counts are."""
    return SegmentCounts(Segment(window), 0, 0, 0)
