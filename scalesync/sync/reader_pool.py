"""Threads that fetch the pages of windows, each a little ahead of what is written.

Open it for what a reader does between two pages, and for how its errors are told apart. Readers touch no
database: all they produce goes through one queue to the thread of the engine.
"""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import InconsistentPageError, ScaleException, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.models.api import Page
from scalesync.sync.free_windows import FreeWindows
from scalesync.sync.parsed_page import ParsedPage, parse_page
from scalesync.sync.parser_client import MIN_ROWS_FOR_PROCESS, ParserProcess
from scalesync.sync.streams import PAGE_SIZE, api_works_otherwise, is_everything
from scalesync.sync.window_progress import (
    AcceptedPage,
    LookupResult,
    WindowProgress,
    look_up,
)

PREFETCH_PAGES = 2
"""Pages of a window that may wait to be written, so that memory stays flat even if the disk is slow."""

ATTEMPTS_AFTER_FAILURE = 3
"""Attempts per page in a window that failed before: fewer than usual, because others wait for the worker."""

_GC_THRESHOLD = 50_000
"""New objects after which Python looks for reference cycles, instead of some hundreds."""


@dataclass(frozen=True, slots=True)
class InconsistentPage:
    """A page that contradicts the pages before it, and why."""

    parsed: ParsedPage
    error: InconsistentPageError


@dataclass(frozen=True, slots=True)
class FailedRead:
    """An error for one page, while the API answers other requests."""

    error: ScaleException


ReadResult = AcceptedPage | InconsistentPage | FailedRead | LookupResult | Exception
"""Outcome of a page request or a look-up."""


@dataclass
class ReaderPool:
    """Reader threads and the queue of their results, which one other thread takes."""

    api: ScaleApi
    stopping: Callable[[], bool]
    """Whether nothing new should be begun; called from any thread."""
    supply: FreeWindows
    """If few windows wait to be claimed, those in hand are to be divided."""
    pool: ThreadPoolExecutor
    parser: ParserProcess
    first_page: Page | None = None
    """The first page of all tasks, if the API gave it already: it is not requested again."""
    queue: SimpleQueue[tuple[WindowProgress, ReadResult]] = field(default_factory=SimpleQueue)

    def read(self, progress: WindowProgress) -> None:
        """Start reading the window at its token, until a page is `paused` or something else results.

        Paused are pages after which the window may be divided, and each page that comes while PREFETCH_PAGES
        others wait to be written. Call this again to continue.
        """
        self.pool.submit(self._read, progress)

    def look_up(self, progress: WindowProgress) -> None:
        """Start looking up the next unconfirmed keys of the window."""
        self.pool.submit(self._look_up, progress, progress.next_unconfirmed())

    def results(self, timeout: float) -> list[tuple[WindowProgress, ReadResult]]:
        """Return the results so far, in order; if there are none, wait up to `timeout` seconds for one."""
        results = []
        try:
            results.append(self.queue.get(timeout=timeout) if timeout else self.queue.get_nowait())
            while True:
                results.append(self.queue.get_nowait())
        except Empty:
            return results

    def _read(self, progress: WindowProgress) -> None:
        going_on = True
        while going_on:
            result = self._next(progress)
            going_on = isinstance(result, AcceptedPage) and self._may_go_on(result)
            if isinstance(result, AcceptedPage):
                # Decided before the page is handed over: after that the engine may start the next reader.
                result = replace(result, paused=not going_on)
            self.queue.put((progress, result))

    def _next(self, progress: WindowProgress) -> ReadResult:
        try:
            page = self._page(progress)
            parsed = parse_page(progress.stream, page, self.parser, unseen=progress.expects_new)
        except (ScaleInvalidRequest, ScaleResourceNotFound) as error:
            return FailedRead(error)
        except ScaleException as error:
            # One page that fails costs its window; an API that answers nothing ends the run.
            return FailedRead(error) if api_works_otherwise(self.api, progress.stream.name, error) else error
        except Exception as error:  # noqa: BLE001 - raised or handled by the engine's thread
            return error
        try:
            accepted = progress.accept(parsed)
        except InconsistentPageError as error:
            return InconsistentPage(parsed, error)
        left = (accepted.window.api_total or 0) - accepted.window.rows_received
        if progress.stream.mapping is TASKS and left >= MIN_ROWS_FOR_PROCESS:
            self.parser.start()
        return accepted

    def _page(self, progress: WindowProgress) -> Page:
        if self.first_page is None or not is_everything(progress.window):
            api = self.api.with_attempts(ATTEMPTS_AFTER_FAILURE) if progress.window.failures else self.api
            return progress.stream.page(api, progress.window, PAGE_SIZE)
        page, self.first_page = self.first_page, None
        return page

    def _may_go_on(self, page: AcceptedPage) -> bool:
        progress, more = page.progress, page.window.next_token is not None
        room = progress.waiting < PREFETCH_PAGES
        if not (more and room) or progress.lost or self.stopping():
            return False
        return not self.supply.rests(progress)

    def _look_up(self, progress: WindowProgress, keys: list[str]) -> None:
        try:
            self.queue.put((progress, look_up(self.api, progress.stream, keys)))
        except Exception as error:  # noqa: BLE001 - raised or handled by the engine's thread
            self.queue.put((progress, error))


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collect reference cycles less often inside the block; the usual rate costs a tenth of a sync."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.set_threshold(max(_GC_THRESHOLD, before[0]), *before[1:])
    if not frozen:
        gc.freeze()  # what is imported by now is not looked through each time
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()
