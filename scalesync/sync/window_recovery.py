"""What becomes of a window whose page could not be used: it is read again, in parts, as a whole, or given up.

Each decision is one transaction that holds the window's claim. It raises LeaseLostError where another process
has the window by now.
"""

from dataclasses import dataclass, replace

from scalesync.db.sync import window_ledger, window_splits
from scalesync.errors import (
    InconsistentPageError,
    OutsideWindowError,
    ScaleException,
    ScaleForbidden,
    ScaleInvalidRequest,
    ScaleResourceNotFound,
)
from scalesync.models.sync import Window, WindowState
from scalesync.sync.events import SyncWatcher, WindowInconsistent
from scalesync.sync.splitting import halve, middle, without_failing_page
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import PAGE_SIZE
from scalesync.sync.window_progress import WindowProgress

MAX_FAILURES = 5
"""How often a window that cannot be divided is begun again before it is given up."""

MAX_FAILED_WINDOWS = 3
"""Given-up windows of a run after which no contradictory one is read again."""

MAX_FAILED_PARTS = 40
"""Parts of a stream that may fail while the page that cannot be read is singled out; it takes some 30."""

MAX_FAILED_IN_A_ROW = 6
"""Parts of a stream that may fail while none came: it is not one page that fails then."""

_FINAL = (ScaleInvalidRequest, ScaleForbidden, ScaleResourceNotFound)
"""Refusals that a narrower list would meet as well."""


@dataclass
class WindowRecovery:
    """Reads windows again that could not be used as they were, as long as that may help."""

    store: SyncStore
    watch: SyncWatcher

    def retry_inconsistent(self, progress: WindowProgress, error: InconsistentPageError) -> None:
        """Have a contradictory window read again, in halves where it has any, or give it up.

        Rows outside of a part mean that lists with bounds cannot be relied on: what was divided is then read
        as a whole. A part that the API counts no lower than the whole is not divided either.
        """
        window = progress.window
        with self.store.database.read() as conn:
            failed = window_ledger.count(conn, window.run_id, WindowState.FAILED)
            whole = window_splits.total_of(conn, window.parent_id) if window.parent_id is not None else None
            smaller = whole is None or window.api_total is None or window.api_total < whole
            several_pages = progress.pages > 0 or (window.api_total or 0) > PAGE_SIZE
            divisible = several_pages and smaller and not window.undivided
            created = progress.stream.mapping.table.c.created_at
            at = window_splits.dividing_instant(conn, created, window) if divisible else None
        outside = isinstance(error, OutsideWindowError)
        last_time = window.failures + 1 >= MAX_FAILURES
        if window.parent_id is not None and (not smaller or (outside and last_time)):
            self._read_undivided(progress, error.message)
        elif failed >= MAX_FAILED_WINDOWS or (last_time and (at is None or outside)):
            self.give_up(progress, error.message)
        else:
            self.store.read_again(window, halve(window, at) if at and not outside else (), error.message)
            self.watch(WindowInconsistent(progress.stream.name, error.message, given_up=False))

    def retry_failed_read(self, progress: WindowProgress, error: ScaleException) -> None:
        """Have a window that the API does not answer read in parts, or give it up.

        What was read of it is kept. The rest is divided and halved until only what cannot be read is left.
        """
        window = progress.window
        reason = f"the API does not answer: {error.message}"
        if isinstance(error, _FINAL):
            reason = f"the API refused a page: {error.message}"
            if window.next_token and not isinstance(error, ScaleForbidden):
                self.retry_inconsistent(progress, InconsistentPageError(reason))
            else:
                self.give_up(progress, reason)
            return
        parts = self._parts_of_failed(progress)
        if not parts:
            self.give_up(progress, reason)
            return
        again = tuple(replace(part, failures=1) for part in parts)
        self.store.split_at(progress, again, reason)
        self.watch(WindowInconsistent(progress.stream.name, reason, given_up=False))

    def _parts_of_failed(self, progress: WindowProgress) -> tuple[Window, ...]:
        """Return the parts in which a window is worth reading whose next page failed; () if it is not."""
        window = progress.window
        if not progress.stream.counted or window.undivided:
            return ()
        if progress.read_part is not None and progress.oldest and progress.newest:
            page = (progress.newest - progress.oldest) / max(1, progress.accepted)
            return without_failing_page(window, progress.oldest, page)
        with self.store.database.read() as conn:
            failed, came = window_splits.failed_and_came(conn, window)
            at = middle(window, window_ledger.began(conn, window.run_id))
        hopeless = failed >= MAX_FAILED_PARTS or (failed >= MAX_FAILED_IN_A_ROW and not came)
        return () if at is None or hopeless else halve(window, at)

    def give_up(self, progress: WindowProgress, reason: str) -> None:
        """Fail the window, so that its run ends incomplete and names it."""
        named = f"{progress.window.title}: {reason}"
        self.store.give_up(progress.window, named)
        self.watch(WindowInconsistent(progress.stream.name, reason, given_up=True))

    def _read_undivided(self, progress: WindowProgress, reason: str) -> None:
        self.store.read_undivided(progress.window, reason)
        self.watch(WindowInconsistent(progress.stream.name, reason, given_up=False))
