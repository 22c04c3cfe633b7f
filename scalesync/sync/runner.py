"""One `scalesync sync`: finish what is open, plan what was asked for, read it, and vouch for it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import TypeVar

from scalesync.clock import Clock
from scalesync.db.mirror import batch_counts, upsert
from scalesync.db.mirror.account import Account, claim_for_account
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.sync import runs, window_ledger, window_splits
from scalesync.errors import (
    AlreadyRunningError,
    ConfigurationError,
    DatabaseUnavailableError,
    ScaleException,
    ScaleResourceNotFound,
)
from scalesync.models.api import Page
from scalesync.models.sync import Run, RunState, Window, WindowState
from scalesync.sync.engine import Engine
from scalesync.sync.events import ClockWasAhead, ProjectRequired, RunStarted, SyncWatcher, WindowInconsistent
from scalesync.sync.outage_backoff import OutageBackoff
from scalesync.sync.planner import Plan, PlanningFacts, SyncRequest, plan
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import BOUND_MARGIN, PAGE_SIZE, STREAMS, count, probe
from scalesync.sync.window_progress import LookupResult, look_up
from scalesync.sync.write_buffer import SyncTotals

T = TypeVar("T")


@dataclass
class SyncSummary:
    """What one `scalesync sync` did."""

    totals: SyncTotals = field(default_factory=SyncTotals)
    runs: list[Run] = field(default_factory=list)
    """The runs this process took part in, as they stood when it ended."""
    reached: bool = False
    """Whether it came to what was asked for; before that, a run that was left open has to end."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether what was asked for was read, and every run that was taken part in is complete."""
        return self.reached and all(run.state is RunState.COMPLETE for run in self.runs)

    @property
    def rate(self) -> float:
        """Rows received per second."""
        rows = sum(w.new + w.changed + w.unchanged + w.stale for w in self.totals.written.values())
        return rows / self.seconds if self.seconds else 0.0

    @property
    def unread(self) -> int:
        """How many responses were written that no annotations could be made of."""
        return sum(written.unread for written in self.totals.written.values())

    @property
    def values_replaced(self) -> int:
        """How many values were written that the database does not give back as they came."""
        return sum(written.values_replaced for written in self.totals.written.values())

    @property
    def left_open(self) -> bool:
        """Whether a run has windows left to read."""
        return any(run.state is RunState.OPEN for run in self.runs)


