"""The threads that read: each goes on in its window, a little ahead of what is written."""

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
from scalesync.sync.parser_client import MIN_ROWS_FOR_PROCESS, ParserProcess
from scalesync.sync.streams import PAGE_SIZE, api_works_otherwise, is_everything
from scalesync.sync.window_progress import (
    AcceptedPage,
    LookupResult,
    ParsedPage,
    WindowProgress,
    look_up,
    parse_page,
)

PREFETCH_PAGES = 2
"""Pages of a window that may wait to be written, so that memory stays flat however slow the disk is."""


ATTEMPTS_LATER = 3
"""How often a page is asked for in a window that failed before: others need not wait for it again."""


@dataclass(frozen=True, slots=True)
class InconsistentPage:
    """A page that contradicts what came before, and why."""

    parsed: ParsedPage
    error: InconsistentPageError


@dataclass(frozen=True, slots=True)
class FailedRead:
    """A page that the API refuses or fails to give, while it answers other requests."""

    error: ScaleException


ReadResult = AcceptedPage | InconsistentPage | FailedRead | LookupResult | Exception
"""What became of a request."""


@dataclass
class ReaderPool:
    """Reads windows in the threads of a pool. Whatever comes is handed over to one other thread."""

    api: ScaleApi
    halting: Callable[[], bool]
    """Whether nothing new should be begun; asked from any thread."""
    pool: ThreadPoolExecutor
    parser: ParserProcess
    first_page: Page | None = None
    """The first page of all tasks, if the API gave it already: it is not asked for again."""
    arrived: SimpleQueue[tuple[WindowProgress, ReadResult]] = field(default_factory=SimpleQueue)

    def begin(self, progress: WindowProgress) -> None:
        """Have the window read from its token on, until a page is `paused` or something else comes.

        The first page of a window is, for it is then that the window is divided or not; so is whatever comes
        while as many pages as may wait do.
        """
        self.pool.submit(self._read, progress)

    def look_up(self, progress: WindowProgress) -> None:
        """Have the next of the window's doubtful keys looked up."""
        self.pool.submit(self._look_up, progress, progress.next_unconfirmed())

    def results(self, patience: float) -> list[tuple[WindowProgress, ReadResult]]:
        """Return what has come, in order; where that is nothing, wait so many seconds for it at most."""
        came = []
        try:
            came.append(self.arrived.get(timeout=patience) if patience else self.arrived.get_nowait())
            while True:
                came.append(self.arrived.get_nowait())
        except Empty:
            return came

    def _read(self, progress: WindowProgress) -> None:
        going_on = True
        while going_on:
            came = self._next(progress)
            if isinstance(came, AcceptedPage):
                going_on = self._may_go_on(came)
                came = replace(came, paused=not going_on)
            else:
                going_on = False
            self.arrived.put((progress, came))

    def _next(self, progress: WindowProgress) -> ReadResult:
        try:
            fetched = parse_page(progress.stream, self._page(progress), self.parser)
        except (ScaleInvalidRequest, ScaleResourceNotFound) as error:
            return FailedRead(error)
        except ScaleException as error:
            return FailedRead(error) if api_works_otherwise(self.api, progress.stream.name, error) else error
        except Exception as error:  # noqa: BLE001 - the other thread raises it, or knows what to do
            return error
        try:
            taken = progress.accept(fetched)
        except InconsistentPageError as error:
            return InconsistentPage(fetched, error)
        if (
            progress.stream.mapping is TASKS
            and (taken.window.api_total or 0) - taken.window.rows_received >= MIN_ROWS_FOR_PROCESS
        ):
            self.parser.start()
        return taken

    def _page(self, progress: WindowProgress) -> Page:
        if self.first_page is None or not is_everything(progress.window):
            api = self.api.with_attempts(ATTEMPTS_LATER) if progress.window.failures else self.api
            return progress.stream.page(api, progress.window, PAGE_SIZE)
        page, self.first_page = self.first_page, None
        return page

    def _may_go_on(self, page: AcceptedPage) -> bool:
        progress = page.progress
        waiting = progress.accepted - progress.pages
        more = page.window.next_token is not None
        return more and page.number > 0 and waiting < PREFETCH_PAGES and not (progress.lost or self.halting())

    def _look_up(self, progress: WindowProgress, keys: list[str]) -> None:
        try:
            self.arrived.put((progress, look_up(self.api, progress.stream, keys)))
        except Exception as error:  # noqa: BLE001 - as above
            self.arrived.put((progress, error))


_SELDOM = 50_000
"""New objects after which Python looks for cycles, instead of some hundreds."""


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Have Python look for cycles less often while the block lasts; otherwise it takes a tenth of a sync."""
    before = gc.get_threshold()
    gc.set_threshold(max(_SELDOM, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
