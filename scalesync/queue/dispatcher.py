"""The dispatcher: one coordinating thread claims what is due, worker threads execute the claims.

Hazard: only the coordinating thread touches the dispatcher's attributes; workers only append steps.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from queue import Empty, SimpleQueue

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError, DatabaseUnavailableError, ScaleException
from scalesync.models.queue_state import PausedBy, PauseState
from scalesync.queue import events
from scalesync.queue.claimer import Claimer
from scalesync.queue.classify_response import QueueWideSignal, ResponseClass, pause_reason
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatch_summary import DispatchSummary, StopReason, SummaryBuilder
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.executor_deps import SETTLED, ExecutorDeps
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.timing import Timing, backoff

POLL_SECONDS = 0.25
"""Seconds between two claims while some workers are idle."""
EVENT_DELAY = 0.02
"""Seconds between two reports of steps; one report for each step would cost more than all other work."""
IDLE_POLL = 1.0
"""Seconds between two looks at the queue while nothing is active."""
OFFLINE_TRIES = 8
"""Tries after which the waits for an unreachable API or database stop growing."""


@dataclass
class Dispatcher:
    """A process's workers on the queue.

    Construction raises ConfigurationError if the client lets a request last longer than `timing` says.
    """

    store: DispatcherStore
    api: ScaleApi
    clock: Clock
    watch: events.DispatchWatcher
    timing: Timing
    options: DispatchOptions = field(default_factory=DispatchOptions)
    random: Callable[[], float] = random.random
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)

    def __post_init__(self) -> None:
        # A request that outlasts its lease could be sent a second time by another process meanwhile.
        if self.api.options.total > self.timing.request or self.timing != self.store.timing:
            msg = "A request of the queue must be cut off within the time that it may take."
            raise ConfigurationError(msg)
        self._deps = ExecutorDeps(self.store, self.api, self.clock, self.timing, self.random, self.handlers)
        self._claimer = Claimer(self.store, self.clock, self.options, self.api.options.rate)
        self._active: dict[Future[CommandExecutor], CommandExecutor] = {}
        self._finished: SimpleQueue[Future[CommandExecutor]] = SimpleQueue()
        self._unreported_steps: deque[events.StepStarted] = deque()
        self._summary = SummaryBuilder()
        self._failure: BaseException | None = None
        self._access_denied: ScaleException | None = None
        self._no_answer: ScaleException | None = None
        """The error of the last request if it got no answer; None: it got one."""
        self._api_failures = self._database_failures = 0
        """Consecutive tries at which the API, or the database, could not be reached."""
        self._database_down_since = 0.0
        self._database_retry_at = -inf
        self._next_claim_at = self._api_retry_at = self._throttled_until = self._last_progress_at = -inf
        self._idle = self._nothing_left = False

    def run(self) -> DispatchSummary:
        """Work until nothing is left to do or something stops it; active commands are settled first.

        An unreachable database is waited for as long as the patience lasts, then raises DatabaseError.
        Raises a worker's unexpected error too; the claim it had stays until its lease runs out.
        """
        began, requests_before = self.clock.monotonic(), self.api.requests_made
        self._last_progress_at = began
        with ThreadPoolExecutor(self._claimer.worker_count, thread_name_prefix="send") as pool:
            try:
                ended = self._loop(pool)
            except BaseException:
                # Leaving the `with` waits for the workers: tell them to stop sending first.
                self.clock.stopping.set()
                raise
        if self._failure is not None:
            raise self._failure
        errors = {StopReason.CLOSED: self._access_denied, StopReason.UNREACHABLE: self._no_answer}
        return self._summary.summary(
            ended,
            requests=self.api.requests_made - requests_before,
            seconds=self.clock.monotonic() - began,
            error=errors.get(ended),
        )

    @property
    def _winding_down(self) -> bool:
        """Whether to claim nothing more."""
        failed = self._failure is not None or self._access_denied is not None
        return failed or self.clock.stopping.is_set()

    @property
    def _out_of_patience(self) -> bool:
        """Whether there was no progress for longer than `options.patience`."""
        overdue = self.clock.monotonic() > self._last_progress_at + self.options.patience
        return overdue and not self.options.watch

    def _loop(self, pool: ThreadPoolExecutor) -> StopReason:
        while True:
            try:
                if not self._is_still_empty():
                    self._start_claims(pool)
                next_step = None if self._active or self._nothing_left else self._stop_or_wait()
            except DatabaseUnavailableError as error:
                # Active commands go on: what they settle once the database is back still counts.
                self._wait_for_database(error)
                if not self._active:
                    self.clock.sleep(self._database_retry_at - self.clock.monotonic())
                continue
            if self._active:
                self._collect_finished()
            elif isinstance(next_step, StopReason):
                return next_step
            else:
                self._database_failures = 0
                self._wait(next_step)

    def _is_still_empty(self) -> bool:
        """Return whether the queue had nothing to claim and still has nothing."""
        # A claim locks the queue even if it finds nothing: a dispatcher that waits for work only reads first.
        if self._winding_down or not self._nothing_left or self.store.any_unfinished():
            self._nothing_left = False
        return self._nothing_left

    def _start_claims(self, pool: ThreadPoolExecutor) -> None:
        """Claim a command for every idle worker, and start them."""
        now = self.clock.monotonic()
        not_before = max(self._next_claim_at, self._api_retry_at, self._database_retry_at)
        if now < not_before or self._winding_down or self._out_of_patience:
            return
        # While the API is unreachable one command at a time probes it. The time is taken before the claim:
        # the lease may have begun any moment after that.
        wanted = self._claimer.wanted(len(self._active), probing=bool(self._api_failures))
        claimed_at = self.clock.boottime()
        claims = self._claimer.claim(wanted) if wanted > 0 else []
        for claim in claims:
            work = CommandExecutor(claim, self._deps, claimed_at, self.options.reconcile_only)
            future = pool.submit(self._execute, work)
            self._active[future] = work
            future.add_done_callback(self._finished.put)
        if claims:
            self._database_failures = 0
            self._idle = False
        if len(claims) < wanted:
            self._next_claim_at = now + POLL_SECONDS

    def _execute(self, work: CommandExecutor) -> CommandExecutor:
        """Run all steps of a claim, in a worker's thread."""
        for step in work.run():
            self._unreported_steps.append(events.StepStarted(work.command.id, work.command.kind, step))
        return work

    # Results of workers ----------------------------------------------------------------------------------

    def _collect_finished(self) -> None:
        """Wait up to EVENT_DELAY for a worker to finish, and record all that have."""
        try:
            self._finish(self._finished.get(timeout=EVENT_DELAY))
            while True:
                self._finish(self._finished.get_nowait())
        except Empty:
            self._report_steps()

    def _report_steps(self) -> None:
        while self._unreported_steps:
            self.watch(self._unreported_steps.popleft())

    def _finish(self, ended: Future[CommandExecutor]) -> None:
        self._report_steps()
        work = self._active.pop(ended)
        self._next_claim_at = -inf
        error = ended.exception()
        if error is None:
            self._record(ended.result())
        elif isinstance(error, DatabaseUnavailableError):
            # Unknown whether the settlement was written: treat this one command as if its process had died.
            self._claimer.abandon(work.command.id)
            self._wait_for_database(error)
        else:
            # A mistake in this program: stop sending, settle what is active, and raise the first one.
            self._failure = self._failure or error
            self.clock.stopping.set()

    def _record(self, done: CommandExecutor) -> None:
        self._summary.add(done)
        self._claimer.record_settled(done)
        log = done.log
        if log.answered is not None:
            self._no_answer = None if log.answered else log.error
        if log.answered:
            self._api_failures = 0
        if done.state in SETTLED or self.options.reconcile_only:
            self._last_progress_at = self.clock.monotonic()
        if done.settlement is not None:
            self.watch(events.CommandSettled(done.claim.command, done.settlement))
        if done.signal is not None:
            self._apply_signal(done.signal)

    def _apply_signal(self, signal: QueueWideSignal) -> None:
        now, reason = self.clock.monotonic(), pause_reason(signal.error)
        if signal.meaning is ResponseClass.ACCESS_DENIED:
            self._access_denied = signal.error
            self.watch(events.AccessDenied(reason))
        elif signal.seconds is not None:
            if now >= self._throttled_until:
                self.watch(events.Throttled(signal.seconds, reason))
            self._throttled_until = max(self._throttled_until, now + signal.seconds)
        elif now >= self._api_retry_at:
            self._api_failures += 1
            wait = POLL_SECONDS + backoff(min(self._api_failures, OFFLINE_TRIES), self.random())
            self._api_retry_at = now + wait
            self.watch(events.ApiUnreachable(wait, signal.error.message))

    def _wait_for_database(self, error: DatabaseUnavailableError) -> None:
        """Claim nothing for a growing wait; raise `error` once the patience is over."""
        now = self.clock.monotonic()
        if self._winding_down or now < self._database_retry_at:
            return
        self._database_failures += 1
        if self._database_failures == 1:
            self._database_down_since = now
        wait = POLL_SECONDS + backoff(min(self._database_failures, OFFLINE_TRIES), self.random())
        if not self.options.watch and now + wait > self._database_down_since + self.options.patience:
            raise error
        self._database_retry_at = now + wait
        self.watch(events.QueueUnavailable(wait, error.message))

    # Nothing active --------------------------------------------------------------------------------------

    def _stop_or_wait(self) -> StopReason | float | None:
        """Return why to end, or the seconds to wait; None: wait until something is queued."""
        if self._winding_down:
            return StopReason.CLOSED if self._access_denied else StopReason.STOPPED
        pause = self._claimer.blocking_pause()
        due = self._claimer.due()
        if due is None and not (pause and self.options.only):
            return self._when_nothing_is_due()
        if pause is not None and pause.seconds is None:
            return self._when_paused(pause)
        # Wait for the latest of: next due command, end of the pause, next try of an unreachable service.
        now = self.clock.monotonic()
        pause_left = 0.0 if pause is None else pause.seconds or 0.0
        not_before = max(self._api_retry_at, self._database_retry_at) - now
        wait = max(due or self._next_claim_at - now, pause_left, not_before, 0.0)
        if self.options.watch or now + wait <= self._last_progress_at + self.options.patience:
            return wait
        if pause is not None:
            return StopReason.RESTING
        return StopReason.UNREACHABLE if self._no_answer else StopReason.LATER

    def _when_nothing_is_due(self) -> StopReason | None:
        if self._claimer.limit_reached:
            return StopReason.ENOUGH
        return None if self.options.watch and not self.options.reconcile_only else StopReason.DONE

    def _when_paused(self, pause: PauseState) -> StopReason | None:
        if pause.paused_by is not PausedBy.PERSON:
            return StopReason.CLOSED
        return None if self.options.watch else StopReason.PAUSED

    def _wait(self, seconds: float | None) -> None:
        """Wait at most IDLE_POLL seconds: something may be queued meanwhile."""
        if not self._idle:
            self._idle = True
            self.watch(events.Idle(seconds))
        self.clock.stopping.wait(IDLE_POLL if seconds is None else min(seconds, IDLE_POLL))
        self._nothing_left = seconds is None
        self._next_claim_at = -inf
