"""The engine: claims windows, reads them with several threads, and writes them with one."""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from scalesync.clock import Clock
from scalesync.db import windows as ledger
from scalesync.db.runs import Run
from scalesync.errors import (
    ClaimLostError,
    DatabaseAwayError,
    PageError,
    ScaleException,
    ScaleInvalidRequest,
    ScaleResourceNotFound,
    ScalesyncError,
)
from scalesync.model import Window, WindowState, Written
from scalesync.owner import is_dead
from scalesync.sync.commits import Ledger
from scalesync.sync.events import Contradicted, Expected, Missed, Received, Waiting, Watcher
from scalesync.sync.reading import Fetched, Lookups, Reading, fetch, look_up
from scalesync.sync.split import halve
from scalesync.sync.streams import PAGE, STREAMS

MAX_FAILURES = 5
"""How often a window that cannot be divided is begun again before it is given up."""

MAX_FAILED_WINDOWS = 3
"""Given-up windows of a run after which none is read again: the API is at odds with itself."""

POLL = 0.25
"""Seconds between two looks for a free window."""


@dataclass
class Totals:
    """What this process did, by stream."""

    written: dict[str, Written] = field(default_factory=dict)
    replaced: int = 0
    missed: int = 0

    def add(self, stream: str, written: Written) -> None:
        """Add one page's rows."""
        self.written[stream] = self.written.get(stream, Written()) + written


