"""Decides what follows a failed page: read its window again, in parts or as a whole, or give it up.

Each decision is one transaction that requires the window's lease; it raises LeaseLostError if another process
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
"""Attempts at a window that cannot be divided, before it is given up."""

MAX_FAILED_WINDOWS = 3
"""Failed windows of a run after which no contradictory one is read again."""

MAX_FAILED_PARTS = 40
"""Failed parts of a stream, at most: halving down to one unreadable page takes some 30."""

MAX_FAILED_IN_A_ROW = 6
"""Failed parts of a stream, at most, while no other part was read: more than one page fails then."""

_FINAL = (ScaleInvalidRequest, ScaleForbidden, ScaleResourceNotFound)
"""Refusals that a narrower list would meet as well."""


@dataclass
class WindowRecovery:
    """Decisions on windows with a failed page, written by the engine's thread."""

    store: SyncStore
    watch: SyncWatcher

    def retry_inconsistent(self, progress: WindowProgress, error: InconsistentPageError) -> None:
        """Reopen a contradictory window, in halves if it can be divided, or give it up."""
        window = progress.window
        smaller = self.store.is_smaller_than_whole(window)
        with self.store.database.read() as conn:
            failed = window_ledger.count(conn, window.run_id, WindowState.FAILED)
            several_pages = progress.pages > 0 or (window.api_total or 0) > PAGE_SIZE
            divisible = several_pages and smaller and not window.undivided
            created = progress.stream.mapping.table.c.created_at
            at = window_splits.dividing_instant(conn, created, window) if divisible else None
        # Rows outside a part mean that bounds of time cannot be relied on: no halves, and in the end the
        # whole is read undivided.
        outside = isinstance(error, OutsideWindowError)
        last_time = window.failures + 1 >= MAX_FAILURES
        if window.parent_id is not None and (not smaller or (outside and last_time)):
            self.store.read_undivided(window, error.message)
            self.watch(WindowInconsistent(progress.stream.name, error.message, given_up=False))
        elif failed >= MAX_FAILED_WINDOWS or (last_time and (at is None or outside)):
            self.give_up(progress, error.message)
        else:
            self.store.read_again(window, halve(window, at) if at and not outside else (), error.message)
            self.watch(WindowInconsistent(progress.stream.name, error.message, given_up=False))

    def retry_failed_read(self, progress: WindowProgress, error: ScaleException) -> None:
        """Keep what was read of a window and divide the rest until only the unreadable page is left.

        Gives the window up if no division can help.
        """
        window = progress.window
        reason = f"the API does not answer: {error.message}"
        if isinstance(error, _FINAL):
            reason = f"the API refused a page: {error.message}"
            # The token may have expired: a reading from the start gets a new one.
            if window.next_token and not isinstance(error, ScaleForbidden):
                self.retry_inconsistent(progress, InconsistentPageError(reason))
            else:
                self.give_up(progress, reason)
            return
        parts = self._parts_of_failed(progress)
        if not parts:
            self.give_up(progress, reason)
            return
        # Marked as failed once, so that their pages get fewer attempts.
        self.store.split_at(progress, tuple(replace(part, failures=1) for part in parts), reason)
        self.watch(WindowInconsistent(progress.stream.name, reason, given_up=False))

    def _parts_of_failed(self, progress: WindowProgress) -> tuple[Window, ...]:
        """Return the parts in which to read the rest of a window whose next page failed; empty: none."""
        window = progress.window
        if not progress.stream.counted or window.undivided:
            return ()
        if progress.read_part is not None and progress.oldest and progress.newest:
            # Something was read: cut right behind it, by the average length of a page in time.
            page = (progress.newest - progress.oldest) / max(1, progress.accepted)
            return without_failing_page(window, progress.oldest, page)
        with self.store.database.read() as conn:
            # Nothing was read: halve in the middle, unless too many halves failed already.
            failed, read = window_splits.failed_and_came(conn, window)
            at = middle(window, window_ledger.began(conn, window.run_id))
        hopeless = failed >= MAX_FAILED_PARTS or (failed >= MAX_FAILED_IN_A_ROW and not read)
        return () if at is None or hopeless else halve(window, at)

    def give_up(self, progress: WindowProgress, reason: str) -> None:
        """Fail the window; its run ends incomplete and names it."""
        named = f"{progress.window.title}: {reason}"
        self.store.give_up(progress.window, named)
        self.watch(WindowInconsistent(progress.stream.name, reason, given_up=True))
