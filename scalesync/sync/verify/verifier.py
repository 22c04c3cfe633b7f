"""One verification: compares projects, batches and tasks with the API, and returns what differs.

Open it for the order of the comparisons and for how many requests they may take. It writes nothing.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
from scalesync.sync.verify.differ import Differ
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
"""Seconds between two values of the API's clock: its `Date` has whole seconds (observed)."""

MAX_REQUESTS = 39
"""Requests for a clean account of a few projects, about. What the other comparisons leave is for the batches'
own counts: batches that are not completed here first, then the newest."""

BASE_REQUESTS = 12
"""Requests besides those per project and status, about: time, projects, batches, slices, no project."""

MAX_OVERRUN = 4
"""Times the expected requests, after which an account may be reported as changing too fast."""

MIN_BATCH_CHECKS = 5
"""Batches whose own counts are requested in any case."""

LIST_THRESHOLD = 1_600
"""Tasks up to which a window is listed at once: that costs no more requests than counting."""


class ChangesTooFastError(Exception):
    """The account changes faster than it can be compared."""


@dataclass(frozen=True)
class RequestBudget:
    """Requests that a verification may make while the account changes."""

    api: ScaleApi
    expected: int
    """Requests if nothing differs."""
    before: int
    """Requests that the client had made before."""

    @property
    def made(self) -> int:
        """Requests of this verification so far."""
        return self.api.requests_made - self.before

    @property
    def is_spent(self) -> bool:
        """Whether several times the expected requests were made."""
        return self.made >= MAX_OVERRUN * self.expected


@dataclass
class Verifier:
    """Read-only comparison of the mirror with the API."""

    api: ScaleApi
    database: Database
    clock: Clock
    watch: VerifyWatcher
    workers: int = 8
    list_threshold: int = LIST_THRESHOLD

    def verify(self, scope: VerifyScope) -> Verification:
        """Compare the windows of `scope` with the API, and return what differs.

        Raises ScaleException, DatabaseError or InterruptedRunError.
        """
        began, before = self.clock.monotonic(), self.api.requests_made
        try:
            expected = self._expected(scope)
            if scope.as_of is None:
                # What was created just before must have an earlier date than what is created from now on.
                self.clock.sleep(max(0.0, CLOCK_RESOLUTION + began - self.clock.monotonic()))
            probed = probe(self.api)
            as_of, by_project = scope.as_of or probed.now, probed.every_project is not None
            result = Verification(as_of, scope.windows, scope.deep, by_project=by_project)
            self.watch(VerifyStarted(expected))
            self._compare(scope, result, probed.every_project, RequestBudget(self.api, expected, before))
        except ScaleException:
            # After a stop the client refuses further requests: the stop is what to report.
            self._check_stop()
            raise
        result.drift, result.behind, result.undated = map(
            in_key_order, (result.drift, result.behind, result.undated)
        )
        reports = [*result.unproven, *map(_undated_sentence, result.undated), *self._unread_files(scope)]
        result.unproven = list(dict.fromkeys(reports))
        result.requests = self.api.requests_made - before
        result.seconds = self.clock.monotonic() - began
        return result

    def _compare(
        self,
        scope: VerifyScope,
        result: Verification,
        every_project: tuple[str, ...] | None,
        budget: RequestBudget,
    ) -> None:
        def check_stop() -> None:
            self._check_stop()
            if budget.is_spent and differ.changes_too_fast(budget.made):
                raise ChangesTooFastError

        with ThreadPoolExecutor(self.workers, thread_name_prefix="verify") as pool:
            differ = Differ(
                self.api, self.database, pool, result, self.watch, check_stop, watermarks=scope.watermarks
            )
            try:
                self._compare_streams(scope, differ, every_project, budget)
            except ChangesTooFastError:
                result.unproven = [_too_fast(differ.changes, budget.made)]

    def _compare_streams(
        self, scope: VerifyScope, differ: Differ, every_project: tuple[str, ...] | None, budget: RequestBudget
    ) -> None:
        result = differ.result
        projects, batches, tasks = (_of(scope, stream) for stream in EVERY_STREAM)
        if projects:
            verify_projects(differ)
        verify_batches(differ, batches)
        counter = SegmentCounter(
            self.api, self.database, differ.pool, result.as_of, differ.check_stop, differ.rechecked_rows
        )
        task_verifier = TaskVerifier(differ, counter, every_project, self.list_threshold)
        task_verifier.verify(tasks)
        room = max(MIN_BATCH_CHECKS, MAX_REQUESTS - budget.made)
        new_drift = verify_batch_counts(differ, batches, None if scope.deep else room)
        if new_drift and not scope.deep:
            # A task found through its batch had cancelled out with another one: missing here the one, gone at
            # the API the other. Now that the first is left out of the counts, they show the second.
            task_verifier.verify(tasks)
        if result.unproven and not result.undivided and differ.changes_too_fast(budget.made):
            result.unproven = [_too_fast(differ.changes, budget.made)]

    def _unread_files(self, scope: VerifyScope) -> list[str]:
        """Return a sentence if annotations are compared and result files of some tasks could not be read."""
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

    def _check_stop(self) -> None:
        if self.clock.stopping.is_set():
            msg = "Stopped before anything was proven."
            raise InterruptedRunError(msg, advice="Run `scalesync verify` again.")

    def _expected(self, scope: VerifyScope) -> int:
        """Return the approximate number of requests if nothing differs."""
        expected = BASE_REQUESTS
        with self.database.read() as conn:
            for window in _of(scope, TASKS.table.name):
                if window.updated_from is None:
                    counts = comparison.counts(conn, TASKS, window, scope.as_of)
                    expected += len(comparison.keys_outside_time(conn, window, scope.as_of))
                    local = sum(counts.values())
                    listed = scope.deep or local <= self.list_threshold
                    expected += local // SEGMENT_ROWS if listed else len(counts)
            batches = sum(
                comparison.count(conn, BATCHES, window, scope.as_of)
                for window in _of(scope, BATCHES.table.name)
            )
        room = batches if scope.deep else max(MIN_BATCH_CHECKS, MAX_REQUESTS - expected)
        return expected + min(batches, room)


def _of(scope: VerifyScope, stream: str) -> Sequence[Window]:
    return [window for window in scope.windows if window.stream == stream]


def _too_fast(changes: int, requests: int) -> str:
    return (
        f"the account changes too fast: {changes:,} tasks changed during {requests:,} requests. A part of it "
        "(--project, --since, --until), more --workers or a quieter hour helps."
    )


def _undated_sentence(batch: Drift) -> str:
    differing = f"{batch.here or 'no status'} here and {batch.there or 'no status'} there"
    if batch.here == batch.there:
        differing = f"differs in {', '.join(batch.fields)}"
    return (
        f"batch {batch.key!r}: {differing}, and the API does not say when a batch changes; `scalesync sync` "
        "reads it again."
    )
