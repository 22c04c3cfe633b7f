"""One `scalesync sync` from start to end: finish an open run, plan a new one, read it, check its sums.

Open it for the order of these steps, and for what is repeated after a database outage.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import TypeVar

from scalesync.clock import Clock
from scalesync.db.mirror import batch_counts, status_counts
from scalesync.db.mirror.account import Account, claim_for_account
from scalesync.db.mirror.documents import TASKS
from scalesync.db.server_clock import time_in
from scalesync.db.sync import runs, window_ledger, window_splits
from scalesync.errors import (
    AlreadyRunningError,
    ConfigurationError,
    DatabaseUnavailableError,
    ScaleException,
    ScaleResourceNotFound,
)
from scalesync.models.api import Page
from scalesync.models.sync import Run, RunKind, RunState, Window, WindowState
from scalesync.sync.completed_batches import recheck_completed_batches
from scalesync.sync.engine import Engine
from scalesync.sync.events import ClockWasAhead, ProjectRequired, RunStarted, SyncWatcher, WindowInconsistent
from scalesync.sync.outage_backoff import OutageBackoff
from scalesync.sync.planner import Plan, PlanningFacts, SyncRequest, plan
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import BOUND_MARGIN, PAGE_SIZE, count, probe
from scalesync.sync.write_buffer import SyncTotals

T = TypeVar("T")


@dataclass
class SyncSummary:
    """Result of one `scalesync sync`."""

    totals: SyncTotals = field(default_factory=SyncTotals)
    runs: list[Run] = field(default_factory=list)
    """The runs this process took part in, in their last state."""
    reached: bool = False
    """Whether a run for the request was begun; one that was left open has to end before."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether a run for the request was begun and every run of this process is complete."""
        return self.reached and all(run.state is RunState.COMPLETE for run in self.runs)

    @property
    def rate(self) -> float:
        """Rows received per second."""
        rows = sum(w.new + w.changed + w.unchanged + w.stale for w in self.totals.written.values())
        return rows / self.seconds if self.seconds else 0.0

    @property
    def unread(self) -> int:
        """Responses written that could not be turned into annotations."""
        return sum(written.unread for written in self.totals.written.values())

    @property
    def values_replaced(self) -> int:
        """Values written that the database does not return exactly as the API sent them."""
        return sum(written.values_replaced for written in self.totals.written.values())

    @property
    def left_open(self) -> bool:
        """Whether a run has windows left to read."""
        return any(run.state is RunState.OPEN for run in self.runs)