@dataclass
class Engine:
    """Reads the windows of the open run until none is left, time is up, or it is asked to stop."""

    ledger: Ledger
    clock: Clock
    watch: Watcher
    workers: int = 8
    deadline: float | None = None
    """On the monotonic clock: no window is begun or continued after it."""
    totals: Totals = field(default_factory=Totals)
    error: ScalesyncError | None = None
    """Why the process halts, if it does."""
    active: dict[Future[Fetched | Lookups], Reading] = field(default_factory=dict)
    next_claim_at: float = 0.0
    next_beat_at: float = 0.0

    def drain(self, run: Run) -> None:
        """Read every window of `run` that can be had. Afterwards this process holds none.

        Raises the error that made it halt; pages received by then are saved. After a DatabaseAwayError it has
        forgotten what it had in hand, as by a crash, and can be called again once `ledger.release` succeeds.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="fetch") as pool:
            try:
                self._work(run, pool)
            except DatabaseAwayError:
                self.active.clear()
                self.next_claim_at = 0.0
                raise
            except BaseException:
                self.clock.stopping.set()
                raise
        self.ledger.release()
        if self.error is not None:
            raise self.error

    @property
    def halting(self) -> bool:
        """Whether nothing new should be begun."""
        late = self.deadline is not None and self.clock.monotonic() >= self.deadline
        return late or self.error is not None or self.clock.stopping.is_set()

    def _work(self, run: Run, pool: ThreadPoolExecutor) -> None:
        idle_since: float | None = None
        while True:
            self._fill(pool)
            if self.active:
                idle_since = None
                self._settle_next(pool)
                continue
            if self.halting or not self._windows_open(run):
                return
            now = self.clock.monotonic()
            idle_since = idle_since if idle_since is not None else now
            if now - idle_since > self._patience():
                return
            self.watch(Waiting())
            self.clock.sleep(POLL)

    def _patience(self) -> float:
        """Return how many seconds to wait for others: a lease, once we have done a part ourselves."""
        return self.ledger.lease if self.totals.written else self.ledger.lease / 6

    def _windows_open(self, run: Run) -> bool:
        with self.ledger.database.read() as conn:
            return ledger.count(conn, run.id, WindowState.OPEN) > 0

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Give every idle worker a window, as long as there are any."""
        while len(self.active) < self.workers and not self.halting:
            if self.clock.monotonic() < self.next_claim_at:
                return
            window = self.ledger.claim() or self._claim_from_the_dead()
            if window is None:
                self.next_claim_at = self.clock.monotonic() + POLL
                return
            reading = Reading(STREAMS[window.stream], window)
            self.ledger.resume(reading)
            self._fetch(reading, pool)

    def _claim_from_the_dead(self) -> Window | None:
        with self.ledger.database.read() as conn:
            dead = [owner for owner in ledger.owners(conn) if is_dead(owner)]
        if not dead:
            return None
        with self.ledger.database.write() as conn:
            ledger.release(conn, dead)
        return self.ledger.claim()

    def _fetch(self, reading: Reading, pool: ThreadPoolExecutor) -> None:
        future: Future[Fetched | Lookups] = pool.submit(
            fetch, self.ledger.api, reading.stream, reading.window
        )
        self.active[future] = reading

    def _settle_next(self, pool: ThreadPoolExecutor) -> None:
        """Wait for pages, a little at the most, and settle those that came."""
        done, _ = wait(self.active, timeout=POLL, return_when=FIRST_COMPLETED)
        self._show_life()
        for future in done:
            reading = self.active.pop(future)
            if not reading.lost:
                self._settle(reading, future, pool)
                self._show_life()

    def _show_life(self) -> None:
        """Extend the leases now and then, also between pages that are slow to write."""
        if self.clock.monotonic() >= self.next_beat_at:
            self.next_beat_at = self.clock.monotonic() + self.ledger.lease / 3
            self.ledger.extend()

    def _settle(self, reading: Reading, future: Future[Fetched | Lookups], pool: ThreadPoolExecutor) -> None:
        try:
            self._take(reading, future, pool)
        except ClaimLostError:
            reading.lost = True

    def _take(self, reading: Reading, future: Future[Fetched | Lookups], pool: ThreadPoolExecutor) -> None:
        try:
            result = future.result()
            if isinstance(result, Lookups):
                self._learn(reading, result, pool)
            else:
                self._take_page(reading, result, pool)
        except PageError as error:
            self._again(reading, error.message)
        except (ScaleInvalidRequest, ScaleResourceNotFound) as error:
            refused = f"the API refused a page: {error.message}"
            self._again(reading, refused) if reading.window.next_token else self._give_up(reading, refused)
        except ScaleException as error:
            if not self.clock.stopping.is_set():
                self.error = self.error or error

    def _take_page(self, reading: Reading, fetched: Fetched, pool: ThreadPoolExecutor) -> None:
        """Go on with a page. Where it contradicts what came before, its rows are kept all the same."""
        try:
            reading.take(fetched)
        except PageError:
            self.totals.add(reading.stream.name, self.ledger.save_rows(reading, fetched))
            raise
        self._advance(reading, fetched, pool)

    def _advance(self, reading: Reading, fetched: Fetched, pool: ThreadPoolExecutor) -> None:
        """Save a page; before that, ask for the next one, so that reading never waits for writing."""
        first = reading.pages == 0
        if reading.window.next_token is None:
            self._end(reading, fetched, pool)
        elif parts := reading.parts(fetched, self.workers, partial(self._somebody_idle, reading.window)):
            self._save(reading, fetched, WindowState.SPLIT, parts)
            self.next_claim_at = 0.0
        else:
            if not self.halting:
                self._fetch(reading, pool)
            self._save(reading, fetched, WindowState.OPEN)
        if first and reading.window.parent_id is None and reading.window.api_total is not None:
            self.watch(Expected(reading.stream.name, reading.window.api_total))

    def _somebody_idle(self, window: Window) -> bool:
        """Return whether nothing waits to be claimed, so that a worker, here or elsewhere, may run idle."""
        with self.ledger.database.read() as conn:
            return ledger.unclaimed(conn, window.run_id) == 0

    def _end(self, reading: Reading, fetched: Fetched, pool: ThreadPoolExecutor) -> None:
        """Close the window, or first look up what is here and was on none of its pages."""
        if reading.proves_absence:
            reading.doubtful = self.ledger.doubtful(reading)
        if reading.doubtful:
            reading.last = fetched
            self._look_up(reading, pool)
        else:
            self._save(reading, fetched, WindowState.CLOSED)

    def _look_up(self, reading: Reading, pool: ThreadPoolExecutor) -> None:
        if not self.halting:
            task = partial(look_up, self.ledger.api, reading.stream, reading.next_doubtful())
            self.active[pool.submit(task)] = reading

    def _learn(self, reading: Reading, looked_up: Lookups, pool: ThreadPoolExecutor) -> None:
        written = self.ledger.save_lookups(reading, looked_up)
        self.totals.add(reading.stream.name, written)
        self.totals.missed += len(looked_up.gone)
        if looked_up.gone:
            self.watch(Missed(reading.stream.name, looked_up.gone))
        if reading.doubtful:
            self._look_up(reading, pool)
        elif reading.last is not None:
            self._save(reading, reading.last, WindowState.CLOSED)

    def _save(
        self, reading: Reading, fetched: Fetched, state: WindowState, parts: tuple[Window, ...] = ()
    ) -> None:
        written = self.ledger.save(reading, fetched, state, parts)
        self.totals.add(reading.stream.name, written)
        self.totals.replaced += fetched.page.replaced
        self.watch(Received(reading.stream.name, len(fetched.rows), written))

    def _again(self, reading: Reading, reason: str) -> None:
        """Have a contradictory window read again, in halves where it has any, or give it up."""
        window = reading.window
        with self.ledger.database.read() as conn:
            failed = ledger.count(conn, window.run_id, WindowState.FAILED)
            created = reading.stream.kind.table.c.created_at
            several_pages = reading.pages > 0 or (window.api_total or 0) > PAGE
            at = ledger.dividing_instant(conn, created, window) if several_pages else None
        if failed >= MAX_FAILED_WINDOWS or (at is None and window.failures + 1 >= MAX_FAILURES):
            self._give_up(reading, reason)
            return
        self.ledger.read_again(window, halve(window, at) if at else (), reason)
        self.next_claim_at = 0.0
        self.watch(Contradicted(reading.stream.name, reason, given_up=False))

    def _give_up(self, reading: Reading, reason: str) -> None:
        self.ledger.give_up(reading.window, f"{reading.stream.name}: {reason}")
        self.watch(Contradicted(reading.stream.name, reason, given_up=True))
