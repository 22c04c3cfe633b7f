"""Claims windows of the open run, reads them with several threads and writes their pages with one.

Open it for what happens to a window from claim to close: dividing, look-ups, failures, leases. Every
database write is made by the thread that calls `Engine.run`; reader threads only hand over results.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from scalesync.clock import Clock
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import (
    DatabaseUnavailableError,
    InconsistentPageError,
    LeaseLostError,
    ScaleException,
    ScalesyncError,
)
from scalesync.models.api import Page
from scalesync.models.sync import Run, Window, WindowState
from scalesync.sync.events import ObjectsMissing, OthersReading, RowsExpected, SyncWatcher, WindowInconsistent
from scalesync.sync.free_windows import POLL_SECONDS, FreeWindows
from scalesync.sync.parser_client import MIN_ROWS_FOR_PROCESS, ParserProcess
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

QUIET_SECONDS = 0.5
"""Seconds of waiting for others before people are informed of it."""


@dataclass
class Engine:
    """Reader of a run's windows, until none is left, time is up or a stop is asked for."""

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
    """Windows that this process reads, by id, until their last page has arrived."""
    write_buffer: WriteBuffer = field(init=False)
    recovery: WindowRecovery = field(init=False)
    readers: ReaderPool = field(init=False)
    supply: FreeWindows = field(init=False)
    next_heartbeat_at: float = 0.0

    def __post_init__(self) -> None:
        self.write_buffer = WriteBuffer(self.store, self.clock, self.watch, self.totals)
        self.recovery = WindowRecovery(self.store, self.watch)
        self.supply = FreeWindows(self.store, self.clock)

    def run(self, run: Run, newest: Page | None = None) -> None:
        """Read every window of `run` that can be claimed, and release all claims.

        `newest` is the first page of all tasks, if the API gave it when the run was planned. Raises the error
        that made it halt; pages received by then are saved. A DatabaseUnavailableError leaves it without any
        state of the run, as after a crash: call it again once `SyncStore.release` succeeds.
        """
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="fetch")
        parser = ParserProcess(TASKS.spec, repeats=not self.store.database.is_sqlite)
        with parser, relaxed_gc(), pool:
            self.readers = ReaderPool(
                self.store.api, lambda: self.stopping, self.supply, pool, parser, newest
            )
            try:
                # A run taken up again has parts, none of which alone would be worth the process.
                if self.store.unread(run.id, TASKS) >= MIN_ROWS_FOR_PROCESS:
                    parser.start()
                self._read_windows(run)
            except DatabaseUnavailableError:
                self._forget()
                raise
            except BaseException:
                # Readers must end before the pool is joined.
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
        # Readers may be in the middle of a request: what they still deliver is dropped, for it is marked
        # lost.
        for progress in self.active.values():
            progress.lost = True
        self.active.clear()
        self.write_buffer.pages.clear()
        self.supply.look_soon()

    def _read_windows(self, run: Run) -> None:
        idle_since: float | None = None
        said = False
        self.supply.look_soon()
        self.supply.resting = None
        while True:
            # 1. Claim windows for idle workers, handle what the readers delivered, write some of it.
            self.supply.look(run.id, self.workers - len(self.active))
            self._claim_windows()
            if self.active or self.write_buffer.pages:
                idle_since, said = None, False
                if self._handle_results():
                    self._write_some()
                continue
            # 2. Nothing to do here: end, unless others hold windows that may be divided or become free.
            if self.stopping or not self.supply.open:
                return
            now = self.clock.monotonic()
            idle_since = idle_since if idle_since is not None else now
            # A lease long, so that no window of a dead process is left; less if nothing was written here.
            if now - idle_since > (self.store.lease if self.totals.written else self.store.lease / 6):
                return
            if not said and now - idle_since >= QUIET_SECONDS:
                self.watch(OthersReading())
                said = True
            self.clock.sleep(POLL_SECONDS)

    def _claim_windows(self) -> None:
        """Claim a window for each idle worker; none while writing falls behind, so that memory stays flat."""
        idle = self.workers - len(self.active)
        behind = len(self.write_buffer.pages) >= PREFETCH_PAGES * self.workers
        if idle <= 0 or behind or self.stopping:
            return
        for window in self.supply.claim(idle):
            progress = self.active[window.id] = WindowProgress(STREAMS[window.stream], window)
            self.store.prepare(progress)
            self.readers.read(progress)

    def _handle_results(self) -> bool:
        """Handle what the readers delivered; return whether to write now, or to wait for more pages."""
        results = self.readers.results(self.write_buffer.waiting_time(len(self.active), POLL_SECONDS))
        for progress, result in results:
            self.supply.handled(progress)
            if not progress.lost:
                self._handle(progress, result)
            if progress.lost:
                self.active.pop(progress.window.id, None)
        self._heartbeat()
        more = results and not self.stopping
        return not (more and self.write_buffer.waiting_time(len(self.active), POLL_SECONDS))

    def _heartbeat(self) -> None:
        """Extend the leases if a third of one has passed; called between slow writes too."""
        if self.clock.monotonic() >= self.next_heartbeat_at:
            self.next_heartbeat_at = self.clock.monotonic() + self.store.lease / 3
            self.store.extend()

    def _handle(self, progress: WindowProgress, result: ReadResult) -> None:
        try:
            match result:
                case AcceptedPage():
                    self._accept(result)
                case LookupResult():
                    self._save_lookups(progress, result)
                case _:
                    # What to do depends on the pages before the failed one: they must be in the database.
                    while self.write_buffer.pages:
                        self._write_some()
                    self._handle_failure(progress, result)
        except LeaseLostError:
            progress.lost = True

    def _handle_failure(
        self, progress: WindowProgress, result: InconsistentPage | FailedRead | Exception
    ) -> None:
        """Retry the window, give it up, or halt. The rows of a contradictory page are kept."""
        self.active.pop(progress.window.id, None)
        self.supply.look_soon()
        match result:
            case _ if progress.lost:
                return
            case InconsistentPage(parsed, error):
                self.totals.add(progress.stream.name, self.store.save_rows(progress, parsed))
                self.recovery.retry_inconsistent(progress, error)
            case InconsistentPageError():
                self.recovery.retry_inconsistent(progress, result)
            case FailedRead(error):
                if not self.clock.stopping.is_set():
                    self.recovery.retry_failed_read(progress, error)
            case ScaleException():
                # A request cut off by a stop fails too: that is no error.
                if not self.stopping:
                    self.error = result
            case _:
                raise result

    def _accept(self, page: AcceptedPage) -> None:
        """Queue the page for writing; divide its window if others may wait for work and enough is left."""
        progress, window = page.progress, page.window
        first = page.number == 0
        if first and window.parent_id is None and window.api_total is not None:
            self.watch(RowsExpected(progress.stream.name, window.api_total))
        if window.next_token is None:
            self._end(replace(page, state=WindowState.CLOSED))
        elif page.paused and (parts := self._parts(progress)):
            self._end(replace(page, state=WindowState.SPLIT, parts=parts))
        else:
            self.write_buffer.add(page)
            progress.paused = page.paused
            self._read_on(progress)

    def _parts(self, progress: WindowProgress) -> tuple[Window, ...]:
        """Return the windows that should read the rest of a paused window; empty: read on undivided."""
        if not progress.is_divisible:
            return ()
        if self.supply.few and not progress.is_large:
            # Another process may have divided one meanwhile.
            self.supply.look(progress.window.run_id, idle=0, again=True)
        if not (self.supply.few or progress.is_large):
            return ()
        parts = progress.parts()
        if not (parts and self.store.is_dividable(progress)):
            progress.whole = True
            return ()
        self.supply.divided(len(parts))
        return parts

    def _read_on(self, progress: WindowProgress) -> None:
        """Let a paused reader go on, unless too many pages of its window wait to be written."""
        if progress.paused and progress.waiting < PREFETCH_PAGES:
            progress.paused = False
            self._continue(progress, self.readers.read)

    def _continue(self, progress: WindowProgress, start: Callable[[WindowProgress], None]) -> None:
        """Submit further work on a window; on a stop let go of it, to be resumed by a later claim."""
        if self.stopping:
            self.active.pop(progress.window.id, None)
        else:
            start(progress)

    def _end(self, last: AcceptedPage) -> None:
        """End or divide the window; first look up what the mirror has in its range and no page showed."""
        progress = last.progress
        if progress.proves_absence and not progress.began_empty:
            # After a division only the part already read can prove absence; the rest is for the new parts.
            read = progress.read_part if last.parts else last.window
            progress.unconfirmed = self.store.unconfirmed(progress, read or last.window)
        if progress.unconfirmed:
            progress.last = last
            self._continue(progress, self.readers.look_up)
        else:
            self._finish(last)

    def _finish(self, last: AcceptedPage) -> None:
        """Queue a window's last page; the window fails if an object cannot be stored."""
        self.active.pop(last.window.id)
        last.progress.last = None
        shortfall = last.progress.shortfall
        if shortfall is not None:
            self.watch(WindowInconsistent(last.progress.stream.name, shortfall, given_up=True))
            last = last if last.parts else replace(last, state=WindowState.FAILED)
        self.write_buffer.add(last)

    def _save_lookups(self, progress: WindowProgress, looked_up: LookupResult) -> None:
        written = self.store.save_lookups(progress, looked_up)
        self.totals.add(progress.stream.name, written)
        self.totals.missed += len(looked_up.gone)
        if looked_up.gone:
            self.watch(ObjectsMissing(progress.stream.name, looked_up.gone))
        progress.left_out += looked_up.failed
        if progress.unconfirmed:
            self._continue(progress, self.readers.look_up)
        elif progress.last is not None:
            self._finish(progress.last)

    def _write_some(self) -> None:
        """Write the next buffered pages in one transaction, and let readers go on that paused for them."""
        for page in self.write_buffer.save_some():
            if page.state is not WindowState.OPEN:
                self.supply.look_soon()
            if page.progress.lost:
                self.active.pop(page.window.id, None)
            else:
                self._read_on(page.progress)
        self._heartbeat()
