"""Database access of a sync process: claims, pages, look-ups, decisions on windows.

Each method is one transaction. One that writes for a window requires the window's lease in that transaction
and raises LeaseLostError, with nothing written, if another process has claimed the window since.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from scalesync.api.client import ScaleApi
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.mirror import query, upsert
from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.mirror.page_inserts import insert_pages
from scalesync.db.sync import runs, window_ledger, window_splits
from scalesync.lease_owner import owner_is_dead
from scalesync.models.changes import SeenBy
from scalesync.models.sync import Run, RunCounts, RunState, Window, WindowState, WriteCounts
from scalesync.parsing.row_parser import key_digest
from scalesync.parsing.task_inserts import TaskInserts
from scalesync.sync.parsed_page import ParsedPage
from scalesync.sync.planner import SyncRequest, covers
from scalesync.sync.window_progress import (
    MAX_STORED_BEFORE,
    AcceptedPage,
    LookupResult,
    WindowProgress,
)

if TYPE_CHECKING:
    # Only mirrors on Postgres share a rate.
    from scalesync.db.request_rate import SharedRequestRate


@dataclass
class SyncStore:
    """Access of one sync process to the mirror and to its windows and runs."""

    database: Database
    api: ScaleApi
    owner: str
    lease: float
    """Seconds that a claim lasts unless it is extended."""
    keep_responses: bool = True
    """Whether responses of tasks that are replaced are kept; those found by a look-up are in any case."""
    rate: "SharedRequestRate | None" = None
    """The request rate of all processes, of whose refusals claims and pages learn; None: each has its own."""
    requests_reported: int = 0
    """How many of the client's requests are already counted in some run."""
    latest_page_at: datetime | None = None
    """The API's clock on the last page saved here."""
    run_started_at: datetime | None = None
    """The API's clock when the active run was planned, or the earliest on a page since."""
    last_run: int | None = None
    """The newest run when `find_run` last looked; 0 if there was none, None before its first look."""
    saved: int = 0
    """Transactions that wrote pages or look-ups: grows whenever the mirror makes progress."""

    def find_run(self, request: SyncRequest, seconds: float) -> tuple[Run, bool] | None:
        """Return the open run, or an ended one that is for `request`, and whether it is; None: neither.

        A run is for the request if it covers it and its first request was made in the last `seconds`.
        """
        with self.database.read() as conn:
            run = next(iter(runs.recent(conn, 1)), None)
            before, self.last_run = self.last_run, run.id if run else 0
            # One that has ended must have begun since our last look: that does not rest on any clock.
            ended = run is not None and run.state is not RunState.OPEN
            if run is None or run.state is RunState.INCOMPLETE or (ended and before in {None, run.id}):
                return None
            ours = runs.opened_within(conn, run, seconds) and covers(
                run.kind, window_ledger.planned(conn, run.id), request, runs.read_watermarks(conn)
            )
        return None if ended and not ours else (run, ours)

    def claim_several(self, number: int) -> list[Window]:
        """Claim up to `number` free windows of the open run and return them."""
        with self.database.write() as conn:
            self._notice_rate(conn)
            return window_ledger.claim_several(conn, self.owner, self.lease, number)

    def release_dead_owners(self) -> int:
        """Free the windows of processes of this machine that are gone, and return their number."""
        with self.database.read() as conn:
            dead = [owner for owner in window_ledger.owners(conn) if owner_is_dead(owner)]
        if not dead:
            return 0
        with self.database.write() as conn:
            return window_ledger.release(conn, dead)

    def prepare(self, progress: WindowProgress) -> None:
        """Load the keys that earlier claims received, and count what else the mirror has in the window."""
        window = progress.window
        if window.next_token is None and not progress.proves_absence:
            return
        with self.database.read() as conn:
            if window.next_token is not None:
                progress.pages, progress.seen = window_ledger.keys_received(conn, window.id)
                progress.accepted, progress.in_order = progress.pages, False
            if progress.proves_absence:
                enough = window.rows_within + MAX_STORED_BEFORE + 1
                stored = query.count_within(conn, progress.stream.mapping, window, enough)
                progress.began_empty = stored == 0
                progress.stored_before = stored - window.rows_within

    def is_smaller_than_whole(self, window: Window) -> bool:
        """Return whether the API counts less in a part than in the window that it is a part of.

        If not, the API ignores bounds of time, and dividing the part would never end.
        """
        if window.parent_id is None or window.api_total is None:
            return True
        with self.database.read() as conn:
            whole = window_splits.total_of(conn, window.parent_id)
        return whole is None or window.api_total < whole

    def unread(self, run_id: int, mapping: StreamMapping) -> int:
        """Return how many objects of a kind are left to read in the windows that were begun."""
        with self.database.read() as conn:
            streams = window_ledger.progress(conn, run_id)
        return sum(total - done for name, done, total in streams if name == mapping.table.name)

    def count_open(self, run_id: int) -> tuple[int, int]:
        """Return the number of open windows of a run, and of those that are free to claim."""
        with self.database.read() as conn:
            return window_ledger.count_open(conn, run_id, self.lease)

    def is_dividable(self, progress: WindowProgress) -> bool:
        """Return whether parts of the window would hold all of it, and each less than the whole."""
        if not self.is_smaller_than_whole(progress.window):
            return False
        with self.database.read() as conn:
            # Objects without a time of creation would be in none of the parts.
            return not window_splits.has_undated(conn, progress.stream.mapping, progress.window.project)

    def save_together(self, pages: Sequence[AcceptedPage]) -> WriteCounts:
        """Write pages of one stream and one API time, and what they mean for their windows.

        Pages of one window are in their order.
        """
        seen = SeenBy(pages[0].parsed.page.served_at, pages[0].window.run_id, self.keep_responses)
        received = [(page.window, page.number, page.parsed.key_digests) for page in pages]
        inserts = [each for page in pages if isinstance(each := page.parsed.content, TaskInserts)]
        with self.database.write() as conn:
            # Rows, received keys and tokens go together: after a crash a window resumes where its rows end.
            window_ledger.save_pages(conn, received, self.owner, self.lease)
            written = insert_pages(conn, inserts, seen)
            # If one of these tasks is here all the same, their pages are written as the others are.
            written = _write_others(conn, pages, seen, written)
            _end_windows(conn, pages, seen.at)
            runs.add_counts(conn, pages[0].window.run_id, self._counts(pages, written))
            self._correct_start(conn, pages[0].window.run_id, seen.at)
            self._notice_rate(conn)
        for page in pages:
            page.progress.pages = page.number + 1
        self.saved += 1
        self.latest_page_at = seen.at
        return written

    def _notice_rate(self, conn: Connection) -> None:
        if self.rate is not None:
            self.rate.notice(conn)

    def _correct_start(self, conn: Connection, run_id: int, served_at: datetime) -> None:
        if self.run_started_at is not None and served_at < self.run_started_at:
            # Time does not go back: the API's clock was ahead when the run was planned.
            runs.lower_start(conn, run_id, served_at)
            self.run_started_at = served_at

    def save_rows(self, progress: WindowProgress, parsed: ParsedPage) -> WriteCounts:
        """Write the rows of a contradictory page; its window stays as it is."""
        with self._leased(progress.window) as conn:
            seen = SeenBy(parsed.page.served_at, progress.window.run_id, self.keep_responses)
            return _write_function([progress])(conn, progress.stream.mapping, parsed.rows, seen)

    def save_lookups(self, progress: WindowProgress, looked_up: LookupResult) -> WriteCounts:
        """Mark objects as missing that are gone, and write those that are there after all."""
        kind, last, run_id = progress.stream.mapping, progress.last, progress.window.run_id
        with self._leased(progress.window) as conn:
            written = upsert.write_documents(conn, kind, looked_up.found, run_id, upsert.write_last)
            if last is not None:
                upsert.mark_missing(conn, kind, looked_up.gone, last.parsed.page.served_at, run_id)
        self.saved += 1
        return written

    def unconfirmed(self, progress: WindowProgress, window: Window) -> list[str]:
        """Return the keys that the mirror has within the bounds of `window` and no page showed, sorted."""
        with self.database.read() as conn:
            local = query.keys_present(
                conn,
                progress.stream.mapping,
                project=window.project,
                created_from=window.created_from,
                created_to=window.created_to,
            )
        return sorted(key for key in local if key_digest(key) not in progress.seen)

    def read_again(self, window: Window, halves: tuple[Window, ...], error: str) -> None:
        """Reopen the window from its start, or replace it by `halves` if there are any."""
        with self._leased(window) as conn:
            if halves:
                window_ledger.add(conn, window.run_id, halves, parent_id=window.id)
                window_ledger.finish(conn, window, WindowState.SPLIT, error)
            else:
                window_ledger.restart(conn, window, error)

    def split_at(self, progress: WindowProgress, parts: tuple[Window, ...], error: str) -> None:
        """Leave the unread rest of a window to `parts`, and close what was read of it."""
        window = progress.window
        with self._leased(window) as conn:
            window_ledger.add(conn, window.run_id, parts, parent_id=window.id)
            if self.latest_page_at is not None:
                window_splits.add_read_part(conn, window, progress.read_part, self.latest_page_at, None)
            window_ledger.finish(conn, window, WindowState.SPLIT, error)

    def read_undivided(self, window: Window, error: str) -> None:
        """Drop all parts of the window that `window` is a part of, and reopen it to be read as a whole."""
        with self._leased(window) as conn:
            window_splits.read_undivided(conn, window.run_id, window_splits.root_of(conn, window), error)

    def give_up(self, window: Window, error: str) -> None:
        """Fail the window: its run will end incomplete."""
        with self._leased(window) as conn:
            window_ledger.finish(conn, window, WindowState.FAILED, error)

    def extend(self) -> None:
        """Extend the leases of all windows that this process holds."""
        with self.database.write() as conn:
            window_ledger.extend(conn, self.owner, self.lease)

    def release(self) -> None:
        """Release all windows that this process holds, so that others can go on with them."""
        with self.database.write() as conn:
            window_ledger.release(conn, [self.owner])

    def unreported(self) -> RunCounts:
        """Return the requests that no run has counted yet, and count them as reported."""
        before, self.requests_reported = self.requests_reported, self.api.requests_made
        return RunCounts(requests=self.requests_reported - before)

    @contextmanager
    def _leased(self, *held: Window) -> Iterator[Connection]:
        with self.database.write() as conn:
            window_ledger.require_lease(conn, held, self.owner, self.lease)
            yield conn

    def _counts(self, pages: Sequence[AcceptedPage], written: WriteCounts) -> RunCounts:
        return replace(
            self.unreported(),
            pages=len(pages),
            rows_received=sum(len(page.parsed.heads) for page in pages),
            rows_written=written.new + written.changed,
            texts_replaced=sum(page.parsed.page.replaced for page in pages),
            responses_unread=written.unread,
            values_replaced=written.values_replaced,
        )


