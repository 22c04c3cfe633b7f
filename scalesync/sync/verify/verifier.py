"""`scalesync verify`: proves the mirror equal to the API, or names what differs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.sync import comparison
from scalesync.errors import InterruptedRunError, ScaleException
from scalesync.models.selection import Selection
from scalesync.models.sync import Window
from scalesync.sync.planner import EVERY_STREAM
from scalesync.sync.streams import probe
from scalesync.sync.verify.batches_and_projects import verify_batch_counts, verify_batches, verify_projects
from scalesync.sync.verify.counts import SegmentCounter
from scalesync.sync.verify.differ import ChangesTooFastError, Differ
from scalesync.sync.verify.models import (
    Drift,
    Verification,
    VerifyScope,
    VerifyStarted,
    VerifyWatcher,
    in_key_order,
)
from scalesync.sync.verify.tasks import SEGMENT_ROWS, TaskVerifier

CLOCK_RESOLUTION = 1.0
"""Seconds. The API tells its time in whole ones (recorded: `Date`), so what was made just before a
verification is told from what is made during it by waiting for the next."""

MAX_REQUESTS = 39
"""Requests that a clean account of a few projects may cost: batches are asked for their own counts as far
as these go. Those that are not completed here come first, then the newest."""

BASE_REQUESTS = 12
"""Requests beside those for projects and statuses, about: the time, projects, batches, parts, no project."""

REQUESTS_PER_LISTED_PAGE = 4
"""How many times the requests that were announced are made before an account is said to change too fast."""

MIN_BATCH_CHECKS = 5
"""Batches that are asked for their own counts in any case."""


LIST_THRESHOLD = 1_600
"""Tasks up to which a window is read at once: that costs no more than to count it, and says more."""


@dataclass(frozen=True)
class RequestBudget:
    """How many requests a verification may make while the account changes under it."""

    api: ScaleApi
    expected: int
    """What it takes if nothing differs."""
    before: int
    """What the client had made when it began."""

    @property
    def made(self) -> int:
        """How many it has made."""
        return self.api.requests_made - self.before

    @property
    def is_spent(self) -> bool:
        """Whether it has made several times what was announced."""
        return self.made >= REQUESTS_PER_LISTED_PAGE * self.expected


@dataclass
class Verifier:
    """Holds the mirror against the API. Writes nothing."""

    api: ScaleApi
    database: Database
    clock: Clock
    watch: VerifyWatcher
    workers: int = 8
    listed: int = LIST_THRESHOLD

    def verify(self, scope: VerifyScope) -> Verification:
        """Return what differs. Raises ScaleException, DatabaseError or InterruptedRunError."""
        began, before = self.clock.monotonic(), self.api.requests_made
        try:
            if scope.as_of is None:
                self.clock.sleep(CLOCK_RESOLUTION)
            begun = probe(self.api)
            now, every_project = begun.now, begun.every_project
            as_of = scope.as_of or now
            found = Verification(as_of, scope.windows, scope.deep, by_project=every_project is not None)
            expected = self._expected(scope, as_of)
            self.watch(VerifyStarted(expected))
            self._compare(scope, found, every_project, RequestBudget(self.api, expected, before))
        except ScaleException:
            self._go_on()
            raise
        found.drift, found.behind, found.undated = map(
            in_key_order, (found.drift, found.behind, found.undated)
        )
        said = [*found.unproven, *map(_undated, found.undated), *self._unread(scope)]
        found.unproven = list(dict.fromkeys(said))
        found.requests = self.api.requests_made - before
        found.seconds = self.clock.monotonic() - began
        return found

    def _compare(
        self,
        scope: VerifyScope,
        found: Verification,
        every_project: tuple[str, ...] | None,
        budget: RequestBudget,
    ) -> None:
        def go_on() -> None:
            self._go_on()
            if budget.is_spent and differ.changes_too_fast(budget.made):
                raise ChangesTooFastError

        with ThreadPoolExecutor(self.workers, thread_name_prefix="verify") as pool:
            differ = Differ(
                self.api, self.database, pool, found, self.watch, go_on, watermarks=scope.watermarks
            )
            try:
                self._compare_streams(scope, differ, every_project, budget)
            except ChangesTooFastError:
                found.unproven = [_too_fast(differ.changes, budget.made)]

    def _compare_streams(
        self,
        scope: VerifyScope,
        differ: Differ,
        every_project: tuple[str, ...] | None,
        budget: RequestBudget,
    ) -> None:
        found = differ.found
        projects, batches, tasks = (_of(scope, stream) for stream in EVERY_STREAM)
        if projects:
            verify_projects(differ)
        verify_batches(differ, batches)
        counter = SegmentCounter(
            self.api, self.database, differ.pool, found.as_of, differ.go_on, differ.judged
        )
        verifier = TaskVerifier(differ, counter, every_project, self.listed)
        verifier.verify(tasks)
        known = len(found.drift)
        room = max(MIN_BATCH_CHECKS, MAX_REQUESTS - budget.made)
        verify_batch_counts(differ, batches, None if scope.deep else room)
        if len(found.drift) > known and not scope.deep:
            # What the batches led to may be one half of what had cancelled out.
            verifier.verify(tasks)
        if found.unproven and not found.undivided and differ.changes_too_fast(budget.made):
            found.unproven = [_too_fast(differ.changes, budget.made)]

    def _unread(self, scope: VerifyScope) -> list[str]:
        """Return a sentence if tasks whose annotations are to be proven have files that could not be read."""
        if not scope.deep:
            return []
        with self.database.read() as conn:
            wanted = {
                Selection(project=window.project, since=window.created_from, until=window.created_to)
                for window in _of(scope, TASKS.table.name)
            }
            unread = sum(query.tasks_unread(conn, selection) for selection in wanted)
        if not unread:
            return []
        tasks = "1 task" if unread == 1 else f"{unread:,} tasks"
        return [f"Result files of {tasks} could not be read; run `scalesync fetch-results`."]

    def _go_on(self) -> None:
        if self.clock.stopping.is_set():
            msg = "Stopped before anything was proven."
            raise InterruptedRunError(msg, advice="Run `scalesync verify` again.")

    def _expected(self, scope: VerifyScope, as_of: datetime) -> int:
        """Return about how many requests a verification takes if nothing differs."""
        expected = BASE_REQUESTS
        with self.database.read() as conn:
            for window in _of(scope, TASKS.table.name):
                if window.updated_from is None:
                    cells = comparison.counts(conn, TASKS, window, as_of)
                    expected += len(comparison.keys_outside_time(conn, window, as_of))
                    here = sum(cells.values())
                    expected += here // SEGMENT_ROWS if scope.deep or here <= self.listed else len(cells)
            batches = sum(
                comparison.count(conn, BATCHES, window, as_of) for window in _of(scope, BATCHES.table.name)
            )
        return expected + (
            batches if scope.deep else min(batches, max(MIN_BATCH_CHECKS, MAX_REQUESTS - expected))
        )


def _of(scope: VerifyScope, stream: str) -> Sequence[Window]:
    return [window for window in scope.windows if window.stream == stream]


def _too_fast(changes: int, requests: int) -> str:
    return (
        f"the account changes too fast: {changes:,} tasks changed during {requests:,} requests. A part of it "
        "(--project, --since, --until), more --workers or a quieter hour helps."
    )


def _undated(one: Drift) -> str:
    differing = f"{one.here or 'no status'} here and {one.there or 'no status'} there"
    if one.here == one.there:
        differing = f"differs in {', '.join(one.fields)}"
    return (
        f"batch {one.key!r}: {differing}, and the API does not say when a batch changes; `scalesync sync` "
        "reads it again."
    )