@dataclass
class SyncRunner:
    """Everything that one sync needs, opened and ready."""

    store: SyncStore
    clock: Clock
    watch: SyncWatcher
    account: Account
    """Whose mirror this must be."""
    workers: int = 8
    time_limit: float | None = None
    """Seconds after which nothing new is begun."""
    newest: Page | None = None
    """The first page of all tasks, where a run of ours that was just planned is to read them all."""

    def sync(self, request: SyncRequest) -> SyncSummary:
        """Read what is open, then what `request` asks for, and return what was done.

        Raises ScalesyncError for whatever stops it; what was received by then is saved. A database that is
        away is waited for, as long as a read that fails is tried again.
        """
        began, summary = self.clock.monotonic(), SyncSummary()
        deadline = None if self.time_limit is None else min(began + self.time_limit, self.clock.ends_at)
        engine = Engine(self.store, self.clock, self.watch, self.workers, deadline, totals=summary.totals)
        patience = self.store.api.options.retry.seconds
        outages = OutageBackoff(self.clock, self.watch, patience, inf if deadline is None else deadline)
        try:
            while not (summary.reached or summary.left_open or engine.stopping):
                run, mine = self._retry_outage(outages, lambda _: self._open_or_start(request))
                summary.reached = mine
                summary.runs.append(run)
                summary.runs[-1] = self._retry_outage(outages, partial(self._work_on, engine, run, mine=mine))
        except ScaleException:
            # Soon after a stop, or the end of its time, the client gives no more answers.
            if engine.error is not None or not engine.stopping:
                raise
        finally:
            summary.requests = self.store.api.requests_made
            summary.seconds = self.clock.monotonic() - began
        if summary.left_open and not engine.stopping:
            msg = "Another run holds everything that is left to do."
            raise AlreadyRunningError(
                msg,
                advice="See `scalesync status`; if it has died, its part is free after SCALESYNC_LEASE.",
            )
        return summary

    def dry_run(self, request: SyncRequest) -> tuple[Plan, tuple[int, ...]]:
        """Return what a sync would read, and the rows of each window; nothing is written."""
        made = plan(request, self._facts(request))
        return made, tuple(count(self.store.api, window) for window in made.windows)

    def _retry_outage(self, outages: OutageBackoff, act: Callable[[bool], T]) -> T:
        """Return what `act` returns, told whether it is begun again: after an outage, as after a crash.

        Never goes on where it was: whether the transaction that failed was committed is not known, and what
        is in the database is right either way.
        """
        again = False
        while True:
            try:
                if again:
                    self.store.release()
                return act(again)
            except DatabaseUnavailableError as error:
                outages.wait(error, saved=self.store.saved)
                again = True

    def _open_or_start(self, request: SyncRequest) -> tuple[Run, bool]:
        """Return the run that is left open, or else a new one, and whether that is ours."""
        run = self._open_run()
        return self._plan_and_start(request) if run is None else (run, False)

    def _open_run(self) -> Run | None:
        """Return the run that is left open, if it is of our account."""
        with self.store.database.read() as conn:
            run = runs.open_run(conn)
        if run is not None:
            self._stamp(run.started_at)
        return run

    def _stamp(self, at: datetime) -> None:
        """Return if the mirror is of our account, or of none yet and so ours from now on."""
        with self.store.database.write() as conn:
            claim_for_account(conn, replace(self.account, created_at=at))

    def _plan_and_start(self, request: SyncRequest) -> tuple[Run, bool]:
        """Return the open run, and whether it is ours or one that somebody else opened just before."""
        known = self._facts(request)
        made = plan(request, known)
        self._stamp(known.now)
        with self.store.database.write() as conn:
            mine = runs.start(conn, made.kind, known.now, made.windows, watermark_at=made.watermark_at)
            if mine:
                runs.lower_watermarks(conn, known.now)
            run = runs.open_run(conn)
        if run is None:
            msg = "The run that was open has just ended elsewhere."
            raise AlreadyRunningError(msg, advice="Run `scalesync sync` again.")
        return run, mine

    def _facts(self, request: SyncRequest) -> PlanningFacts:
        """Ask the API for its time and habits, and the mirror for what it holds."""
        with self.store.database.read() as conn:
            known = runs.read_watermarks(conn)
            unfinished = runs.oldest_unfinished_batch(conn)
            undated = runs.some_task_without_update_time(conn)
        tasks = TASKS.table.name
        everything = tasks in request.streams and not request.partial
        everything = everything and (request.full or tasks not in known)
        told = probe(self.store.api, limit=PAGE_SIZE if everything else 1)
        with self.store.database.read() as conn:
            watermarks = runs.trusted_watermarks(conn, told.now)
        for stream in (stream for stream, at in known.items() if at > told.now):
            self.watch(ClockWasAhead(stream, known[stream], watermarks.get(stream)))
        self.newest = told.first_page if everything else None
        if told.every_project is not None:
            self.watch(ProjectRequired(len(told.every_project)))
        for name in request.projects:
            self.require_project(name)
        return PlanningFacts(told.now, watermarks, unfinished, undated, told.every_project)

    def require_project(self, name: str) -> None:
        """Return if the account has this project. Raises ConfigurationError."""
        try:
            self.store.api.project(name)
        except ScaleResourceNotFound as error:
            msg = f"There is no project {name!r} in this account."
            raise ConfigurationError(msg, advice="`scalesync project list` shows those that are.") from error

    def _work_on(self, engine: Engine, run: Run, again: bool, *, mine: bool) -> Run:
        """Take part in a run to its end, or until something stops this process, and return it."""
        with self.store.database.read() as conn:
            progress = tuple(window_ledger.progress(conn, run.id))
        self.watch(RunStarted(run.kind, run.started_at, again or not mine, progress))
        newest, self.newest = self.newest if mine else None, None
        self.store.run_began = run.started_at
        engine.run(run, newest)
        while not engine.stopping and self._read_short_windows_again(run):
            engine.run(run)
        failed = [] if engine.stopping else self._recheck_completed_batches(run)
        at = self.store.latest or run.started_at
        with self.store.database.write() as conn:
            runs.add_counts(conn, run.id, self.store.unreported())
            if not engine.stopping:
                runs.finish(conn, run, at, failed)
                if TASKS.table.name in runs.read_watermarks(conn):
                    batch_counts.count_batches(conn, at)
            return runs.find(conn, run.id)

    def _read_short_windows_again(self, run: Run) -> bool:
        """Have divided windows read as a whole whose parts do not add up; return whether there are any.

        Objects may have left a window since it was divided: it adds up too if it holds as many rows as the
        API counts in it by now, less what was created since. A filter on changes leaves no such count.
        """
        with self.store.database.read() as conn:
            short = (
                window_splits.short(conn, run.id)
                if not window_ledger.count(conn, run.id, WindowState.OPEN)
                else []
            )
        again = False
        for window, rows in short:
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
        """Return how many rows the API counts in a window by now that were there when it was divided."""
        whole = count(self.store.api, replace(window, next_token=None))
        if window.divided_at is None:
            return whole
        # Its dates are whole seconds, and requests are widened: rows of that second are not taken for newer.
        since = window.divided_at + timedelta(seconds=1) + 2 * BOUND_MARGIN
        if window.created_to is not None and window.created_to < since:
            return whole
        return whole - count(self.store.api, replace(window, next_token=None, created_from=since))

    def _recheck_completed_batches(self, run: Run) -> list[str]:
        """Read batches again that are completed here and had a task change: they may have reopened.

        Returns those that could not be read, each with the reason.
        """
        failed: list[str] = []
        with self.store.database.read() as conn:
            complete_before = TASKS.table.name in runs.read_watermarks(conn)
            names = batch_counts.completed_with_changes(conn, run.started_at if complete_before else None)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="batch") as pool:
            for looked_up in pool.map(self._look_up_batch, names):
                failed += (f"batches: {each}" for each in looked_up.failed)
                with self.store.database.write() as conn:
                    upsert.write_documents(conn, BATCHES, looked_up.found)
        return failed

    def _look_up_batch(self, name: str) -> LookupResult:
        return look_up(self.store.api, STREAMS[BATCHES.table.name], [name])
