"""The threads that read: each goes on in its window, a little ahead of what is written."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import PageError, ScaleException, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.models.api import Page
from scalesync.sync.parser_client import MANY, Typist
from scalesync.sync.streams import PAGE, answers_elsewhere, is_everything
from scalesync.sync.window_progress import Fetched, Lookups, Reading, Taken, look_up, typed

AHEAD = 2
"""Pages of a window that may wait to be written, so that memory stays flat however slow the disk is."""


ATTEMPTS_LATER = 3
"""How often a page is asked for in a window that failed before: others need not wait for it again."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A page that contradicts what came before, and why."""

    fetched: Fetched
    error: PageError


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A page that the API refuses or fails to give, while it answers other requests."""

    error: ScaleException


Arrival = Taken | Contradiction | Unanswered | Lookups | Exception
"""What became of a request."""


@dataclass
class Readers:
    """Reads windows in the threads of a pool. Whatever comes is handed over to one other thread."""

    api: ScaleApi
    halting: Callable[[], bool]
    """Whether nothing new should be begun; asked from any thread."""
    pool: ThreadPoolExecutor
    typist: Typist
    newest: Page | None = None
    """The first page of all tasks, if the API gave it already: it is not asked for again."""
    arrived: SimpleQueue[tuple[Reading, Arrival]] = field(default_factory=SimpleQueue)

    def begin(self, reading: Reading) -> None:
        """Have the window read from its token on, until a page is `resting` or something else comes.

        The first page of a window is, for it is then that the window is divided or not; so is whatever comes
        while as many pages as may wait do.
        """
        self.pool.submit(self._read, reading)

    def look_up(self, reading: Reading) -> None:
        """Have the next of the window's doubtful keys looked up."""
        self.pool.submit(self._look_up, reading, reading.next_doubtful())

    def arrivals(self, patience: float) -> list[tuple[Reading, Arrival]]:
        """Return what has come, in order; where that is nothing, wait so many seconds for it at most."""
        came = []
        try:
            came.append(self.arrived.get(timeout=patience) if patience else self.arrived.get_nowait())
            while True:
                came.append(self.arrived.get_nowait())
        except Empty:
            return came

    def _read(self, reading: Reading) -> None:
        going_on = True
        while going_on:
            came = self._next(reading)
            if isinstance(came, Taken):
                going_on = self._may_go_on(came)
                came = replace(came, resting=not going_on)
            else:
                going_on = False
            self.arrived.put((reading, came))

    def _next(self, reading: Reading) -> Arrival:
        try:
            fetched = typed(reading.stream, self._page(reading), self.typist)
        except (ScaleInvalidRequest, ScaleResourceNotFound) as error:
            return Unanswered(error)
        except ScaleException as error:
            return Unanswered(error) if answers_elsewhere(self.api, reading.stream.name, error) else error
        except Exception as error:  # noqa: BLE001 - the other thread raises it, or knows what to do
            return error
        try:
            taken = reading.take(fetched)
        except PageError as error:
            return Contradiction(fetched, error)
        if (
            reading.stream.kind is TASKS
            and (taken.window.api_total or 0) - taken.window.rows_received >= MANY
        ):
            self.typist.start()
        return taken

    def _page(self, reading: Reading) -> Page:
        if self.newest is None or not is_everything(reading.window):
            api = self.api.with_attempts(ATTEMPTS_LATER) if reading.window.failures else self.api
            return reading.stream.page(api, reading.window, PAGE)
        page, self.newest = self.newest, None
        return page

    def _may_go_on(self, page: Taken) -> bool:
        reading = page.reading
        waiting = reading.taken - reading.pages
        more = page.window.next_token is not None
        return more and page.number > 0 and waiting < AHEAD and not (reading.lost or self.halting())

    def _look_up(self, reading: Reading, keys: list[str]) -> None:
        try:
            self.arrived.put((reading, look_up(self.api, reading.stream, keys)))
        except Exception as error:  # noqa: BLE001 - as above
            self.arrived.put((reading, error))
