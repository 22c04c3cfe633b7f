"""The dispatcher: claims what is due, works on it with several threads, and says why it ended."""

import random as randomness
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
from scalesync.queue.claimer import Claimer, DispatchOptions
from scalesync.queue.classify_response import ResponseClass, pause_reason
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
from scalesync.queue.execution_result import ExecutionResult, QueueWideSignal
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.handlers import HANDLERS, CommandHandler
from scalesync.queue.timing import Timing, backoff, longest_turn
from scalesync.queue.tools import ExecutorDeps

__all__ = ["DispatchOptions", "DispatchSummary", "Dispatcher", "StopReason"]

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
    random: Callable[[], float] = randomness.random
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)

    def __post_init__(self) -> None:
        if self.api.options.total > self.timing.request or self.timing != self.store.timing:
            raise ConfigurationError(
                "A request of the queue must be cut off within the time that it may take."
            )
        self._tools = ExecutorDeps(self.store, self.api, self.clock, self.timing, self.random, self.handlers)
        self._agenda = Claimer(self.store, self.clock, self.options)
        self._active: dict[Future[ExecutionResult], CommandExecutor] = {}
        self._ended: SimpleQueue[Future[ExecutionResult]] = SimpleQueue()
        self._steps: deque[StepStarted] = deque()
        """What is to be told."""
        self._tally = SummaryBuilder()
        self._failure: BaseException | None = None
        self._closed: ScaleException | None = None
        self._silence: ScaleException | None = None
        """Why the last request got no answer; None: it got one."""
        self._offline = self._away = 0
        """How often in a row the API, and the database, could not be reached."""
        self._away_since = 0.0
        self._away_until = -inf
        self._next_claim_at = self._offline_until = self._resting_until = self._progress_at = -inf
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
        return self._tally.summary(
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
    def _tired(self) -> bool:
        """Whether its patience is over."""
        overdue = self.clock.monotonic() > self._progress_at + self.options.patience
        return overdue and not self.options.watch

    def _work(self, pool: ThreadPoolExecutor) -> StopReason:
        while True:
            try:
                outlook = self._look(pool)
            except DatabaseUnavailableError as error:
                self._outlast(error)
                if not self._active:
                    self.clock.sleep(self._away_until - self.clock.monotonic())
                continue
            if self._active:
                self._collect()
            elif isinstance(outlook, StopReason):
                return outlook
            else:
                self._away = 0
                self._wait(outlook)

    def _look(self, pool: ThreadPoolExecutor) -> StopReason | float | None:
        """Give out what there is, and return what `_outlook` says if nobody has any of it."""
        # A claim locks the queue, also where there is nothing: one that waits for work reads a row first.
        if self._nothing_left and not self._halting and not self.store.any_unfinished():
            return None
        self._nothing_left = False
        self._fill(pool)
        return None if self._active else self._outlook()

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Give every idle worker a command, as long as there are any."""
        now = self.clock.monotonic()
        held_back = max(self._next_claim_at, self._offline_until, self._away_until)
        if now < held_back or self._halting or self._tired:
            return
        wanted = (1 if self._offline else self._width) - len(self._active)
        claimed_at = self.clock.boottime()
        claims = self._agenda.claim(wanted) if wanted > 0 else []
        for claim in claims:
            work = CommandExecutor(claim, self._tools, claimed_at, self.options.reconcile_only)
            future = pool.submit(self._carry_out, work)
            self._active[future] = work
            future.add_done_callback(self._ended.put)
        if claims:
            self._away = 0
            self._idle = False
        if len(claims) < wanted:
            self._next_claim_at = now + POLL_SECONDS

    def _carry_out(self, work: CommandExecutor) -> ExecutionResult:
        """Take every step of a piece of work, in a worker's thread."""
        steps = work.run()
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                done: ExecutionResult = end.value
                return done
            self._steps.append(StepStarted(work.command.id, work.command.kind, step))

    # News ------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until something ends, a little at the most, and take note of all there is."""
        try:
            self._note(self._ended.get(timeout=EVENT_DELAY))
            while True:
                self._note(self._ended.get_nowait())
        except Empty:
            self._tell_steps()

    def _tell_steps(self) -> None:
        while self._steps:
            self.watch(self._steps.popleft())

    def _note(self, ended: Future[ExecutionResult]) -> None:
        self._tell_steps()
        work = self._active.pop(ended)
        self._next_claim_at = -inf
        error = ended.exception()
        if error is None:
            self._take(ended.result())
        elif isinstance(error, DatabaseUnavailableError):
            # As if it had died with this one command: the end of the lease decides.
            self._agenda.give_back(work.command.id)
            self._outlast(error)
        else:
            self._failure = self._failure or error
            self.clock.stopping.set()

    def _take(self, done: ExecutionResult) -> None:
        self._tally.add(done)
        self._agenda.settled(done)
        if done.answered is not None:
            self._silence = None if done.answered else done.error
        if done.answered:
            self._offline = 0
        if done.progress or self.options.reconcile_only:
            self._progress_at = self.clock.monotonic()
        self.watch(CommandSettled(done.command, done.settlement))
        if done.alarm is not None:
            self._alarm(done.alarm)

    def _alarm(self, alarm: QueueWideSignal) -> None:
        now, reason = self.clock.monotonic(), pause_reason(alarm.error)
        if alarm.meaning is ResponseClass.ACCESS_DENIED:
            self._closed = alarm.error
            self.watch(AccessDenied(reason))
        elif alarm.seconds is not None:
            if now >= self._resting_until:
                self.watch(Throttled(alarm.seconds, reason))
            self._resting_until = max(self._resting_until, now + alarm.seconds)
        elif now >= self._offline_until:
            self._offline += 1
            wait = POLL_SECONDS + backoff(min(self._offline, OFFLINE_TRIES), self.random())
            self._offline_until = now + wait
            self.watch(ApiUnreachable(wait, alarm.error.message))

    def _outlast(self, error: DatabaseUnavailableError) -> None:
        """Let nobody claim for a while, or raise `error` once patience is over."""
        now = self.clock.monotonic()
        if self._halting or now < self._away_until:
            return
        self._away += 1
        if self._away == 1:
            self._away_since = now
        wait = POLL_SECONDS + backoff(min(self._away, OFFLINE_TRIES), self.random())
        if not self.options.watch and now + wait > self._away_since + self.options.patience:
            raise error
        self._away_until = now + wait
        self.watch(QueueUnavailable(wait, error.message))

    # Nothing in hand -------------------------------------------------------------------------------------

    def _outlook(self) -> StopReason | float | None:
        """Return why to end, or how many seconds to wait; None: until something is queued."""
        if self._halting:
            return StopReason.CLOSED if self._closed else StopReason.STOPPED
        gate = self._agenda.closed()
        due = self._agenda.due()
        if due is None and not (gate and self.options.only):
            return self._nothing_due()
        if gate is not None and gate.seconds is None:
            return self._closed_gate(gate)
        now = self.clock.monotonic()
        rest = 0.0 if gate is None else gate.seconds or 0.0
        held_back = max(self._offline_until, self._away_until) - now
        wait = max(due or self._next_claim_at - now, rest, held_back, 0.0)
        if self.options.watch or now + wait <= self._progress_at + self.options.patience:
            return wait
        if gate is not None:
            return StopReason.RESTING
        return StopReason.UNREACHABLE if self._silence else StopReason.LATER

    def _nothing_due(self) -> StopReason | None:
        if self._agenda.full:
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
