"""The dispatcher: claims what is due, works on it with several threads, and says why it ended."""

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
from scalesync.models.commands import PausedBy, PauseState
from scalesync.queue.claimer import Claimer
from scalesync.queue.classify_response import QueueWideSignal, ResponseClass, pause_reason
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatch_summary import DispatchSummary, StopReason, SummaryBuilder
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.events import (
    AccessDenied,
    ApiUnreachable,
    CommandSettled,
    DispatchWatcher,
    Idle,
    QueueUnavailable,
    StepStarted,
    Throttled,
)
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.executor_deps import SETTLED, ExecutorDeps
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.timing import Timing, backoff, longest_turn

POLL_SECONDS = 0.25
"""Seconds between two claims while there is less to do than there are workers."""
EVENT_DELAY = 0.02
"""Seconds after which a step is told to whoever watches. To wake for each would cost more than all else."""
IDLE_POLL = 1.0
"""Seconds after which one that waits for work looks for it."""
OFFLINE_TRIES = 8
"""Where the waits for an API or a database that cannot be reached stop growing."""


@dataclass
class Dispatcher:
    """Works on the queue until nothing is left to do, or something stops it.

    Construction raises ConfigurationError where the client lets a request last longer than `timing` says.
    """

    store: DispatcherStore
    api: ScaleApi
    clock: Clock
    watch: DispatchWatcher
    timing: Timing
    options: DispatchOptions = field(default_factory=DispatchOptions)
    random: Callable[[], float] = random.random
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)

    def __post_init__(self) -> None:
        if self.api.options.total > self.timing.request or self.timing != self.store.timing:
            raise ConfigurationError(
                "A request of the queue must be cut off within the time that it may take."
            )
        self._deps = ExecutorDeps(self.store, self.api, self.clock, self.timing, self.random, self.handlers)
        self._claimer = Claimer(self.store, self.clock, self.options)
        self._active: dict[Future[CommandExecutor], CommandExecutor] = {}
        self._ended: SimpleQueue[Future[CommandExecutor]] = SimpleQueue()
        self._steps: deque[StepStarted] = deque()
        """What is to be told."""
        self._summary = SummaryBuilder()
        self._failure: BaseException | None = None
        self._closed: ScaleException | None = None
        self._silence: ScaleException | None = None
        """Why the last request got no answer; None: it got one."""
        self._api_failures = self._database_failures = 0
        """How often in a row the API, and the database, could not be reached."""
        self._database_away_since = 0.0
        self._database_retry_at = -inf
        self._next_claim_at = self._api_retry_at = self._throttled_until = self._progress_at = -inf
        self._idle = self._nothing_left = False

    def run(self) -> DispatchSummary:
        """Work on the queue, and return what was done.

        Whatever is in hand at the end is settled. Raises DatabaseError for what could not be read or written,
        and any error of a worker that is a mistake of ours: what it had claimed is left to its lease. A
        database that is away is waited for, for as long as its patience lasts or it stays.
        """
        began, asked = self.clock.monotonic(), self.api.requests_made
        self._progress_at = began
        with ThreadPoolExecutor(self._width, thread_name_prefix="send") as pool:
            try:
                ended = self._work(pool)
            except BaseException:
                self.clock.stopping.set()
                raise
        if self._failure is not None:
            raise self._failure
        return self._summary.summary(
            ended,
            requests=self.api.requests_made - asked,
            seconds=self.clock.monotonic() - began,
            error={StopReason.CLOSED: self._closed, StopReason.UNREACHABLE: self._silence}.get(ended),
        )

    @property
    def _width(self) -> int:
        """How many workers there are: under a rate, no more than all get their turn soon enough."""
        rate, workers = self.api.options.rate, max(1, self.options.workers)
        if rate is None:
            return workers
        soon = min(self.timing.margin, longest_turn(self.timing.request))
        return max(1, int(min(workers, rate * soon)))

    @property
    def _halting(self) -> bool:
        """Whether nothing new is to be claimed."""
        failed = self._failure is not None or self._closed is not None
        return failed or self.clock.stopping.is_set()

    @property
    def _out_of_patience(self) -> bool:
        """Whether its patience is over."""
        overdue = self.clock.monotonic() > self._progress_at + self.options.patience
        return overdue and not self.options.watch

    def _work(self, pool: ThreadPoolExecutor) -> StopReason:
        while True:
            try:
                if not self._is_still_empty():
                    self._fill(pool)
                outlook = None if self._active or self._nothing_left else self._outlook()
            except DatabaseUnavailableError as error:
                self._wait_for_database(error)
                if not self._active:
                    self.clock.sleep(self._database_retry_at - self.clock.monotonic())
                continue
            if self._active:
                self._collect()
            elif isinstance(outlook, StopReason):
                return outlook
            else:
                self._database_failures = 0
                self._wait(outlook)

    def _is_still_empty(self) -> bool:
        """Return whether a dispatcher that waits for work needs no claim.

        A claim locks the queue, also where there is nothing: one statement that only reads finds out first.
        """
        self._nothing_left = self._nothing_left and not self._halting and not self.store.any_unfinished()
        return self._nothing_left

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Give every idle worker a command, as long as there are any."""
        now = self.clock.monotonic()
        held_back = max(self._next_claim_at, self._api_retry_at, self._database_retry_at)
        if now < held_back or self._halting or self._out_of_patience:
            return
        wanted = (1 if self._api_failures else self._width) - len(self._active)
        claimed_at = self.clock.boottime()
        claims = self._claimer.claim(wanted) if wanted > 0 else []
        for claim in claims:
            work = CommandExecutor(claim, self._deps, claimed_at, self.options.reconcile_only)
            future = pool.submit(self._execute, work)
            self._active[future] = work
            future.add_done_callback(self._ended.put)
        if claims:
            self._database_failures = 0
            self._idle = False
        if len(claims) < wanted:
            self._next_claim_at = now + POLL_SECONDS

    def _execute(self, work: CommandExecutor) -> CommandExecutor:
        """Take every step of a piece of work, in a worker's thread."""
        steps = work.run()
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                done: CommandExecutor = end.value
                return done
            self._steps.append(StepStarted(work.command.id, work.command.kind, step))

    # News ------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until something ends, a little at the most, and take note of all there is."""
        try:
            self._process(self._ended.get(timeout=EVENT_DELAY))
            while True:
                self._process(self._ended.get_nowait())
        except Empty:
            self._report_steps()

    def _report_steps(self) -> None:
        while self._steps:
            self.watch(self._steps.popleft())

    def _process(self, ended: Future[CommandExecutor]) -> None:
        self._report_steps()
        work = self._active.pop(ended)
        self._next_claim_at = -inf
        error = ended.exception()
        if error is None:
            self._handle(ended.result())
        elif isinstance(error, DatabaseUnavailableError):
            # As if it had died with this one command: the end of the lease decides.
            self._claimer.give_back(work.command.id)
            self._wait_for_database(error)
        else:
            self._failure = self._failure or error
            self.clock.stopping.set()

    def _handle(self, done: CommandExecutor) -> None:
        self._summary.add(done)
        self._claimer.settled(done)
        log = done.log
        if log.answered is not None:
            self._silence = None if log.answered else log.error
        if log.answered:
            self._api_failures = 0
        if done.state in SETTLED or self.options.reconcile_only:
            self._progress_at = self.clock.monotonic()
        if done.settlement is not None:
            self.watch(CommandSettled(done.claim.command, done.settlement))
        if done.signal is not None:
            self._handle_signal(done.signal)

    def _handle_signal(self, signal: QueueWideSignal) -> None:
        now, reason = self.clock.monotonic(), pause_reason(signal.error)
        if signal.meaning is ResponseClass.ACCESS_DENIED:
            self._closed = signal.error
            self.watch(AccessDenied(reason))
        elif signal.seconds is not None:
            if now >= self._throttled_until:
                self.watch(Throttled(signal.seconds, reason))
            self._throttled_until = max(self._throttled_until, now + signal.seconds)
        elif now >= self._api_retry_at:
            self._api_failures += 1
            wait = POLL_SECONDS + backoff(min(self._api_failures, OFFLINE_TRIES), self.random())
            self._api_retry_at = now + wait
            self.watch(ApiUnreachable(wait, signal.error.message))

    def _wait_for_database(self, error: DatabaseUnavailableError) -> None:
        """Let nobody claim for a while, or raise `error` once patience is over."""
        now = self.clock.monotonic()
        if self._halting or now < self._database_retry_at:
            return
        self._database_failures += 1
        if self._database_failures == 1:
            self._database_away_since = now
        wait = POLL_SECONDS + backoff(min(self._database_failures, OFFLINE_TRIES), self.random())
        if not self.options.watch and now + wait > self._database_away_since + self.options.patience:
            raise error
        self._database_retry_at = now + wait
        self.watch(QueueUnavailable(wait, error.message))

    # Nothing in hand -------------------------------------------------------------------------------------

    def _outlook(self) -> StopReason | float | None:
        """Return why to end, or how many seconds to wait; None: until something is queued."""
        if self._halting:
            return StopReason.CLOSED if self._closed else StopReason.STOPPED
        gate = self._claimer.closed()
        due = self._claimer.due()
        if due is None and not (gate and self.options.only):
            return self._nothing_due()
        if gate is not None and gate.seconds is None:
            return self._closed_gate(gate)
        now = self.clock.monotonic()
        rest = 0.0 if gate is None else gate.seconds or 0.0
        held_back = max(self._api_retry_at, self._database_retry_at) - now
        wait = max(due or self._next_claim_at - now, rest, held_back, 0.0)
        if self.options.watch or now + wait <= self._progress_at + self.options.patience:
            return wait
        if gate is not None:
            return StopReason.RESTING
        return StopReason.UNREACHABLE if self._silence else StopReason.LATER

    def _nothing_due(self) -> StopReason | None:
        if self._claimer.full:
            return StopReason.ENOUGH
        return None if self.options.watch and not self.options.reconcile_only else StopReason.DONE

    def _closed_gate(self, gate: PauseState) -> StopReason | None:
        if gate.paused_by is not PausedBy.PERSON:
            return StopReason.CLOSED
        return None if self.options.watch else StopReason.PAUSED

    def _wait(self, seconds: float | None) -> None:
        """Wait, but not for long: somebody may queue something meanwhile."""
        if not self._idle:
            self._idle = True
            self.watch(Idle(seconds))
        self.clock.stopping.wait(IDLE_POLL if seconds is None else min(seconds, IDLE_POLL))
        self._nothing_left = seconds is None
        self._next_claim_at = -inf
