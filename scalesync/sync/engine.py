"""The engine: claims claimed, reads them with several threads, and writes them with one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from scalesync.clock import Clock
from scalesync.db.mirror.documents import TASKS
from scalesync.db.sync import window_ledger, window_splits
from scalesync.errors import (
    DatabaseUnavailableError,
    InconsistentPageError,
    LeaseLostError,
    ScaleException,
    ScalesyncError,
)
from scalesync.lease_owner import owner_is_dead
from scalesync.models.api import Page
from scalesync.models.sync import Run, Window, WindowState
from scalesync.sync.events import ObjectsMissing, OthersReading, RowsExpected, SyncWatcher, WindowInconsistent
from scalesync.sync.parser_client import ParserProcess
from scalesync.sync.reader_pool import (
    PREFETCH_PAGES,
    FailedRead,
    InconsistentPage,
    ReaderPool,
    ReadResult,
    relaxed_gc,
)
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import STREAMS
from scalesync.sync.window_progress import AcceptedPage, LookupResult, WindowProgress
from scalesync.sync.window_recovery import WindowRecovery
from scalesync.sync.write_buffer import SyncTotals, WriteBuffer

POLL_SECONDS = 0.25
"""Seconds between two looks for a free window."""


@dataclass
class Engine:
    """Reads the claimed of the open run until none is left, time is up, or it is asked to stop."""

    store: SyncStore
    clock: Clock
    watch: SyncWatcher
    workers: int = 8
    deadline: float | None = None
    """On the monotonic clock: no window is begun or continued after it."""
    totals: SyncTotals = field(default_factory=SyncTotals)
    error: ScalesyncError | None = None
    """Why the process halts, if it does."""
    active: dict[int, WindowProgress] = field(default_factory=dict)
    """The claimed that are read here, by id, until their last page has come."""
    backlog: WriteBuffer = field(init=False)
    failed: WindowRecovery = field(init=False)
    next_claim_at: float = 0.0
    next_beat_at: float = 0.0

    def __post_init__(self) -> None:
        self.backlog = WriteBuffer(self.store, self.watch, self.totals)
        self.failed = WindowRecovery(self.store, self.watch)

    def run(self, run: Run, newest: Page | None = None) -> None:
        """Read every window of `run` that can be had. Afterwards this process holds none.

        `newest` is the first page of all tasks, if the API gave it when the run was planned. Raises the error
        that made it halt; pages received by then are saved. After a DatabaseUnavailableError it has forgotten
        what it had in hand, as by a crash, and can be called again once `ledger.release` succeeds.
        """
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="fetch")
        parser = ParserProcess(TASKS.spec, repeats=not self.store.database.is_sqlite)
        with parser, relaxed_gc(), pool:
            try:
                self._work(run, ReaderPool(self.store.api, lambda: self.stopping, pool, parser, newest))
            except DatabaseUnavailableError:
                self._forget()
                raise
            except BaseException:
                self.clock.stopping.set()
                raise
        self.store.release()
        if self.error is not None:
            raise self.error

    @property
    def stopping(self) -> bool:
        """Whether nothing new should be begun."""
        late = self.deadline is not None and self.clock.monotonic() >= self.deadline
        return late or self.error is not None or self.clock.stopping.is_set()

    def _forget(self) -> None:
        for progress in self.active.values():
            progress.lost = True
        self.active.clear()
        self.backlog.pages.clear()
        self.next_claim_at = 0.0

    def _work(self, run: Run, readers: ReaderPool) -> None:
        idle_since: float | None = None
        while True:
            none_free = self._fill(readers)
            if self.active or self.backlog.pages:
                idle_since = None
                self._process_arrivals(readers)
                self._save_some(readers)
                continue
            if self.stopping or not self._windows_open(run):
                return
            now = self.clock.monotonic()
            idle_since = idle_since if idle_since is not None else now
            if now - idle_since > self._patience():
                return
            if none_free:
                self.watch(OthersReading())
            self.clock.sleep(POLL_SECONDS)

    def _patience(self) -> float:
        """Return how many seconds to wait for others: a lease, once we have done a part ourselves."""
        return self.store.lease if self.totals.written else self.store.lease / 6

    def _windows_open(self, run: Run) -> bool:
        with self.store.database.read() as conn:
            return window_ledger.count(conn, run.id, WindowState.OPEN) > 0

    def _fill(self, readers: ReaderPool) -> bool:
        """Give every idle worker a window unless writing falls behind; return whether it found none free."""
        idle = self.workers - len(self.active)
        behind = len(self.backlog.pages) >= PREFETCH_PAGES * self.workers
        if idle <= 0 or behind or self.stopping or self.clock.monotonic() < self.next_claim_at:
            return False
        claimed = self.store.claim_several(idle)
        if not claimed and (left_behind := self._claim_from_the_dead()):
            claimed = [left_behind]
        elif len(claimed) < idle:
            self.next_claim_at = self.clock.monotonic() + POLL_SECONDS
        for window in claimed:
            progress = self.active[window.id] = WindowProgress(STREAMS[window.stream], window)
            self.store.resume(progress)
            readers.begin(progress)
        return not claimed

    def _claim_from_the_dead(self) -> Window | None:
        with self.store.database.read() as conn:
            dead = [owner for owner in window_ledger.owners(conn) if owner_is_dead(owner)]
        if not dead:
            return None
        with self.store.database.write() as conn:
            window_ledger.release(conn, dead)
        return self.store.claim()

    def _process_arrivals(self, readers: ReaderPool) -> None:
        """See to what has come; with nothing to write, wait for it, a little at the most."""
        for progress, came in readers.results(0.0 if self.backlog.pages else POLL_SECONDS):
            if not progress.lost:
                self._handle(progress, came, readers)
            if progress.lost:
                self.active.pop(progress.window.id, None)
        self._heartbeat()

    def _heartbeat(self) -> None:
        """Extend the leases now and then, also between pages that are slow to write."""
        if self.clock.monotonic() >= self.next_beat_at:
            self.next_beat_at = self.clock.monotonic() + self.store.lease / 3
            self.store.extend()

    def _handle(self, progress: WindowProgress, came: ReadResult, readers: ReaderPool) -> None:
        try:
            match came:
                case AcceptedPage():
                    self._accept(came, readers)
                case LookupResult():
                    self._save_lookups(progress, came, readers)
                case _:
                    self._save_all(readers)
                    self._handle_failure(progress, came)
        except LeaseLostError:
            progress.lost = True

    def _handle_failure(
        self, progress: WindowProgress, came: InconsistentPage | FailedRead | Exception
    ) -> None:
        """Have a window read again, give it up, or halt. The rows of a contradictory page are kept."""
        self.active.pop(progress.window.id, None)
        self.next_claim_at = 0.0
        match came:
            case _ if progress.lost:
                return
            case InconsistentPage(fetched, error):
                self.totals.add(progress.stream.name, self.store.save_rows(progress, fetched))
                self.failed.retry_inconsistent(progress, error)
            case InconsistentPageError():
                self.failed.retry_inconsistent(progress, came)
            case FailedRead(error):
                if not self.clock.stopping.is_set():
                    self.failed.retry_failed_read(progress, error)
            case ScaleException():
                if not self.stopping:
                    self.error = came
            case _:
                raise came

    def _accept(self, page: AcceptedPage, readers: ReaderPool) -> None:
        """Have a page saved, and read on, so that reading waits for writing only where that falls behind."""
        progress, window = page.progress, page.window
        first = page.number == 0
        if first and window.parent_id is None and window.api_total is not None:
            self.watch(RowsExpected(progress.stream.name, window.api_total))
        if window.next_token is None:
            self._end(replace(page, state=WindowState.CLOSED), readers)
        elif first and (parts := self._parts(page)):
            self._end(replace(page, state=WindowState.SPLIT, parts=parts), readers)
        elif first:
            self._resume_reading(progress, readers)
            self.backlog.add(replace(page, paused=False))
        else:
            self.backlog.add(page)

    def _parts(self, first: AcceptedPage) -> tuple[Window, ...]:
        """Return the claimed that should read the rest of one after its first page, if any should.

        A window in which objects without a time of creation are known is read as a whole, and so is a part
        that the API counts no lower than what it is a part of.
        """
        progress, window = first.progress, first.window
        parts = progress.parts(first.parsed, self.workers, partial(self._share, progress))
        if not parts:
            return ()
        with self.store.database.read() as conn:
            undated = window_splits.has_undated(conn, progress.stream.mapping, window.project)
            whole = window_splits.total_of(conn, window.parent_id) if window.parent_id is not None else None
        smaller = whole is None or window.api_total is None or window.api_total < whole
        return parts if smaller and not undated else ()

    def _resume_reading(self, progress: WindowProgress, readers: ReaderPool) -> None:
        if self.stopping:
            self.active.pop(progress.window.id, None)
        else:
            readers.begin(progress)

    def _share(self, progress: WindowProgress) -> float:
        """Return the rows that each worker has to read at present; 0 where nothing waits to be claimed.

        Then a worker, here or elsewhere, may run idle.
        """
        run_id = progress.window.run_id
        with self.store.database.read() as conn:
            if window_ledger.unclaimed(conn, run_id) == 0:
                return 0.0
            streams = window_ledger.progress(conn, run_id)
        unread = sum(total - done for name, done, total in streams if name == progress.stream.name)
        return unread / self.workers

    def _end(self, last: AcceptedPage, readers: ReaderPool) -> None:
        """End or divide the window, or first look up what is here, in what was read, and was on no page."""
        progress = last.progress
        if progress.proves_absence:
            read = progress.read_part if last.parts else last.window
            progress.unconfirmed = self.store.unconfirmed(progress, read or last.window)
        if progress.unconfirmed:
            progress.last = last
            self._look_up(progress, readers)
        else:
            self._finish(last)

    def _finish(self, last: AcceptedPage) -> None:
        """Have the window end as its last page says; it fails if something that came is not in the mirror."""
        self.active.pop(last.window.id)
        last.progress.last = None
        shortfall = last.progress.shortfall
        if shortfall is not None:
            self.watch(WindowInconsistent(last.progress.stream.name, shortfall, given_up=True))
            last = last if last.parts else replace(last, state=WindowState.FAILED)
        self.backlog.add(last)

    def _look_up(self, progress: WindowProgress, readers: ReaderPool) -> None:
        if self.stopping:
            self.active.pop(progress.window.id)
        else:
            readers.look_up(progress)

    def _save_lookups(self, progress: WindowProgress, looked_up: LookupResult, readers: ReaderPool) -> None:
        written = self.store.save_lookups(progress, looked_up)
        self.totals.add(progress.stream.name, written)
        self.totals.missed += len(looked_up.gone)
        if looked_up.gone:
            self.watch(ObjectsMissing(progress.stream.name, looked_up.gone))
        progress.left_out += looked_up.failed
        if progress.unconfirmed:
            self._look_up(progress, readers)
        elif progress.last is not None:
            self._finish(progress.last)

    def _save_all(self, readers: ReaderPool) -> None:
        while self.backlog.pages:
            self._save_some(readers)

    def _save_some(self, readers: ReaderPool) -> None:
        """Write some of what has come, and have readers go on that were so far ahead that they rest."""
        for page in self.backlog.save_some():
            if page.parts:
                self.next_claim_at = 0.0
            if page.progress.lost:
                self.active.pop(page.window.id, None)
            elif page.paused and page.state is WindowState.OPEN:
                self._resume_reading(page.progress, readers)
        self._heartbeat()
