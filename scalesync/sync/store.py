"""What a run writes: each function is one transaction, and holds the window's claim in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror import query, upsert
from scalesync.db.sync import runs, window_ledger, window_splits
from scalesync.models.sync import RunCounts, Window, WindowState, WriteCounts
from scalesync.sync.window_progress import AcceptedPage, LookupResult, ParsedPage, WindowProgress


@dataclass
class SyncStore:
    """The mirror and its ledger, as one process writes to them."""

    database: Database
    api: ScaleApi
    owner: str
    lease: float
    """Seconds that a claim lasts without a sign of life."""
    requests_told: int = 0
    """How many of the client's requests are already counted in some run."""
    latest: datetime | None = None
    """The API's clock on the last page saved here."""
    run_began: datetime | None = None
    """The API's clock when the run in hand was planned, or the earliest on a page since."""
    saved: int = 0
    """How many transactions brought the mirror further."""

    def claim(self) -> Window | None:
        """Return a free window of the open run, now ours, or None."""
        with self.database.write() as conn:
            return window_ledger.claim(conn, self.owner, self.lease)

    def claim_several(self, number: int) -> list[Window]:
        """Return free windows of the open run, at most so many, now ours."""
        with self.database.write() as conn:
            return window_ledger.claim_several(conn, self.owner, self.lease, number)

    def resume(self, progress: WindowProgress) -> None:
        """Remember what earlier claims of the window received."""
        if progress.window.next_token is not None:
            with self.database.read() as conn:
                progress.pages, progress.seen = window_ledger.keys_received(conn, progress.window.id)
            progress.accepted, progress.in_order = progress.pages, False

    def save_together(self, pages: Sequence[AcceptedPage]) -> WriteCounts:
        """Write pages of one stream, all of one instant, and what they mean for their windows.

        It is one transaction, and pages of one window are in their order. Raises LeaseLostError, with nothing
        written, if any of the windows was lost.
        """
        kind, run_id = pages[0].progress.stream.mapping, pages[0].window.run_id
        served_at = pages[0].parsed.page.served_at
        rows = [row for page in pages for row in page.parsed.rows]
        held = {page.window.id: page.window for page in pages}
        received = [(page.window, page.number, [row.key for row in page.parsed.rows]) for page in pages]
        with self.database.write() as conn:
            window_ledger.require_lease(conn, held.values(), self.owner, self.lease)
            written = _way_to_write([page.progress for page in pages])(conn, kind, rows, served_at, run_id)
            window_ledger.save_pages(conn, received)
            for page in pages:
                window_ledger.add(conn, run_id, page.parts, parent_id=page.window.id)
                lacking = page.progress.shortfall
                error = f"{page.window.title}: {lacking}" if lacking else None
                if page.parts:
                    window_splits.add_read_part(conn, page.window, page.progress.read_part, served_at, error)
                if page.state is not WindowState.OPEN:
                    window_ledger.finish(conn, page.window, page.state, error)
            runs.add_counts(conn, run_id, self._tally(pages, written))
            if self.run_began is not None and served_at < self.run_began:
                # Time does not go back: the clock was ahead when the run was planned.
                runs.lower_start(conn, run_id, served_at)
                self.run_began = served_at
        for page in pages:
            page.progress.pages = page.number + 1
        self.saved += 1
        self.latest = served_at
        return written

    def save_rows(self, progress: WindowProgress, parsed: ParsedPage) -> WriteCounts:
        """Write a page's rows, and nothing that its window could close on. Raises LeaseLostError."""
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [progress.window], self.owner, self.lease)
            at, run_id = parsed.page.served_at, progress.window.run_id
            return _way_to_write([progress])(conn, progress.stream.mapping, parsed.rows, at, run_id)

    def save_lookups(self, progress: WindowProgress, looked_up: LookupResult) -> WriteCounts:
        """Mark as missing what is gone and write what is there after all. Raises LeaseLostError."""
        kind, last, run_id = progress.stream.mapping, progress.last, progress.window.run_id
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [progress.window], self.owner, self.lease)
            written = upsert.write_documents(conn, kind, looked_up.found, run_id, upsert.write_last)
            if last is not None:
                upsert.mark_missing(conn, kind, looked_up.gone, last.parsed.page.served_at, run_id)
        self.saved += 1
        return written

    def unconfirmed(self, progress: WindowProgress, window: Window) -> list[str]:
        """Return the keys that are here, within the bounds of `window`, and were on no page that was read."""
        with self.database.read() as conn:
            here = query.keys_present(
                conn,
                progress.stream.mapping,
                project=window.project,
                created_from=window.created_from,
                created_to=window.created_to,
            )
        return sorted(key for key in here if window_ledger.key_digest(key) not in progress.seen)

    def read_again(self, window: Window, halves: tuple[Window, ...], error: str) -> None:
        """Have the window read again, in halves if there are any. Raises LeaseLostError."""
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [window], self.owner, self.lease)
            if halves:
                window_ledger.add(conn, window.run_id, halves, parent_id=window.id)
                window_ledger.finish(conn, window, WindowState.SPLIT, error)
            else:
                window_ledger.restart(conn, window, error)

    def split_at(self, progress: WindowProgress, parts: tuple[Window, ...], error: str) -> None:
        """Leave what is unread of a window to parts, and close what was read. Raises LeaseLostError."""
        window = progress.window
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [window], self.owner, self.lease)
            window_ledger.add(conn, window.run_id, parts, parent_id=window.id)
            if self.latest is not None:
                window_splits.add_read_part(conn, window, progress.read_part, self.latest, None)
            window_ledger.finish(conn, window, WindowState.SPLIT, error)

    def read_undivided(self, window: Window, error: str) -> None:
        """Have what `window` is a part of read as a whole. Raises LeaseLostError."""
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [window], self.owner, self.lease)
            window_splits.read_undivided(conn, window.run_id, window_splits.root_of(conn, window), error)

    def give_up(self, window: Window, error: str) -> None:
        """Fail the window: its run will end incomplete. Raises LeaseLostError."""
        with self.database.write() as conn:
            window_ledger.require_lease(conn, [window], self.owner, self.lease)
            window_ledger.finish(conn, window, WindowState.FAILED, error)

    def extend(self) -> None:
        """Show that this process lives."""
        with self.database.write() as conn:
            window_ledger.extend(conn, self.owner, self.lease)

    def release(self) -> None:
        """Let others go on with what this process held."""
        with self.database.write() as conn:
            window_ledger.release(conn, [self.owner])

    def unreported(self) -> RunCounts:
        """Return the requests that no run counted yet, as counted from now on."""
        told, self.requests_told = self.requests_told, self.api.requests_made
        return RunCounts(requests=self.requests_told - told)

    def _tally(self, pages: Sequence[AcceptedPage], written: WriteCounts) -> RunCounts:
        return replace(
            self.unreported(),
            pages=len(pages),
            rows_received=sum(len(page.parsed.rows) for page in pages),
            rows_written=written.new + written.changed,
            texts_replaced=sum(page.parsed.page.replaced for page in pages),
            responses_unread=written.unread,
            values_replaced=written.values_replaced,
        )


def _way_to_write(windows_read: Sequence[WindowProgress]) -> Callable[..., WriteCounts]:
    """Return how pages are written: in a pass that reads all there is, the copy served last stays."""
    reads_all = all(progress.proves_absence for progress in windows_read)
    return upsert.write_last if reads_all else upsert.write_rows