@dataclass
class SyncRunner:
    """One sync with its store, clock and account."""

    store: SyncStore
    clock: Clock
    watch: SyncWatcher
    account: Account
    """Account that the mirror must belong to."""
    workers: int = 8
    time_limit: float | None = None
    """Seconds after which nothing new is begun."""
    first_page: Page | None = None
    """The first page of all tasks, received while planning; the first window of the run uses it."""

    def sync(self, request: SyncRequest) -> SyncSummary:
        """Finish the open run if there is one, then read what `request` asks for.

        Raises ScalesyncError if something stops it; pages received by then are saved. An unreachable database
        is retried for as long as a failed API request is.
        """
        began, summary = self.clock.monotonic(), SyncSummary()
        deadline = None if self.time_limit is None else min(began + self.time_limit, self.clock.ends_at)
        engine = Engine(self.store, self.clock, self.watch, self.workers, deadline, totals=summary.totals)
        self.store.last_run = None
        asked_at = began if self.clock.asked_at is None else self.clock.asked_at
        patience = self.store.api.options.retry.seconds
        outages = OutageBackoff(self.clock, self.watch, patience, inf if deadline is None else deadline)
        try:
            while not (summary.reached or summary.left_open or engine.stopping):
                run, ours = self._retry_outage(outages, lambda _: self._open_or_start(request, asked_at))
                summary.reached = ours
                summary.runs.append(run)
                if run.state is RunState.OPEN:
                    read = partial(self._work_on, engine, run, ours=ours)
                    summary.runs[-1] = self._retry_outage(outages, read)
        except ScaleException:
            # After a stop or the deadline the client refuses further requests: that is no failure.
            if engine.error is not None or not engine.stopping:
                raise
        finally:
            summary.requests = self.store.api.requests_made
            summary.seconds = self.clock.monotonic() - began
        if summary.left_open and not engine.stopping:
            msg = "Another run holds everything that is left to do."
            raise AlreadyRunningError(
                msg, advice="See `scalesync status`; if it has died, its part is free after SCALESYNC_LEASE."
            )
        return summary

    def dry_run(self, request: SyncRequest) -> tuple[Plan, tuple[int, ...]]:
        """Return the plan of a sync and the row count of each window; write nothing."""
        planned = plan(request, self._facts(request))
        return planned, tuple(count(self.store.api, window) for window in planned.windows)

    def _retry_outage(self, outages: OutageBackoff, act: Callable[[bool], T]) -> T:
        """Call `act` until no outage interrupts it; its argument is whether this is a repetition."""
        # Always from the start: whether the failed transaction was committed is unknown. As after a crash,
        # only the database is believed, and it is consistent either way.
        again = False
        while True:
            try:
                if again:
                    self.store.release()
                return act(again)
            except DatabaseUnavailableError as error:
                outages.wait(error, saved=self.store.saved)
                again = True

    def _open_or_start(self, request: SyncRequest, asked_at: float) -> tuple[Run, bool]:
        """Return a run to work on, and whether it reads all that is asked for: the open one, or a new one.

        A run that another process began after this one was asked is as good.
        """
        # Another process may be faster than our plan: then its run is found.
        find = partial(self._find, request, asked_at)
        if (found := find() or self._plan_and_start(request) or find()) is None:
            msg = "The run that was open has just ended elsewhere."
            raise AlreadyRunningError(msg, advice="Run `scalesync sync` again.")
        return found

    def _find(self, request: SyncRequest, asked_at: float) -> tuple[Run, bool] | None:
        """Return the open run, or one that is for us, and whether it is; None if a new one is needed."""
        found = self.store.find_run(request, self.clock.monotonic() - asked_at)
        if found is not None:
            self._claim_mirror(found[0].started_at)
        return found

    def _claim_mirror(self, at: datetime) -> None:
        """Check that the mirror belongs to our account; a new one does from now on."""
        with self.store.database.write() as conn:
            claim_for_account(conn, replace(self.account, created_at=at))

    def _plan_and_start(self, request: SyncRequest) -> tuple[Run, bool] | None:
        """Plan and start a run, which is for us; return None if another process was faster."""
        with self.store.database.read() as conn:
            opened_at = time_in(conn, 0.0)
        facts = self._facts(request)
        planned = plan(request, facts)
        self._claim_mirror(facts.now)
        with self.store.database.write() as conn:
            begins = runs.start(
                conn, planned.kind, facts.now, planned.windows, watermark_at=planned.watermark_at
            )
            run = runs.open_run(conn) if begins else None
            if run is not None:
                runs.set_opened_at(conn, run.id, opened_at)
                runs.lower_watermarks(conn, facts.now)
        if run is None:
            self.first_page = None
            return None
        return run, True

    def _facts(self, request: SyncRequest) -> PlanningFacts:
        """Return the API's time, the watermarks and what else the plan depends on."""
        with self.store.database.read() as conn:
            stored = runs.read_watermarks(conn)
            unfinished = runs.oldest_unfinished_batch(conn)
            undated = runs.some_task_without_update_time(conn)
        tasks = TASKS.table.name
        everything = tasks in request.streams and not request.partial
        everything = everything and (request.full or tasks not in stored)
        probed = probe(self.store.api, limit=PAGE_SIZE if everything else 1)
        with self.store.database.read() as conn:
            watermarks = runs.trusted_watermarks(conn, probed.now)
        for stream, at in stored.items():
            if at > probed.now:
                self.watch(ClockWasAhead(stream, at, watermarks.get(stream)))
        self.first_page = probed.first_page if everything else None
        if probed.every_project is not None:
            self.watch(ProjectRequired(len(probed.every_project)))
        for name in request.projects:
            self.require_project(name)
        return PlanningFacts(probed.now, watermarks, unfinished, undated, probed.every_project)

    def require_project(self, name: str) -> None:
        """Check that the account has this project. Raises ConfigurationError."""
        try:
            self.store.api.project(name)
        except ScaleResourceNotFound as error:
            msg = f"There is no project {name!r} in this account."
            raise ConfigurationError(msg, advice="`scalesync project list` shows those that are.") from error

    def _work_on(self, engine: Engine, run: Run, again: bool, *, ours: bool) -> Run:
        """Read a run to its end, or until something stops this process, and return its last state."""
        with self.store.database.read() as conn:
            progress = tuple(window_ledger.progress(conn, run.id))
        self.watch(RunStarted(run.kind, run.started_at, again or not ours, progress))
        first_page, self.first_page = self.first_page, None
        self.store.run_started_at = run.started_at
        # 1. Read all windows; those whose parts do not add up again.
        engine.run(run, first_page)
        while not engine.stopping and self._reopen_short_windows(run):
            engine.run(run)
        # What other hosts still read is theirs to end.
        left_open = engine.stopping or self.store.count_open(run.id)[0] > 0
        if run.kind is RunKind.FULL and not left_open:
            with self.store.database.write() as conn:
                runs.refresh_statistics(conn, run)
        # 2. Look up batches that a task change may have reopened, then close the run in one transaction.
        failed = [] if left_open else recheck_completed_batches(self.store, run, self.workers)
        at = self.store.latest_page_at or run.started_at
        with self.store.database.write() as conn:
            # This locks the run's row: of several hosts one ends it, and keeps the numbers.
            runs.add_counts(conn, run.id, self.store.unreported())
            still_open = runs.find(conn, run.id).state is RunState.OPEN
            if still_open and not left_open and runs.finish(conn, run, at, failed) is not None:
                # Those of a full run are counted: nobody knows what was done to the rows by hand before it.
                status_counts.keep(conn, recount=run.kind is RunKind.FULL)
                if TASKS.table.name in runs.read_watermarks(conn):
                    batch_counts.count_batches(conn, at)
            return runs.find(conn, run.id)

    def _reopen_short_windows(self, run: Run) -> bool:
        """Reopen divided windows whose parts do not add up, undivided; return whether there are any."""
        with self.store.database.read() as conn:
            still_open = window_ledger.count(conn, run.id, WindowState.OPEN)
            short = [] if still_open else window_splits.short(conn, run.id)
        again = False
        for window, rows in short:
            # Objects may have left the window since it was divided: a count of today, less what was created
            # since, is as good. A filter on changes has no such count.
            total = None if window.updated_from else self._count_again(window)
            with self.store.database.write() as conn:
                if total is not None and rows >= total:
                    window_splits.recount(conn, window, total)
                    continue
                reason = f"the parts of a list hold {rows} rows where the API counts {window.api_total} in it"
                again |= window_splits.read_undivided(conn, run.id, window.id, f"{window.title}: {reason}")
            self.watch(WindowInconsistent(window.stream, reason, given_up=False))
        return again

    def _count_again(self, window: Window) -> int:
        """Return the rows that the API counts now among those created before the window was divided."""
        whole = count(self.store.api, replace(window, next_token=None))
        if window.divided_at is None:
            return whole
        # The API dates its answers in whole seconds, and requests are widened: rows of that second count as
        # old.
        since = window.divided_at + timedelta(seconds=1) + 2 * BOUND_MARGIN
        if window.created_to is not None and window.created_to < since:
            return whole
        return whole - count(self.store.api, replace(window, next_token=None, created_from=since))