def _write_others(
    conn: Connection, pages: Sequence[AcceptedPage], seen: SeenBy, inserted: WriteCounts | None
) -> WriteCounts:
    """Write the pages that were not inserted, all of them if `inserted` is None; return all counts."""
    others = [page for page in pages if inserted is None or not isinstance(page.parsed.content, TaskInserts)]
    written = inserted or WriteCounts()
    if others:
        rows = [row for page in others for row in page.parsed.rows]
        write = _write_function([page.progress for page in others])
        written += write(conn, pages[0].progress.stream.mapping, rows, seen)
    return written


def _end_windows(conn: Connection, pages: Sequence[AcceptedPage], served_at: datetime) -> None:
    """End the windows whose last page is among these, and add the parts of those that are divided."""
    for page in pages:
        window_ledger.add(conn, page.window.run_id, page.parts, parent_id=page.window.id)
        lacking = page.progress.shortfall
        error = f"{page.window.title}: {lacking}" if lacking else None
        if page.parts:
            window_splits.add_read_part(conn, page.window, page.progress.read_part, served_at, error)
        if page.state is not WindowState.OPEN:
            window_ledger.finish(conn, page.window, page.state, error)


def _write_function(windows_read: Sequence[WindowProgress]) -> Callable[..., WriteCounts]:
    # A pass that reads everything created keeps the copy served last, even against its stamps. Elsewhere an
    # older copy must not replace a newer one.
    reads_all = all(progress.proves_absence for progress in windows_read)
    return upsert.write_last if reads_all else upsert.write_rows
