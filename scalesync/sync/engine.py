"""The engine: claims windows, reads them with several threads, and writes them with one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from scalesync.clock import Clock
from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import window_splits
from scalesync.db.sync import windows as ledger
from scalesync.errors import (
    ClaimLostError,
    DatabaseAwayError,
    PageError,
    ScaleException,
    ScalesyncError,
)
from scalesync.lease_owner import is_dead
from scalesync.models.api import Page
from scalesync.models.sync import Run, Window, WindowState
from scalesync.sync.collecting import seldom_collected
from scalesync.sync.events import Contradicted, Expected, Missed, Waiting, Watcher
from scalesync.sync.parser_client import Typist
from scalesync.sync.reader_pool import AHEAD, Arrival, Contradiction, Readers, Unanswered
from scalesync.sync.store import Ledger
from scalesync.sync.streams import STREAMS
from scalesync.sync.window_progress import Lookups, Reading, Taken
from scalesync.sync.window_recovery import FailedWindows
from scalesync.sync.write_buffer import Backlog, Totals

POLL = 0.25
"""Seconds between two looks for a free window."""


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
    in_hand: dict[int, Reading] = field(default_factory=dict)
    """The windows that are read here, by id, until their last page has come."""
    backlog: Backlog = field(init=False)
    failed: FailedWindows = field(init=False)
    next_claim_at: float = 0.0
    next_beat_at: float = 0.0

    def __post_init__(self) -> None:
        self.backlog = Backlog(self.ledger, self.watch, self.totals)
        self.failed = FailedWindows(self.ledger, self.watch)

    def drain(self, run: Run, newest: Page | None = None) -> None:
        """Read every window of `run` that can be had. Afterwards this process holds none.

        `newest` is the first page of all tasks, if the API gave it when the run was planned. Raises the error
        that made it halt; pages received by then are saved. After a DatabaseAwayError it has forgotten what
        it had in hand, as by a crash, and can be called again once `ledger.release` succeeds.
        """
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="fetch")
        typist = Typist(TASKS.form, repeats=not self.ledger.database.is_sqlite)
        with typist, seldom_collected(), pool:
            try:
                self._work(run, Readers(self.ledger.api, lambda: self.halting, pool, typist, newest))
            except DatabaseAwayError:
                self._forget()
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

    def _forget(self) -> None:
        for reading in self.in_hand.values():
            reading.lost = True
        self.in_hand.clear()
        self.backlog.pages.clear()
        self.next_claim_at = 0.0

    def _work(self, run: Run, readers: Readers) -> None:
        idle_since: float | None = None
        while True:
            none_free = self._fill(readers)
            if self.in_hand or self.backlog.pages:
                idle_since = None
                self._take_in(readers)
                self._save_some(readers)
                continue
            if self.halting or not self._windows_open(run):
                return
            now = self.clock.monotonic()
            idle_since = idle_since if idle_since is not None else now
            if now - idle_since > self._patience():
                return
            if none_free:
                self.watch(Waiting())
            self.clock.sleep(POLL)

    def _patience(self) -> float:
        """Return how many seconds to wait for others: a lease, once we have done a part ourselves."""
        return self.ledger.lease if self.totals.written else self.ledger.lease / 6

    def _windows_open(self, run: Run) -> bool:
        with self.ledger.database.read() as conn:
            return ledger.count(conn, run.id, WindowState.OPEN) > 0

    def _fill(self, readers: Readers) -> bool:
        """Give every idle worker a window unless writing falls behind; return whether it found none free."""
        idle = self.workers - len(self.in_hand)
        behind = len(self.backlog.pages) >= AHEAD * self.workers
        if idle <= 0 or behind or self.halting or self.clock.monotonic() < self.next_claim_at:
            return False
        windows = self.ledger.claim_several(idle)
        if not windows and (left_behind := self._claim_from_the_dead()):
            windows = [left_behind]
        elif len(windows) < idle:
            self.next_claim_at = self.clock.monotonic() + POLL
        for window in windows:
            reading = self.in_hand[window.id] = Reading(STREAMS[window.stream], window)
            self.ledger.resume(reading)
            readers.begin(reading)
        return not windows

    def _claim_from_the_dead(self) -> Window | None:
        with self.ledger.database.read() as conn:
            dead = [owner for owner in ledger.owners(conn) if is_dead(owner)]
        if not dead:
            return None
        with self.ledger.database.write() as conn:
            ledger.release(conn, dead)
        return self.ledger.claim()

    def _take_in(self, readers: Readers) -> None:
        """See to what has come; with nothing to write, wait for it, a little at the most."""
        for reading, came in readers.arrivals(0.0 if self.backlog.pages else POLL):
            if not reading.lost:
                self._settle(reading, came, readers)
            if reading.lost:
                self.in_hand.pop(reading.window.id, None)
        self._show_life()

    def _show_life(self) -> None:
        """Extend the leases now and then, also between pages that are slow to write."""
        if self.clock.monotonic() >= self.next_beat_at:
            self.next_beat_at = self.clock.monotonic() + self.ledger.lease / 3
            self.ledger.extend()

    def _settle(self, reading: Reading, came: Arrival, readers: Readers) -> None:
        try:
            match came:
                case Taken():
                    self._advance(came, readers)
                case Lookups():
                    self._learn(reading, came, readers)
                case _:
                    self._save_all(readers)
                    self._bear(reading, came)
        except ClaimLostError:
            reading.lost = True

    def _bear(self, reading: Reading, came: Contradiction | Unanswered | Exception) -> None:
        """Have a window read again, give it up, or halt. The rows of a contradictory page are kept."""
        self.in_hand.pop(reading.window.id, None)
        self.next_claim_at = 0.0
        match came:
            case _ if reading.lost:
                return
            case Contradiction(fetched, error):
                self.totals.add(reading.stream.name, self.ledger.save_rows(reading, fetched))
                self.failed.contradicted(reading, error)
            case PageError():
                self.failed.contradicted(reading, came)
            case Unanswered(error):
                if not self.clock.stopping.is_set():
                    self.failed.unanswered(reading, error)
            case ScaleException():
                if not self.halting:
                    self.error = came
            case _:
                raise came

    def _advance(self, page: Taken, readers: Readers) -> None:
        """Have a page saved, and read on, so that reading waits for writing only where that falls behind."""
        reading, window = page.reading, page.window
        first = page.number == 0
        if first and window.parent_id is None and window.api_total is not None:
            self.watch(Expected(reading.stream.name, window.api_total))
        if window.next_token is None:
            self._end(replace(page, state=WindowState.CLOSED), readers)
        elif first and (parts := self._parts(page)):
            self._end(replace(page, state=WindowState.SPLIT, parts=parts), readers)
        elif first:
            self._go_on(reading, readers)
            self.backlog.add(replace(page, resting=False))
        else:
            self.backlog.add(page)

    def _parts(self, first: Taken) -> tuple[Window, ...]:
        """Return the windows that should read the rest of one after its first page, if any should.

        A window in which objects without a time of creation are known is read as a whole, and so is a part
        that the API counts no lower than what it is a part of.
        """
        reading, window = first.reading, first.window
        parts = reading.parts(first.fetched, self.workers, partial(self._share, reading))
        if not parts:
            return ()
        with self.ledger.database.read() as conn:
            undated = window_splits.has_undated(conn, reading.stream.kind, window.project)
            whole = window_splits.total_of(conn, window.parent_id) if window.parent_id is not None else None
        smaller = whole is None or window.api_total is None or window.api_total < whole
        return parts if smaller and not undated else ()

    def _go_on(self, reading: Reading, readers: Readers) -> None:
        if self.halting:
            self.in_hand.pop(reading.window.id, None)
        else:
            readers.begin(reading)

    def _share(self, reading: Reading) -> float:
        """Return the rows that each worker has to read at present; 0 where nothing waits to be claimed.

        Then a worker, here or elsewhere, may run idle.
        """
        run_id = reading.window.run_id
        with self.ledger.database.read() as conn:
            if ledger.unclaimed(conn, run_id) == 0:
                return 0.0
            progress = ledger.progress(conn, run_id)
        unread = sum(total - done for name, done, total in progress if name == reading.stream.name)
        return unread / self.workers

    def _end(self, last: Taken, readers: Readers) -> None:
        """End or divide the window, or first look up what is here, in what was read, and was on no page."""
        reading = last.reading
        if reading.proves_absence:
            read = reading.read_part if last.parts else last.window
            reading.doubtful = self.ledger.doubtful(reading, read or last.window)
        if reading.doubtful:
            reading.last = last
            self._look_up(reading, readers)
        else:
            self._finish(last)

    def _finish(self, last: Taken) -> None:
        """Have the window end as its last page says; it fails if something that came is not in the mirror."""
        self.in_hand.pop(last.window.id)
        last.reading.last = None
        shortfall = last.reading.shortfall
        if shortfall is not None:
            self.watch(Contradicted(last.reading.stream.name, shortfall, given_up=True))
            last = last if last.parts else replace(last, state=WindowState.FAILED)
        self.backlog.add(last)

    def _look_up(self, reading: Reading, readers: Readers) -> None:
        if self.halting:
            self.in_hand.pop(reading.window.id)
        else:
            readers.look_up(reading)

    def _learn(self, reading: Reading, looked_up: Lookups, readers: Readers) -> None:
        written = self.ledger.save_lookups(reading, looked_up)
        self.totals.add(reading.stream.name, written)
        self.totals.missed += len(looked_up.gone)
        if looked_up.gone:
            self.watch(Missed(reading.stream.name, looked_up.gone))
        reading.left_out += looked_up.failed
        if reading.doubtful:
            self._look_up(reading, readers)
        elif reading.last is not None:
            self._finish(reading.last)

    def _save_all(self, readers: Readers) -> None:
        while self.backlog.pages:
            self._save_some(readers)

    def _save_some(self, readers: Readers) -> None:
        """Write some of what has come, and have readers go on that were so far ahead that they rest."""
        for page in self.backlog.save_some():
            if page.parts:
                self.next_claim_at = 0.0
            if page.reading.lost:
                self.in_hand.pop(page.window.id, None)
            elif page.resting and page.state is WindowState.OPEN:
                self._go_on(page.reading, readers)
        self._show_life()
